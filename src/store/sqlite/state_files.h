// The files of the store in the state directory: jobs.db, ready for connections.
//
// Makes folder and file where they are missing, for their user alone (a job's environment may hold
// secrets), brings the schema up to date, and sees to it that a commit is on disk when it returns.
// A file that cannot be used is left as it is.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "store/sqlite/database.h"

namespace airlock::store::sqlite {

std::string database_path(const std::string& folder);
base::Status make_folder(const std::string& folder);

// The first connection, and the one that writes. The instance lock is held.
base::Result<std::unique_ptr<Database>> open_for_writing(const std::string& folder,
                                                         std::chrono::milliseconds busy_timeout);
base::Result<std::unique_ptr<Database>> open_for_reading(const std::string& folder,
                                                         std::chrono::milliseconds busy_timeout);

}  // namespace airlock::store::sqlite
