// SlotPool: which of the host's sandbox slots are taken, for every launcher on this machine at
// once.
//
// A slot is a uid range, cgroup names and a directory name. It is owned through a lock on one byte
// of a file that all launchers share, so it is free again at the moment its owner dies, however it
// dies: what bears the number of a free slot is a leftover and may be removed by anyone who takes
// the lock.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace airlock::jail {

class Slot {
 public:
  Slot() = default;
  Slot(std::uint32_t number, base::UniqueFd lock) : number_(number), lock_(std::move(lock)) {}
  std::uint32_t number() const { return number_; }
  bool valid() const { return lock_.valid(); }

 private:
  std::uint32_t number_ = 0;
  base::UniqueFd lock_;  // its open file description holds the lock
};

class SlotPool {
 public:
  // Makes the run directory (mode 0700) and the lock file if they are missing.
  static base::Result<SlotPool> open(std::string run_directory, std::uint32_t slots_max);

  const std::string& run_directory() const { return run_directory_; }
  // Takes a free slot; an error (kLimitExceeded) when all are taken.
  base::Result<Slot> take() const;
  // Takes that very slot if it is free; an invalid Slot if it is not.
  Slot try_take(std::uint32_t number) const;

 private:
  SlotPool(std::string run_directory, std::uint32_t slots_max)
      : run_directory_(std::move(run_directory)),
        path_(run_directory_ + "/slots"),
        slots_max_(slots_max) {}
  std::string run_directory_;
  std::string path_;
  std::uint32_t slots_max_;
};

// /run/airlock for root, /run/user/<uid>/airlock or else /tmp/airlock-<uid> for others.
std::string default_run_directory();

}  // namespace airlock::jail
