// InstanceLock: one Airlock in a state directory at a time.
//
// A lock of the kernel on `jobs.lock`, which holds the pid of its owner for people to read: gone
// with the process however that ends, never stale. The file stays. One owner; any thread.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace airlock::store::sqlite {

class InstanceLock {
 public:
  // kBusy names the process that has it.
  static base::Result<InstanceLock> acquire(const std::string& folder);

 private:
  explicit InstanceLock(base::UniqueFd file) : file_(std::move(file)) {}
  base::UniqueFd file_;
};

}  // namespace airlock::store::sqlite
