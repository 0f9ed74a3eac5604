#include <gtest/gtest.h>

#include <cerrno>

#include "host/fake_host.h"

namespace airlock::host {
namespace {

Finding examined(FakeHost host, std::string_view id) {
  const Findings findings = check_files(host, usual_question());
  const Finding* finding = find_finding(findings, id);
  return finding != nullptr ? *finding : Finding{};
}

TEST(FileChecksTest, WithoutOverlayRunsStillWork) {
  FakeHost host;
  host.failures[Trial::kOverlay] = {.os_errno = ENODEV, .step = "mount overlay"};
  EXPECT_EQ(examined(host, "overlay").status, FindingStatus::kWarn);
}

TEST(FileChecksTest, QuotasAboveTheTmpfsNeedRootALoopDeviceAndMkfs) {
  EXPECT_EQ(examined(FakeHost(), "disk_quota").status, FindingStatus::kOk);
  FakeHost no_loop;
  no_loop.failures[Trial::kLoopDevice] = {.os_errno = ENOENT, .step = "/dev/loop-control"};
  EXPECT_EQ(examined(no_loop, "disk_quota").fix, "modprobe loop");
  FakeHost no_mkfs;
  no_mkfs.programs.erase("/usr/sbin/mkfs.ext4");
  EXPECT_EQ(examined(no_mkfs, "disk_quota").fix, "apt-get install -y e2fsprogs");
  const Finding user = examined(FakeHost::as_user(), "disk_quota");
  EXPECT_EQ(user.status, FindingStatus::kWarn);
  EXPECT_EQ(user.missing, (std::vector<std::string>{"disk_quota"}));
}

TEST(FileChecksTest, ANodeThatIsAPlainFileFails) {
  FakeHost host;
  host.nodes["/dev/null"].kind = FileKind::kRegular;
  const Finding finding = examined(host, "devices");
  EXPECT_EQ(finding.status, FindingStatus::kFail);
  EXPECT_EQ(finding.seen, "not character devices: /dev/null");
}

TEST(FileChecksTest, LittleSpaceAndNoRightToWriteAreWarnings) {
  FakeHost host;
  host.disk.free = base::mebibytes(1023);
  EXPECT_EQ(examined(host, "disk_space").status, FindingStatus::kWarn);
  host.disk.free = base::gibibytes(1);
  EXPECT_EQ(examined(host, "disk_space").status, FindingStatus::kOk);
  host.disk.free_inodes = 9'999;
  EXPECT_EQ(examined(host, "disk_space").status, FindingStatus::kWarn);
  host.disk.free_inodes = 10'000;
  host.read_only.insert("/var/lib");
  EXPECT_EQ(examined(host, "disk_space").fix, "sudo install -d -o 0 /var/lib/airlock");
}

}  // namespace
}  // namespace airlock::host
