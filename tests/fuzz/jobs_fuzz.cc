// Any text as a column of the store: no crash, and what is read is written and read again alike.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "model/job.h"
#include "store/sqlite/job_codec.h"

namespace airlock::store::sqlite {
namespace {

template <typename Value>
void try_column(std::string_view text) {
  Value value{};
  if (!decode(text, value)) return;
  const std::string once = encode(value);
  Value again{};
  AIRLOCK_CHECK(decode(once, again).has_value());
  AIRLOCK_CHECK(encode(again) == once);
}

void try_text(std::string_view text) {
  constexpr std::size_t kBytesMax = 64;
  const std::string kept = storable_text(text, kBytesMax);
  AIRLOCK_CHECK(kept.size() <= kBytesMax);
  AIRLOCK_CHECK(storable_text(kept, kBytesMax) == kept);
}

}  // namespace
}  // namespace airlock::store::sqlite

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace model = airlock::model;
  namespace sqlite = airlock::store::sqlite;
  // Why safe: libFuzzer's buffer lives for the whole call, and char may alias anything.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  sqlite::try_column<model::JobSpec>(text);
  sqlite::try_column<std::vector<model::AssignedGpu>>(text);
  sqlite::try_column<std::vector<model::PhaseRecord>>(text);
  sqlite::try_column<std::vector<model::EgressEntry>>(text);
  sqlite::try_column<model::SealRecord>(text);
  sqlite::try_column<std::vector<model::ArtifactDigest>>(text);
  sqlite::try_text(text);
  return 0;
}
