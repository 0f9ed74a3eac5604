#include "receipt/output_check.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "receipt/statement.h"
#include "receipt/test_receipt.h"

namespace airlock::receipt {
namespace {

class OutputCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "outputs-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    std::filesystem::create_directory(folder_ + "/z");
    write("a.txt", "abc\n");
    write("z/b.txt", "hello\n");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }
  // "path: reason" of the only problem; empty if there is none.
  std::string problem(const std::vector<FileIdentity>& ignored = {}) const {
    const auto receipt = make_receipt(test_record(), test_facts(), test_key());
    const auto verified = verify_receipt(receipt->envelope, std::nullopt);
    const auto problems = check_outputs(*verified, folder_, ignored);
    if (!problems) return problems.error().to_string();
    EXPECT_LE(problems->size(), 1u);
    return problems->empty() ? "" : problems->front().path + ": " + problems->front().reason;
  }

  std::string folder_;
};

TEST_F(OutputCheckTest, TheFilesOfTheReceiptAreFine) {
  EXPECT_EQ(problem(), "");
  write(std::string(kManifestName), make_manifest(test_record()));
  EXPECT_EQ(problem(), "");
}

TEST_F(OutputCheckTest, EveryDifferenceIsNamed) {
  write("a.txt", "abd\n");
  EXPECT_EQ(problem(), "a.txt: other content");
  write("a.txt", "abc");
  EXPECT_EQ(problem(), "a.txt: 3 bytes instead of 4");
  std::filesystem::remove(folder_ + "/a.txt");
  EXPECT_EQ(problem(), "a.txt: missing");
}

TEST_F(OutputCheckTest, AnotherManifestIsNamed) {
  write(std::string(kManifestName), "{}");
  EXPECT_TRUE(problem().starts_with("airlock-manifest.json: "));
}

TEST_F(OutputCheckTest, WhatTheReceiptDoesNotListIsNamed) {
  write("z/more", "");
  EXPECT_EQ(problem(), "z/more: not in the receipt");
  struct stat status{};
  ASSERT_EQ(::stat((folder_ + "/z/more").c_str(), &status), 0);
  EXPECT_EQ(problem({{.device = status.st_dev, .inode = status.st_ino}}), "");
}

TEST_F(OutputCheckTest, LinksAreNotFollowed) {
  std::filesystem::rename(folder_ + "/a.txt", folder_ + "/../outputs-elsewhere");
  std::filesystem::create_symlink("../outputs-elsewhere", folder_ + "/a.txt");
  EXPECT_TRUE(problem().starts_with("a.txt: open: "));
  std::filesystem::remove(folder_ + "/../outputs-elsewhere");
}

TEST_F(OutputCheckTest, ADeviceOrFifoDoesNotHangIt) {
  std::filesystem::remove(folder_ + "/a.txt");
  ASSERT_EQ(::mkfifo((folder_ + "/a.txt").c_str(), 0600), 0);
  EXPECT_EQ(problem(), "a.txt: not a regular file");
}

}  // namespace
}  // namespace airlock::receipt
