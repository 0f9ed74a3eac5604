#include "host/proc_files.h"

#include <gtest/gtest.h>

namespace airlock::host {
namespace {

TEST(ProcFilesTest, KernelVersionsAreReadFromAnyDistributionsRelease) {
  EXPECT_EQ(parse_kernel_version("6.18.44-fc"), (KernelVersion{6, 18}));
  EXPECT_EQ(parse_kernel_version("5.4"), (KernelVersion{5, 4}));
  EXPECT_EQ(parse_kernel_version("6.1+"), (KernelVersion{6, 1}));
  EXPECT_FALSE(parse_kernel_version("6"));
  EXPECT_FALSE(parse_kernel_version(""));
  EXPECT_LT((KernelVersion{5, 11}), (KernelVersion{6, 1}));
}

TEST(ProcFilesTest, MountsAreReadWithAnyNumberOfOptionalFields) {
  const auto mounts = parse_mounts(
      "36 35 98:0 /sub /mnt rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n"
      "33 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
      "nonsense\n"
      "1 2 3 / - \n");
  ASSERT_EQ(mounts.size(), 2U);
  EXPECT_EQ(mounts[0].root, "/sub");
  EXPECT_EQ(mounts[0].point, "/mnt");
  EXPECT_EQ(mounts[0].type, "ext3");
  EXPECT_EQ(mounts[0].super_options, "rw,errors=continue");
  EXPECT_TRUE(mounts[1].has_super_option("cpuacct"));
  EXPECT_FALSE(mounts[1].has_super_option("cpus"));
}

TEST(ProcFilesTest, IdRangesTouchOnlyWhereTheyShareAnId) {
  const auto ranges = parse_id_ranges("alice:100:10\nbroken\nbob:1:x\n");
  ASSERT_EQ(ranges.size(), 1U);
  EXPECT_TRUE(ranges[0].overlaps(109, 1));
  EXPECT_FALSE(ranges[0].overlaps(110, 5));
  EXPECT_FALSE(ranges[0].overlaps(90, 10));
  EXPECT_TRUE(ranges[0].overlaps(0, 1000));
}

TEST(ProcFilesTest, OnlyListeningSocketsOfThatPortAreFound) {
  constexpr std::string_view kTable =
      "sl local rem st tx tr re uid timeout inode\n"
      "0: 0100007F:1F98 00000000:0000 0A 0:0 0:0 0 0 0 111 1\n"
      "1: 0100007F:1F98 0100007F:9C40 01 0:0 0:0 0 0 0 222 1\n"
      "2: 0100007F:0050 00000000:0000 0A 0:0 0:0 0 0 0 333 1\n"
      "3: 00000000000000000000000001000000:1F98 0:0 0A 0:0 0:0 0 0 0 444 1\n";
  EXPECT_EQ(find_listening_inodes(kTable, 8088), (std::vector<std::uint64_t>{111, 444}));
  EXPECT_TRUE(find_listening_inodes(kTable, 8089).empty());
  EXPECT_TRUE(find_listening_inodes("", 8088).empty());
}

TEST(ProcFilesTest, MeminfoIsInBytes) {
  EXPECT_EQ(parse_meminfo("MemTotal:  2 kB\nMemFree: 1 kB\n", "MemFree"), 1024U);
  EXPECT_FALSE(parse_meminfo("MemTotal: 2 kB\n", "Mem"));
}

TEST(ProcFilesTest, NumbersAreWholeOrNothing) {
  EXPECT_EQ(parse_number(" 12\n"), 12U);
  EXPECT_EQ(parse_number("1F98", 16), 8088U);
  EXPECT_FALSE(parse_number("12x"));
  EXPECT_FALSE(parse_number(""));
  EXPECT_FALSE(parse_number("-1"));
  EXPECT_FALSE(parse_number("99999999999999999999"));
}

}  // namespace
}  // namespace airlock::host
