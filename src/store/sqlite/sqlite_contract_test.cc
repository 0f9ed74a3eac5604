// SQLite under the contract suite of JobStore.
#include "store/sqlite/test_folder.h"

namespace airlock::store {
namespace {

std::unique_ptr<StoreBed> make_sqlite_bed() { return std::make_unique<sqlite::SqliteBed>(); }

INSTANTIATE_TEST_SUITE_P(Sqlite, JobStoreContract, ::testing::Values(&make_sqlite_bed));

}  // namespace
}  // namespace airlock::store
