#include "artifact/transfer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "artifact/control.h"
#include "artifact/digest.h"
#include "artifact/names.h"
#include "base/files.h"
#include "base/unique_fd.h"

namespace airlock::artifact {
namespace {

// Objects in memory, with keys that no folder would have; remembers what was done, in order.
class MemoryStore final : public Store {
 public:
  std::string describe(std::string_view key) const override { return "mem:" + std::string(key); }

  base::Result<std::vector<ObjectInfo>> list(const std::string& prefix, std::size_t objects_max,
                                             const Control&) override {
    std::vector<ObjectInfo> found;
    for (const auto& [key, content] : objects) {
      if (key.starts_with(prefix)) found.push_back({key, base::ByteCount(content.size())});
    }
    if (found.size() > objects_max) return base::fail(base::ErrorCode::kLimitExceeded, "many");
    return found;
  }
  base::Result<ContentDigest> get(const std::string& key, int fd, base::ByteCount,
                                  const Control&) override {
    calls.push_back("get " + key);
    const auto found = objects.find(key);
    if (found == objects.end()) return base::fail(base::ErrorCode::kNotFound, "no " + key);
    AIRLOCK_TRY(base::write_all(fd, found->second, "it"));
    if (breaks) return base::fail(base::ErrorCode::kIo, "broke");
    return ContentDigest{base::ByteCount(found->second.size()), sha256_hex(found->second)};
  }
  base::Result<ContentDigest> put(const Upload& upload, const Control&) override {
    calls.push_back("put " + upload.key);
    if (breaks) return base::fail(base::ErrorCode::kIo, "broke");
    std::string content(upload.size.count(), '\0');
    EXPECT_EQ(::pread(upload.fd, content.data(), content.size(), 0),
              static_cast<ssize_t>(content.size()));
    objects[upload.key] = content;
    return ContentDigest{upload.size, sha256_hex(content)};
  }
  base::Result<std::size_t> sweep(const SweepRequest& request, const Control&) override {
    calls.push_back("sweep " + request.prefix);
    swept_keys = request.keys;
    if (refuses_sweep) return base::fail(base::ErrorCode::kPermissionDenied, "not allowed");
    return 2;
  }

  std::map<std::string, std::string> objects;
  std::vector<std::string> calls;
  std::set<std::string> swept_keys;
  bool breaks = false;
  bool refuses_sweep = false;
};

class MemorySink final : public InputSink {
 public:
  base::Result<int> begin(const std::string& path) override {
    path_ = path;
    fd_.reset(::memfd_create("sink", MFD_CLOEXEC));
    return fd_.get();
  }
  base::Status end() override {
    std::string content(static_cast<std::size_t>(::lseek(fd_.get(), 0, SEEK_END)), '\0');
    EXPECT_EQ(::pread(fd_.get(), content.data(), content.size(), 0),
              static_cast<ssize_t>(content.size()));
    files[path_] = content;
    return {};
  }
  void discard() override { ++discarded; }

  std::map<std::string, std::string> files;
  int discarded = 0;

 private:
  std::string path_;
  base::UniqueFd fd_;
};

class TransferTest : public testing::Test {
 protected:
  TransferTest() {
    auto store = std::make_unique<MemoryStore>();
    store_ = store.get();
    location_.store = std::move(store);
  }

  auto fetch(std::string key) {
    location_.key = std::move(key);
    return fetch_input(location_, sink_, options_);
  }

  OutputFile output(std::string path, std::string_view content) {
    const auto open = [text = std::string(content)]() -> base::Result<base::UniqueFd> {
      base::UniqueFd fd(::memfd_create("output", MFD_CLOEXEC));
      EXPECT_EQ(::pwrite(fd.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
      return fd;
    };
    return {.path = std::move(path), .open = open, .size = base::ByteCount(content.size())};
  }

  MemoryStore* store_ = nullptr;
  OpenedLocation location_;
  MemorySink sink_;
  TransferOptions options_;
};

using Files = std::map<std::string, std::string>;

TEST_F(TransferTest, AnObjectBecomesInputData) {
  store_->objects = {{"in/data.csv", "1,2"}, {"in/data.csv.old", "0"}};
  const auto digests = fetch("in/data.csv");
  ASSERT_TRUE(digests.has_value());
  EXPECT_EQ(sink_.files, (Files{{"input_data", "1,2"}}));
  ASSERT_EQ(digests->size(), 1U);
  EXPECT_EQ((*digests)[0].path, "input_data");
  EXPECT_EQ((*digests)[0].sha256, sha256_hex("1,2"));
}

TEST_F(TransferTest, APrefixBecomesFilesByTheirRelativeNames) {
  store_->objects = {{"in/a", "1"}, {"in/b/c", "2"}, {"in/b/", ""}, {"in/", ""}, {"input", "3"}};
  for (const char* const key : {"in/", "in"}) {
    sink_.files.clear();
    const auto digests = fetch(key);
    ASSERT_TRUE(digests.has_value()) << digests.error().to_string();
    EXPECT_EQ(sink_.files, (Files{{"a", "1"}, {"b/c", "2"}}));
    EXPECT_EQ((*digests)[1].path, "b/c");
  }
}

TEST_F(TransferTest, NothingThereIsAnErrorThatNamesWhatWasAskedFor) {
  store_->objects = {{"other", "1"}};
  EXPECT_EQ(fetch("in").error().message, "no in");
  EXPECT_EQ(fetch("in/").error().code, base::ErrorCode::kNotFound);
  EXPECT_EQ(sink_.discarded, 1);
}

TEST_F(TransferTest, AKeyThatLeadsAstrayIsRefusedByNameBeforeAnythingIsFetched) {
  for (const std::string bad : {"../x", "/x", "b/../../x", "a//b", "x\n", "x/", "\xff"}) {
    store_->objects = {{"in/a", "1"}, {"in/" + bad, "2"}};
    store_->calls.clear();
    const auto digests = fetch("in/");
    ASSERT_FALSE(digests.has_value()) << bad;
    EXPECT_NE(digests.error().message.find(artifact::quoted(bad)), std::string::npos)
        << digests.error().message;
    EXPECT_TRUE(store_->calls.empty());
  }
}

TEST_F(TransferTest, AnObjectThatIsAFolderTooIsRefused) {
  store_->objects = {{"in/a", "1"}, {"in/a.b", "2"}, {"in/a/b/c", "3"}};
  const auto digests = fetch("in/");
  ASSERT_FALSE(digests.has_value());
  EXPECT_NE(digests.error().message.find("\"a/b/c\""), std::string::npos);
  EXPECT_TRUE(store_->calls.empty());
}

TEST_F(TransferTest, LimitsHoldForAllFilesTogether) {
  store_->objects = {{"in/a", "12345"}, {"in/b", "12345"}};
  options_.limits.bytes_max = base::ByteCount(9);
  EXPECT_EQ(fetch("in/").error().code, base::ErrorCode::kLimitExceeded);
  options_.limits = {.files_max = 1};
  EXPECT_EQ(fetch("in/").error().code, base::ErrorCode::kLimitExceeded);
  EXPECT_TRUE(store_->calls.empty());
  EXPECT_EQ(
      push_outputs(location_, {output("a", "1"), output("b", "2")}, {}, options_).error().code,
      base::ErrorCode::kLimitExceeded);
  options_.limits = {.bytes_max = base::ByteCount(1)};
  EXPECT_EQ(
      push_outputs(location_, {output("a", "1"), output("b", "2")}, {}, options_).error().code,
      base::ErrorCode::kLimitExceeded);
  EXPECT_TRUE(store_->calls.empty());
}

TEST_F(TransferTest, WhatBrokeIsThrownAway) {
  store_->objects = {{"in/a", "1"}};
  store_->breaks = true;
  EXPECT_FALSE(fetch("in/a").has_value());
  EXPECT_EQ(sink_.discarded, 1);
  EXPECT_TRUE(sink_.files.empty());
}

TEST_F(TransferTest, TheManifestGoesLast) {
  location_.key = "out/1";
  const auto result = push_outputs(location_, {output("z", "1"), output("b/c", "2")},
                                   output("manifest.json", "{}"), options_);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(store_->calls, (std::vector<std::string>{"sweep out/1/", "put out/1/z", "put out/1/b/c",
                                                     "put out/1/manifest.json"}));
  EXPECT_EQ(store_->swept_keys,
            (std::set<std::string>{"out/1/z", "out/1/b/c", "out/1/manifest.json"}));
  ASSERT_EQ(result->size(), 3U);
  EXPECT_EQ((*result)[2].path, "manifest.json");
  EXPECT_EQ((*result)[2].sha256, sha256_hex("{}"));
}

TEST_F(TransferTest, AfterAFailedOutputThereIsNoManifest) {
  store_->breaks = true;
  EXPECT_FALSE(push_outputs(location_, {output("a", "1")}, output("manifest.json", "{}"), options_)
                   .has_value());
  EXPECT_EQ(store_->calls.back(), "put a");
}

TEST_F(TransferTest, ASweepThatIsNotAllowedDoesNoHarm) {
  store_->refuses_sweep = true;
  const auto result = push_outputs(location_, {output("a", "1")}, {}, options_);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(store_->objects.at("a"), "1");
}

TEST_F(TransferTest, OutputsWithBadOrDoubleNamesAreRefusedBeforeAnythingIsSent) {
  location_.key = std::string(1'000, 'k');
  for (const auto& files :
       {std::vector{output("../a", "1")}, std::vector{output("a", "1"), output("a", "2")},
        std::vector{output(std::string(30, 'a'), "1")}}) {
    EXPECT_FALSE(push_outputs(location_, files, {}, options_).has_value());
  }
  EXPECT_FALSE(push_outputs(location_, {output("a", "1")}, output("a", "2"), options_).has_value());
  EXPECT_TRUE(store_->calls.empty());
}

TEST(OpenLocationTest, AFileOutsideOfTheRootsIsNotOpened) {
  const base::SystemClock clock;
  base::SeededRandom random(1);
  const StorageConfig config{
      .file_roots = {"/nowhere/root"}, .s3 = {}, .environment = {}, .retry = {}};
  const auto outside =
      open_location(parse_location("file:///etc/passwd").value(), config, clock, random);
  ASSERT_FALSE(outside.has_value());
  EXPECT_EQ(outside.error().code, base::ErrorCode::kPermissionDenied);
  const auto missing =
      open_location(parse_location("file:///nowhere/root/a").value(), config, clock, random);
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().hint.find("file_roots"), std::string::npos);
  const auto no_keys =
      open_location(parse_location("s3://bucket/a").value(), config, clock, random);
  ASSERT_FALSE(no_keys.has_value());
  EXPECT_EQ(no_keys.error().message, "there are no credentials for S3");
}

}  // namespace
}  // namespace airlock::artifact
