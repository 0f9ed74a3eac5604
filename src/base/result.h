// Result<T>: how every operation that can fail says so.
//
// Guarantees: [[nodiscard]]; an Error carries a code, the errno it came from (0 if none), a message
// for a person and, where the user can act, a hint. Context is added once per layer with
// `with_context`. What a guest program did is never an Error: that is a model::Outcome.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace airlock::base {

enum class ErrorCode {
  kInvalidArgument,   // the caller asked for something that can never work
  kNotFound,          // the thing named does not exist
  kPermissionDenied,  // the host or a policy refuses
  kUnavailable,       // the host lacks something that is needed
  kLimitExceeded,     // a named limit was reached
  kProtocol,          // a peer sent something malformed
  kIo,                // a system call failed
  kBusy,              // every place is taken: the same may work later
  kCancelled,         // the caller called it off before it began
};

struct Error {
  ErrorCode code = ErrorCode::kIo;
  int os_errno = 0;
  std::string message;
  std::string hint;

  // "message: Operation not permitted"
  std::string to_string() const;
};

// An Error from the current errno. `what` names the operation and its object: "open /dev/loop0".
Error errno_error(std::string_view what);
Error errno_error(std::string_view what, int os_errno);

template <typename T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;

  // Prefixes the error's message with "context: ".
  Result with_context(std::string_view context) && {
    if (!this->has_value()) {
      this->error().message = std::string(context) + ": " + this->error().message;
    }
    return std::move(*this);
  }
};

using Status = Result<void>;

inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(std::move(error)); }
inline std::unexpected<Error> fail(ErrorCode code, std::string message, std::string hint = {}) {
  return std::unexpected<Error>(Error{code, 0, std::move(message), std::move(hint)});
}
inline std::unexpected<Error> fail_errno(std::string_view what) {
  return std::unexpected<Error>(errno_error(what));
}

}  // namespace airlock::base

// Evaluates an expression of type Result<T>, or of another std::expected; returns its error from
// the enclosing function.
#define AIRLOCK_CONCAT_INNER(a, b) a##b
#define AIRLOCK_CONCAT(a, b) AIRLOCK_CONCAT_INNER(a, b)
#define AIRLOCK_TRY(expression)                                    \
  do {                                                             \
    if (auto try_result = (expression); !try_result.has_value()) { \
      return std::unexpected(std::move(try_result).error());       \
    }                                                              \
  } while (false)
#define AIRLOCK_ASSIGN_INNER(holder, declaration, expression)                     \
  auto holder = (expression);                                                     \
  if (!holder.has_value()) { return std::unexpected(std::move(holder).error()); } \
  declaration = std::move(*holder)
// AIRLOCK_ASSIGN(auto fd, open_file(path));
#define AIRLOCK_ASSIGN(declaration, expression) \
  AIRLOCK_ASSIGN_INNER(AIRLOCK_CONCAT(assign_holder_, __LINE__), declaration, expression)
