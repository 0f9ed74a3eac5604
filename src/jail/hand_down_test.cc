#include "jail/hand_down.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace airlock::jail {
namespace {

TEST(HandDownTest, AStepThatTheHostForbidsIsAReason) {
  EXPECT_TRUE(is_refused_by_host({Stage::kClone, EPERM}));
  EXPECT_TRUE(is_refused_by_host({Stage::kClone, ENOSYS}));
  EXPECT_TRUE(is_refused_by_host({Stage::kMountProc, EPERM}));
  EXPECT_TRUE(is_refused_by_host({Stage::kMountPrivate, EACCES}));
}

TEST(HandDownTest, WhatMayPassIsNone) {
  EXPECT_FALSE(is_refused_by_host({}));
  EXPECT_FALSE(is_refused_by_host({Stage::kClone, ENOMEM}));
  EXPECT_FALSE(is_refused_by_host({Stage::kClone, EAGAIN}));
  EXPECT_FALSE(is_refused_by_host({Stage::kClone, ENOSPC}));
  EXPECT_FALSE(is_refused_by_host({Stage::kSlot, EAGAIN}));
  EXPECT_FALSE(is_refused_by_host({Stage::kCgroup, EPERM}));
  EXPECT_FALSE(is_refused_by_host({Stage::kExec, EACCES}));
  EXPECT_FALSE(is_refused_by_host({Stage::kInit, EPIPE}));
}

TEST(HandDownTest, WhatALauncherIsToldIsUnderstood) {
  const char* words[] = {"airlock-nest", "--control-fd", "7",       "--single",
                         "--tell",       "--allow-tier", "process", "--expect-disk",
                         "65536",        "--folder",     "a=/x",    "--folder",
                         "b=/y",         "--devices-fd", "9"};
  int control = -1;
  const auto options =
      parse_launcher_arguments(std::size(words), const_cast<char**>(words), &control);
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(control, 7);
  EXPECT_TRUE(options->single);
  EXPECT_TRUE(options->tells_when_settled);
  EXPECT_TRUE(options->allow_process);
  EXPECT_EQ(options->expected.disk_bytes, 65536u);
  EXPECT_EQ(options->folders, (std::vector<std::string>{"a=/x", "b=/y"}));
  EXPECT_EQ(options->devices_fd, 9);
}

}  // namespace
}  // namespace airlock::jail
