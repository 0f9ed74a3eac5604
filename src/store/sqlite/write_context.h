// WriteContext: what a change of the database needs beside its own arguments.
//
// One for the life of a store, used by its writing thread only. `now` is the time of the group of
// changes that is being made; it never goes back, in this life of the store or over several.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "model/job.h"
#include "store/sqlite/database.h"

namespace airlock::store::sqlite {

struct WriteContext {
  Database& database;
  base::RandomSource& random;
  std::chrono::microseconds idempotency_age{};
  std::chrono::microseconds priority_step{};
  std::uint64_t changes_kept = 0;
  model::WallTime now{};
  std::uint64_t last_change = 0;  // of the feed, in the group at hand
};

constexpr std::int64_t micros(model::WallTime time) { return time.time_since_epoch().count(); }

// Appends what job `seq` is now to the feed, and drops what is older than it keeps.
base::Status append_change(WriteContext& context, std::int64_t seq, std::string_view reason = {});

}  // namespace airlock::store::sqlite
