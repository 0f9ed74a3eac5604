#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace airlock::base {

std::string Error::to_string() const {
  if (os_errno == 0) return message;
  return message + ": " + strerror(os_errno);
}

Error errno_error(std::string_view what) { return errno_error(what, errno); }

Error errno_error(std::string_view what, int os_errno) {
  ErrorCode code = ErrorCode::kIo;
  if (os_errno == ENOENT) code = ErrorCode::kNotFound;
  if (os_errno == EPERM || os_errno == EACCES) code = ErrorCode::kPermissionDenied;
  if (os_errno == EINVAL) code = ErrorCode::kInvalidArgument;
  return Error{code, os_errno, std::string(what), {}};
}

}  // namespace airlock::base
