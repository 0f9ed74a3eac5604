#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace airlock::base {
namespace {

Result<int> parse_digit(char c) {
  if (c < '0' || c > '9') return fail(ErrorCode::kInvalidArgument, "not a digit", "use 0 to 9");
  return c - '0';
}

Result<int> add_digits(char a, char b) {
  AIRLOCK_ASSIGN(const int left, parse_digit(a));
  AIRLOCK_ASSIGN(const int right, parse_digit(b));
  return left + right;
}

Status check_digit(char c) {
  AIRLOCK_TRY(parse_digit(c));
  return {};
}

TEST(ResultTest, AssignGivesTheValueOrReturnsTheError) {
  EXPECT_EQ(add_digits('2', '3').value(), 5);
  const Result<int> failed = add_digits('2', 'x');
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(failed.error().message, "not a digit");
  EXPECT_EQ(failed.error().hint, "use 0 to 9");
}

TEST(ResultTest, TryReturnsTheErrorOnly) {
  EXPECT_TRUE(check_digit('7').has_value());
  EXPECT_FALSE(check_digit('q').has_value());
}

TEST(ResultTest, AssignMovesWhatCannotBeCopied) {
  const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(4); };
  const auto use = [&make]() -> Result<int> {
    AIRLOCK_ASSIGN(const std::unique_ptr<int> owned, make());
    return *owned;
  };
  EXPECT_EQ(use().value(), 4);
}

TEST(ResultTest, ContextIsPrefixedAndTheRestKept) {
  Result<int> failed = parse_digit('x').with_context("line 3");
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().message, "line 3: not a digit");
  EXPECT_EQ(failed.error().hint, "use 0 to 9");
  EXPECT_EQ(parse_digit('1').with_context("line 4").value(), 1);
}

TEST(ResultTest, AnErrnoErrorNamesTheOperationAndTheReason) {
  errno = ENOENT;
  const Error error = errno_error("open /dev/loop0");
  EXPECT_EQ(error.os_errno, ENOENT);
  EXPECT_EQ(error.to_string(), "open /dev/loop0: No such file or directory");
}

TEST(ResultTest, CommonErrnosHaveTheirOwnCode) {
  EXPECT_EQ(errno_error("x", ENOENT).code, ErrorCode::kNotFound);
  EXPECT_EQ(errno_error("x", EPERM).code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(errno_error("x", EACCES).code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(errno_error("x", EINVAL).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(errno_error("x", EIO).code, ErrorCode::kIo);
}

TEST(ResultTest, AnErrorWithoutErrnoIsItsMessage) {
  EXPECT_EQ((Error{ErrorCode::kProtocol, 0, "frame too long", {}}).to_string(), "frame too long");
}

}  // namespace
}  // namespace airlock::base
