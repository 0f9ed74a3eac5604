// JobStop: why the steps of a job do not go on.
//
// A value that travels up through the steps to whoever ends the job, and decides there how: as
// failed, timed out, cancelled, tried again, or left to somebody else.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <utility>

#include "base/result.h"

namespace airlock::runner {

struct JobStop {
  enum class Kind {
    kFailed,     // the job's own fault, or what it needs is not to be had
    kTimeout,    // a phase was not done in time
    kCancelled,  // somebody wanted it
    kLost,       // ours or the host's: another attempt may work
    kDetached,   // we are to let go of it; somebody else goes on
  };
  Kind kind = Kind::kFailed;
  std::string code;          // "prep_failed": one word for programs
  std::string message;       // the text of the contract, for a person
  bool awaits_disk = false;  // of kLost: this host's disk takes nothing for now
};

template <typename T>
using Went = std::expected<T, JobStop>;

inline std::unexpected<JobStop> stop(JobStop::Kind kind, std::string code, std::string message) {
  return std::unexpected(
      JobStop{.kind = kind, .code = std::move(code), .message = std::move(message)});
}

// Whether it is this host's disk that takes nothing: full, or read-only since an error.
inline bool is_of_disk(const base::Error& error) {
  return error.os_errno == ENOSPC || error.os_errno == EDQUOT || error.os_errno == EROFS;
}

// What broke below us.
inline std::unexpected<JobStop> lost(const base::Error& error) {
  return std::unexpected(JobStop{.kind = JobStop::Kind::kLost,
                                 .code = is_of_disk(error) ? "host_disk" : "runner_lost",
                                 .message = error.to_string(),
                                 .awaits_disk = is_of_disk(error)});
}

}  // namespace airlock::runner
