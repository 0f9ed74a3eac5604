// TestFolder: a state directory that goes with the test, and a store in it.
//
// For the tests of this folder only.
#pragma once

#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "base/check.h"
#include "store/contract_bed.h"
#include "store/sqlite/sqlite_job_store.h"

namespace airlock::store::sqlite {

class TestFolder {
 public:
  TestFolder() {
    std::string name = std::filesystem::temp_directory_path() / "airlock-store-XXXXXX";
    AIRLOCK_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string database() const { return path_ + "/jobs.db"; }

 private:
  std::string path_;
};

// A store with the clock of the host; or why it could not be opened.
struct SystemStore {
  explicit SystemStore(const TestFolder& folder,
                       std::chrono::milliseconds busy_timeout = std::chrono::seconds(5))
      : opened(open_store({.folder = folder.path(), .busy_timeout = busy_timeout}, clock, random)) {
  }

  base::SystemClock clock;
  base::SystemRandom random;
  base::Result<std::unique_ptr<JobStore>> opened;
};

class SqliteBed final : public StoreBed {
 public:
  JobStore& store() override { return *store_; }
  void close() override { store_.reset(); }
  void reopen(const BedOptions& options = {}) override {
    store_.reset();
    auto opened = open_store({.folder = folder_.path(), .changes_kept = options.changes_kept},
                             clock_, random_);
    AIRLOCK_CHECK(opened.has_value());
    store_ = std::move(*opened);
  }
  const TestFolder& folder() const { return folder_; }

 private:
  TestFolder folder_;
  base::SystemRandom random_;
  std::unique_ptr<JobStore> store_;
};

}  // namespace airlock::store::sqlite
