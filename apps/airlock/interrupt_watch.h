// InterruptWatch: SIGINT, SIGTERM and SIGHUP as something that can be waited for.
//
// From open() on none of them ends the process: whoever opens it looks at it. One per process,
// while it has one thread. A second signal changes nothing.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace airlock::apps {

class InterruptWatch {
 public:
  static base::Result<InterruptWatch> open();

  int fd() const { return fd_.get(); }  // readable once a signal has come
  bool interrupted() const;             // stays true

 private:
  explicit InterruptWatch(base::UniqueFd fd) : fd_(std::move(fd)) {}

  base::UniqueFd fd_;
};

}  // namespace airlock::apps
