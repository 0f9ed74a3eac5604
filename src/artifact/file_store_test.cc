#include "artifact/file_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "artifact/beneath.h"
#include "artifact/digest.h"

namespace airlock::artifact {
namespace {

namespace fs = std::filesystem;

class FileStoreTest : public testing::Test {
 protected:
  FileStoreTest() {
    std::string name = (fs::temp_directory_path() / "artifact-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    fs::create_directory(folder_ / "root");
    store_ = FileStore::open(root().string(), clock_, random_).value();
  }
  ~FileStoreTest() override { fs::remove_all(folder_); }

  fs::path root() const { return folder_ / "root"; }

  void write(const fs::path& path, std::string_view content) const {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }
  static std::string read(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  base::Result<ContentDigest> get(const std::string& key) {
    const base::UniqueFd fd(
        ::open((folder_ / "got").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    return store_->get(key, fd.get(), base::ByteCount(1'000), control_);
  }
  base::Result<ContentDigest> put(const std::string& key, std::string_view content) {
    write(folder_ / "source", content);
    const base::UniqueFd fd(::open((folder_ / "source").c_str(), O_RDONLY | O_CLOEXEC));
    return store_->put({.key = key, .fd = fd.get(), .size = base::ByteCount(content.size())},
                       control_);
  }
  std::vector<std::string> names(const std::string& prefix = {}) {
    std::vector<std::string> keys;
    for (const ObjectInfo& object : store_->list(prefix, 100, control_).value()) {
      keys.push_back(object.key);
    }
    return keys;
  }

  base::SystemClock clock_;
  base::SeededRandom random_{1};
  Control control_;
  fs::path folder_;
  std::unique_ptr<FileStore> store_;
};

using Names = std::vector<std::string>;

TEST_F(FileStoreTest, WhatIsPutIsListedAndGot) {
  EXPECT_EQ(put("a/b c/ü", "content").value().sha256, sha256_hex("content"));
  EXPECT_EQ(put("empty", "").value().size, base::ByteCount(0));
  EXPECT_EQ(names(), (Names{"a/b c/ü", "empty"}));
  EXPECT_EQ(names("a/"), (Names{"a/b c/ü"}));
  EXPECT_EQ(get("a/b c/ü").value().sha256, sha256_hex("content"));
  EXPECT_EQ(read(folder_ / "got"), "content");
}

TEST_F(FileStoreTest, NoLinkIsFollowedAnywhere) {
  write(folder_ / "secret/file", "secret");
  fs::create_symlink(folder_ / "secret/file", root() / "link");
  fs::create_symlink("../secret", root() / "folder");
  fs::create_symlink("folder", root() / "chain");
  for (const std::string key : {"link", "folder/file", "chain/file"}) {
    const auto got = get(key);
    ASSERT_FALSE(got.has_value()) << key;
    EXPECT_NE(got.error().message.find("link"), std::string::npos) << got.error().message;
    EXPECT_EQ(read(folder_ / "got"), "");
  }
  ASSERT_FALSE(put("folder/file", "mine").has_value());
  EXPECT_EQ(read(folder_ / "secret/file"), "secret");
  const auto list = store_->list("", 100, control_);
  ASSERT_FALSE(list.has_value());
  EXPECT_NE(list.error().message.find("symbolic link"), std::string::npos);
  EXPECT_FALSE(store_->list("folder/", 100, control_).has_value());
}

TEST_F(FileStoreTest, ALinkInThePlaceOfAnOutputIsReplacedNotFollowed) {
  write(folder_ / "secret", "secret");
  fs::create_symlink(folder_ / "secret", root() / "out");
  ASSERT_TRUE(put("out", "mine").has_value());
  EXPECT_EQ(read(folder_ / "secret"), "secret");
  EXPECT_FALSE(fs::is_symlink(root() / "out"));
}

TEST_F(FileStoreTest, KeysThatLeadOutAreRefused) {
  write(folder_ / "secret", "secret");
  for (const std::string key : {"../secret", "/etc/passwd", "a/../../secret", "", "."}) {
    EXPECT_FALSE(get(key).has_value()) << key;
    EXPECT_FALSE(put(key, "x").has_value()) << key;
  }
  EXPECT_FALSE(store_->list("../", 100, control_).has_value());
  EXPECT_EQ(read(folder_ / "secret"), "secret");
}

TEST_F(FileStoreTest, PipesAndDevicesAreRefusedByNameWithoutWaiting) {
  ASSERT_EQ(::mkfifo((root() / "pipe").c_str(), 0600), 0);
  const auto got = get("pipe");
  ASSERT_FALSE(got.has_value());
  EXPECT_NE(got.error().message.find("\"pipe\" is a pipe"), std::string::npos);
  EXPECT_FALSE(store_->list("", 100, control_).has_value());
  fs::create_directory(root() / "folder");
  EXPECT_EQ(get("folder").error().code, base::ErrorCode::kNotFound);
  EXPECT_EQ(get("nothing").error().code, base::ErrorCode::kNotFound);
  EXPECT_EQ(get("pipe/x").error().code, base::ErrorCode::kNotFound);
}

TEST_F(FileStoreTest, AFailedPutLeavesWhatWasThereAndNothingElse) {
  ASSERT_TRUE(put("a", "old").has_value());
  write(folder_ / "short", "abc");
  const base::UniqueFd fd(::open((folder_ / "short").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_FALSE(
      store_->put({.key = "a", .fd = fd.get(), .size = base::ByteCount(4)}, control_).has_value());
  EXPECT_EQ(read(root() / "a"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(root()), {}), 1);
}

TEST_F(FileStoreTest, AFileInThePlaceOfAFolderIsNamed) {
  ASSERT_TRUE(put("a", "x").has_value());
  EXPECT_NE(put("a/b", "x").error().message.find("\"a\" is a file"), std::string::npos);
  ASSERT_TRUE(put("d/e", "x").has_value());
  EXPECT_NE(put("d", "x").error().message.find("is a folder"), std::string::npos);
}

TEST_F(FileStoreTest, ASweepTakesWhatTheDeadLeftAndNothingElse) {
  ASSERT_TRUE(put("out/a", "whole").has_value());
  write(root() / "out" / (std::string(kPartPrefix) + "dead"), "part");
  write(root() / "other" / (std::string(kPartPrefix) + "dead"), "part");
  const base::UniqueFd root_fd(::open(root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  auto live = PendingFile::create(root_fd.get(), "out/b", random_, Sync::kNone);
  ASSERT_TRUE(live.has_value());
  EXPECT_EQ(names("out/"), (Names{"out/a"}));
  EXPECT_EQ(store_->sweep({.prefix = "out/", .age_min = std::chrono::hours(1)}, control_).value(),
            0U);
  EXPECT_EQ(store_->sweep({.prefix = "out/", .keys = {"out/x/y"}}, control_).value(), 0U);
  EXPECT_EQ(store_->sweep({.prefix = "out/", .keys = {"out/a"}}, control_).value(), 1U);
  ASSERT_TRUE(live->publish().has_value());
  EXPECT_EQ(names("out/"), (Names{"out/a", "out/b"}));
  EXPECT_EQ(store_->sweep({.prefix = ""}, control_).value(), 1U);
  EXPECT_EQ(store_->sweep({.prefix = "nothing/"}, control_).value(), 0U);
}

TEST_F(FileStoreTest, LimitsCancelAndDeadlineEndACall) {
  ASSERT_TRUE(put("a", std::string(1'001, 'x')).has_value());
  ASSERT_TRUE(put("b", "x").has_value());
  EXPECT_EQ(get("a").error().code, base::ErrorCode::kLimitExceeded);
  EXPECT_EQ(store_->list("", 1, control_).error().code, base::ErrorCode::kLimitExceeded);
  const std::atomic<bool> cancelled = true;
  control_.cancelled = &cancelled;
  EXPECT_EQ(get("b").error().code, base::ErrorCode::kCancelled);
  EXPECT_EQ(put("c", "x").error().code, base::ErrorCode::kCancelled);
  control_ = {.deadline = std::chrono::steady_clock::now()};
  EXPECT_EQ(put("c", "x").error().code, base::ErrorCode::kLimitExceeded);
}

TEST(FileRootsTest, TheLongestRootThatHoldsThePathIsTaken) {
  const std::vector<std::string> roots = {"/data", "/data/deep/", "/other"};
  const auto key_of = [&roots](std::string_view path) {
    const RootedPath found = find_root(path, roots).value();
    return found.root + ":" + found.key;
  };
  EXPECT_EQ(key_of("/data/in/a"), "/data:in/a");
  EXPECT_EQ(key_of("/data/deep/a"), "/data/deep:a");
  EXPECT_EQ(key_of("/data"), "/data:");
  EXPECT_EQ(key_of("/data/"), "/data:");
  for (const char* const path : {"/database/x", "/", "/etc/passwd", "/dat"}) {
    const auto found = find_root(path, roots);
    ASSERT_FALSE(found.has_value()) << path;
    EXPECT_EQ(found.error().code, base::ErrorCode::kPermissionDenied);
    EXPECT_NE(found.error().hint.find("\"/other\""), std::string::npos);
  }
  EXPECT_FALSE(find_root("/data", {}).has_value());
  EXPECT_EQ(find_root("/a/b", {"/"}).value().key, "a/b");
}

}  // namespace
}  // namespace airlock::artifact
