// The embedded JobStore: one SQLite database in a state directory, for one process.
//
// Durable: a commit has been synced (WAL, synchronous=FULL) before it is answered. A second process
// that opens the same directory is refused with the pid of the first. Three threads: one writes and
// commits in groups, two read. Clock and randomness are borrowed and must outlive the store;
// randomness is used by its writing thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "store/job_store.h"

namespace airlock::store::sqlite {

struct StoreOptions {
  std::string folder;  // made if it is missing; its parent must be there
  // How long one commit waits for another process that has the database locked.
  std::chrono::milliseconds busy_timeout{5'000};
  std::chrono::hours idempotency_age{24};
  // How much longer than a job of the next higher priority a job waits before it comes first.
  std::chrono::seconds priority_step{600};
  std::uint64_t changes_kept = 100'000;  // of the feed; a few hundred more at times
};

base::Result<std::unique_ptr<JobStore>> open_store(const StoreOptions& options,
                                                   const base::Clock& clock,
                                                   base::RandomSource& random);

}  // namespace airlock::store::sqlite
