#include "artifact/digest.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace airlock::artifact {
namespace {

base::UniqueFd file_of(const std::string& content) {
  base::UniqueFd fd(::memfd_create("content", MFD_CLOEXEC));
  EXPECT_EQ(::write(fd.get(), content.data(), content.size()), std::ssize(content));
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_SET), 0);
  return fd;
}

TEST(DigestFileTest, GoesFromWhereTheDescriptorStandsToTheEnd) {
  const std::string content = std::string(300'000, 'a') + "abc";
  const base::UniqueFd file = file_of(content);
  const auto whole = digest_file(file.get(), content.size());
  ASSERT_TRUE(whole.has_value()) << whole.error().to_string();
  EXPECT_EQ(whole->sha256, sha256_hex(content));
  EXPECT_EQ(whole->bytes, content.size());
  ASSERT_EQ(::lseek(file.get(), -3, SEEK_END), 300'000);
  const auto rest = digest_file(file.get(), content.size());
  ASSERT_TRUE(rest.has_value()) << rest.error().to_string();
  EXPECT_EQ(rest->sha256, sha256_hex("abc"));
  EXPECT_EQ(rest->bytes, 3U);
}

TEST(DigestFileTest, ALargerFileIsNotReadToItsEnd) {
  const base::UniqueFd file = file_of(std::string(1'000'000, 'a'));
  const auto digest = digest_file(file.get(), 1'000);
  ASSERT_FALSE(digest.has_value());
  EXPECT_EQ(digest.error().code, base::ErrorCode::kLimitExceeded);
  EXPECT_LT(::lseek(file.get(), 0, SEEK_CUR), 1'000'000);
}

TEST(DigestFileTest, WhatCannotBeReadIsAnError) { EXPECT_FALSE(digest_file(-1, 1).has_value()); }

}  // namespace
}  // namespace airlock::artifact
