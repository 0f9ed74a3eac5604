#include "store/sqlite/state_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"
#include "store/sqlite/migrations.h"

namespace airlock::store::sqlite {
namespace {

// KiB of pages that a connection keeps at most.
constexpr std::string_view kWriterCache = "PRAGMA cache_size = -16384";
constexpr std::string_view kReaderCache = "PRAGMA cache_size = -4096";

// The name of a new file is on disk only once its folder is.
base::Status sync_folder(const std::string& folder) {
  const base::UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return base::fail_errno("fsync " + folder);
  return {};
}

base::Status make_file(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd.valid()) return {};
  base::Error error = base::errno_error("open " + path);
  error.hint = "The user of Airlock must be able to read and write it.";
  if (error.os_errno == EACCES || error.os_errno == EPERM || error.os_errno == EROFS) {
    error.code = base::ErrorCode::kPermissionDenied;
  }
  return base::fail(std::move(error));
}

base::Status use_write_ahead_log(Database& database) {
  AIRLOCK_ASSIGN(Statement row, database.prepare("PRAGMA journal_mode = WAL"));
  AIRLOCK_ASSIGN(const bool found, row.step());
  if (found && row.text(0) == "wal") return {};
  return base::fail(base::ErrorCode::kUnavailable,
                    database.path() + ": the file system cannot hold a write-ahead log",
                    "The state directory has to be on a local file system.");
}

base::Status settle(Database& database, std::string_view cache) {
  AIRLOCK_TRY(database.run_script("PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON"));
  return database.run_script(std::string(cache));
}

}  // namespace

std::string database_path(const std::string& folder) { return folder + "/jobs.db"; }

base::Status make_folder(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return base::fail_errno("make the state directory " + folder);
}

base::Result<std::unique_ptr<Database>> open_for_writing(const std::string& folder,
                                                         std::chrono::milliseconds busy_timeout) {
  const std::string path = database_path(folder);
  AIRLOCK_TRY(make_file(path));
  AIRLOCK_ASSIGN(auto database, Database::open(path, busy_timeout));
  AIRLOCK_TRY(settle(*database, kWriterCache));
  AIRLOCK_TRY(database->run_script("PRAGMA synchronous = FULL"));
  AIRLOCK_TRY(migrate(*database, known_migrations()));
  AIRLOCK_TRY(use_write_ahead_log(*database));
  AIRLOCK_TRY(sync_folder(folder));
  return database;
}

base::Result<std::unique_ptr<Database>> open_for_reading(const std::string& folder,
                                                         std::chrono::milliseconds busy_timeout) {
  AIRLOCK_ASSIGN(auto database, Database::open(database_path(folder), busy_timeout));
  AIRLOCK_TRY(settle(*database, kReaderCache));
  AIRLOCK_TRY(database->run_script("PRAGMA query_only = ON"));
  return database;
}

}  // namespace airlock::store::sqlite
