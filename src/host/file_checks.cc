// Files: what the sandbox's file system is made from, and room for it.
#include <cerrno>
#include <cstring>
#include <string>

#include "base/units.h"
#include "host/checks.h"
#include "host/surroundings.h"
#include "model/isolation.h"
#include "model/limits.h"

namespace airlock::host {

namespace {

constexpr std::string_view kGroup = "files";
constexpr base::ByteCount kStateFreeMin = base::gibibytes(1);
constexpr std::uint64_t kStateInodesMin = 10'000;

Finding check_overlay(HostProbe& probe) {
  const Attempt attempt = probe.attempt(Trial::kOverlay);
  if (attempt.worked()) return ok_finding(kGroup, "overlay", "mounts in a user namespace");
  return warn_finding(kGroup, "overlay", attempt.step + ": " + std::strerror(attempt.os_errno),
                      "programs run on the host's /usr as always; only roots made of image layers "
                      "need overlay",
                      sudo_prefix(probe) + "modprobe overlay (and Linux 5.11 or newer)");
}

// Up to kTmpfsDiskMax the quota is the size of a tmpfs; above it a loop image holds the files.
Finding check_disk_quota(HostProbe& probe) {
  const std::string tmpfs = base::format_byte_count(model::kTmpfsDiskMax);
  const std::string meaning =
      "--disk above " + tmpfs + " is watched and not enforced; up to " + tmpfs + " it always holds";
  std::string problem;
  std::string fix;
  if (!probe.identity().is_root()) {
    problem = "loop images need root";
    fix = "run as root, or keep --disk at " + tmpfs + " or less";
  } else if (const Attempt loop = probe.attempt(Trial::kLoopDevice); !loop.worked()) {
    problem = std::string("/dev/loop-control: ") + std::strerror(loop.os_errno);
    fix = find_container(probe) == ContainerKind::kHost
              ? "modprobe loop"
              : "give the container loop devices: docker run --privileged IMAGE";
  } else if (!probe.may_execute("/usr/sbin/mkfs.ext4") && !probe.may_execute("/sbin/mkfs.ext4")) {
    problem = "mkfs.ext4 is not installed";
    fix = "apt-get install -y e2fsprogs";
  }
  if (problem.empty()) {
    return ok_finding(kGroup, "disk_quota",
                      "tmpfs up to " + tmpfs + ", a loop image with ext4 above");
  }
  Finding finding =
      warn_finding(kGroup, "disk_quota", "tmpfs up to " + tmpfs + "; " + problem, meaning, fix);
  finding.missing = {std::string(model::kMissingDiskQuota)};
  return finding;
}

Finding check_devices(HostProbe& probe) {
  constexpr std::string_view kDevices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                           "/dev/urandom"};
  std::string absent;
  for (const std::string_view device : kDevices) {
    const auto facts = probe.facts(std::string(device));
    if (facts && facts->kind == FileKind::kCharacterDevice) continue;
    absent += (absent.empty() ? "" : ", ") + std::string(device);
  }
  if (absent.empty()) return ok_finding(kGroup, "devices", "null, zero, full, random, urandom");
  return fail_finding(kGroup, "devices", "not character devices: " + absent,
                      "a sandbox's /dev is made of these nodes of the host",
                      sudo_prefix(probe) +
                          "mount -t devtmpfs devtmpfs /dev (in a container: start "
                          "it without a volume over /dev)");
}

Finding check_state(HostProbe& probe, const Question& question) {
  const auto space = probe.space(question.state);
  if (!space) {
    return warn_finding(kGroup, "disk_space", question.state + ": nothing is known of its disk",
                        "room for files of runs cannot be told", "df " + question.state);
  }
  const std::string seen = base::format_byte_count(space->free) + " free for " + question.state;
  if (space->free < kStateFreeMin || space->free_inodes < kStateInodesMin) {
    return warn_finding(kGroup, "disk_space",
                        seen + ", " + std::to_string(space->free_inodes) + " files more",
                        "runs with a large --disk and outputs may find no room",
                        "free some space on the file system of " + space->folder +
                            ": du -xh -d 2 " + space->folder + " | sort -h | tail");
  }
  if (!probe.may_write(space->folder)) {
    return warn_finding(
        kGroup, "disk_space", seen + ", but " + space->folder + " is not writable",
        "`airlock run` does not need it; what is kept between runs does",
        "sudo install -d -o " + std::to_string(probe.identity().uid) + " " + question.state);
  }
  return ok_finding(kGroup, "disk_space", seen);
}

}  // namespace

Findings check_files(HostProbe& probe, const Question& question) {
  return {check_overlay(probe), check_disk_quota(probe), check_devices(probe),
          check_state(probe, question)};
}

}  // namespace airlock::host
