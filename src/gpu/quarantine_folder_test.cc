#include "gpu/quarantine_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/clock.h"
#include "gpu/fake_source.h"

namespace airlock::gpu {
namespace {

namespace fs = std::filesystem;

class QuarantineFolderTest : public testing::Test {
 protected:
  QuarantineFolderTest() {
    std::string name = (fs::temp_directory_path() / "quarantine.XXXXXX").string();
    path_ = ::mkdtemp(name.data());
    pool_.refresh();
  }
  ~QuarantineFolderTest() override { fs::remove_all(path_); }

  QuarantineFolder open() {
    auto folder = QuarantineFolder::open_or_make(path_ / "gpus");
    EXPECT_TRUE(folder);
    return std::move(*folder);
  }
  fs::path file(std::uint32_t index) { return path_ / "gpus" / uuid_of(index); }
  static std::uint32_t free(Pool& pool) {
    pool.refresh();
    return pool.free_count("H200");
  }

  fs::path path_;
  FakeSource source_{4};
  base::ManualClock clock_;
  Pool pool_{source_, {}, clock_};
};

TEST_F(QuarantineFolderTest, AFaultOutlivesTheDaemon) {
  QuarantineFolder folder = open();
  source_.host.xids = {{uuid_of(1), 79}};
  EXPECT_EQ(free(pool_), 3u);
  ASSERT_TRUE(folder.sync(pool_));
  Pool next(source_, {}, clock_);
  QuarantineFolder opened = open();
  ASSERT_TRUE(opened.sync(next));
  EXPECT_EQ(free(next), 3u);
  ASSERT_EQ(next.quarantined().size(), 1u);
  EXPECT_EQ(next.quarantined()[0].reason, "Xid 79: the GPU has fallen off the bus");
}

TEST_F(QuarantineFolderTest, RemovingAFileLifts) {
  QuarantineFolder folder = open();
  pool_.quarantine(uuid_of(1), "a fault");
  ASSERT_TRUE(folder.sync(pool_));
  ASSERT_TRUE(folder.sync(pool_));
  EXPECT_EQ(free(pool_), 3u);
  ASSERT_TRUE(fs::remove(file(1)));
  ASSERT_TRUE(folder.sync(pool_));
  EXPECT_EQ(free(pool_), 4u);
  ASSERT_TRUE(folder.sync(pool_));
  EXPECT_FALSE(fs::exists(file(1)));
}

TEST_F(QuarantineFolderTest, MakingAFileQuarantinesWithItsReason) {
  QuarantineFolder folder = open();
  std::ofstream(file(2)) << "the fan is \x1b[31mloud\nand more\n";
  std::ofstream(file(3));
  std::ofstream(path_ / "gpus" / "README") << "not a GPU\n";
  ASSERT_TRUE(folder.sync(pool_));
  EXPECT_EQ(free(pool_), 2u);
  const auto all = pool_.quarantined();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].reason, "the fan is ?[31mloud");
  EXPECT_EQ(all[1].reason, "an operator's quarantine");
}

TEST_F(QuarantineFolderTest, WhatIsNoPlainFileQuarantinesAllTheSame) {
  QuarantineFolder folder = open();
  fs::create_symlink("/etc/shadow", file(0));
  ASSERT_EQ(::mkfifo(file(1).c_str(), 0600), 0);
  ASSERT_TRUE(folder.sync(pool_));
  EXPECT_EQ(free(pool_), 2u);
  for (const GpuFault& fault : pool_.quarantined()) {
    EXPECT_EQ(fault.reason, "an operator's quarantine");
  }
}

TEST_F(QuarantineFolderTest, WithoutItsFolderNothingIsLifted) {
  QuarantineFolder folder = open();
  pool_.quarantine(uuid_of(1), "a fault");
  ASSERT_TRUE(folder.sync(pool_));
  fs::remove_all(path_ / "gpus");
  const auto status = folder.sync(pool_);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("gpus"), std::string::npos);
  EXPECT_EQ(free(pool_), 3u);
}

}  // namespace
}  // namespace airlock::gpu
