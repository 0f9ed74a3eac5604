#include "http/api_error.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace airlock::http {
namespace {

TEST(ApiErrorTest, HintAndFieldAreThereOnlyIfTheyHoldSomething) {
  const ApiError bare{.status = 400, .code = "x", .message = "m", .hint = {}, .field = {}};
  EXPECT_EQ(error_json(bare), R"({"error":{"code":"x","message":"m"}})");
  const ApiError full{.status = 400, .code = "x", .message = "m", .hint = "h", .field = "f[2].g"};
  EXPECT_EQ(error_json(full),
            R"({"error":{"code":"x","message":"m","hint":"h","field":"f[2].g"}})");
}

TEST(ApiErrorTest, BytesThatAreNoTextAreShownEscaped) {
  const ApiError error{.status = 500, .code = "x", .message = "\xff\"", .hint = {}, .field = {}};
  EXPECT_EQ(error_json(error), R"({"error":{"code":"x","message":"\\xff\""}})");
}

TEST(ApiErrorTest, EveryKindOfErrorHasAStatus) {
  const auto status = [](base::ErrorCode code) {
    return from_error({.code = code, .os_errno = 0, .message = "m", .hint = "h"}).status;
  };
  EXPECT_EQ(status(base::ErrorCode::kInvalidArgument), 400);
  EXPECT_EQ(status(base::ErrorCode::kPermissionDenied), 403);
  EXPECT_EQ(status(base::ErrorCode::kNotFound), 404);
  EXPECT_EQ(status(base::ErrorCode::kLimitExceeded), 413);
  EXPECT_EQ(status(base::ErrorCode::kIo), 500);
  EXPECT_EQ(status(base::ErrorCode::kProtocol), 502);
  EXPECT_EQ(status(base::ErrorCode::kUnavailable), 503);
}

TEST(ApiErrorTest, AnErrorKeepsItsHintAndItsErrno) {
  const ApiError error = from_error(
      {.code = base::ErrorCode::kIo, .os_errno = EMFILE, .message = "open", .hint = "close some"});
  EXPECT_EQ(error.message, "open: Too many open files");
  EXPECT_EQ(error.hint, "close some");
}

TEST(ApiErrorTest, AFieldComesFirstInTheMessage) {
  const auto result =
      at_field<void>("files[0].path", base::fail(base::ErrorCode::kInvalidArgument, "is empty"));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().message, "files[0].path is empty");
  EXPECT_EQ(result.error().field, "files[0].path");
}

TEST(ApiErrorTest, ABodyOfTheLargestSizeIsTakenAndOneByteMoreIsNot) {
  EXPECT_TRUE(check_body_size("abc", 3).has_value());
  const auto refused = check_body_size("abcd", 3);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().status, 413);
  EXPECT_EQ(refused.error().message, "the body has 4 bytes; this server takes at most 3");
}

}  // namespace
}  // namespace airlock::http
