#include "jail/wire.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "jail/channel.h"
#include "jail/stage.h"
#include "jail/wire_durable.h"

#include <sys/socket.h>
#include <unistd.h>

namespace airlock::jail {
namespace {

using std::operator""sv;

std::string list_bytes(const std::vector<std::string>& words) {
  std::string bytes;
  for (const std::string& word : words) bytes += word + '\0';
  return bytes;
}

std::string encoded_exec() {
  const std::string argv = list_bytes({"/bin/true", "", "ünï"});
  const std::string env = list_bytes({"A=1"});
  Exec exec;
  exec.id = 7;
  exec.wall_ms = 10'000;
  exec.cwd = "/workspace";
  exec.argv = {argv.data(), argv.size(), 3};
  exec.env = {env.data(), env.size(), 1};
  static char buffer[4096];
  return std::string(encode(exec, buffer));
}

TEST(WireTest, ExecComesBackAsItWasSent) {
  const std::string packet = encoded_exec();
  Exec exec;
  ASSERT_TRUE(decode(packet, &exec));
  EXPECT_EQ(exec.id, 7u);
  EXPECT_EQ(exec.wall_ms, 10'000u);
  EXPECT_EQ(exec.cwd, "/workspace");
  std::vector<std::string> words;
  exec.argv.for_each([&](std::string_view word) { words.emplace_back(word); });
  EXPECT_EQ(words, (std::vector<std::string>{"/bin/true", "", "ünï"}));
  EXPECT_EQ(exec.cwd.data()[exec.cwd.size()], '\0') << "strings are terminated in the packet";
}

TEST(WireTest, EveryTruncationIsRefused) {
  const std::string packet = encoded_exec();
  for (std::size_t size = 0; size < packet.size(); ++size) {
    Exec exec;
    EXPECT_FALSE(decode(std::string_view(packet).substr(0, size), &exec)) << size;
  }
}

TEST(WireTest, TrailingBytesAreRefused) {
  Exec exec;
  EXPECT_FALSE(decode(encoded_exec() + "x", &exec));
}

TEST(WireTest, AnotherTypeOrMagicIsRefused) {
  std::string packet = encoded_exec();
  PutFile put;
  EXPECT_FALSE(decode(packet, &put));
  packet[0] = 'X';
  Exec exec;
  EXPECT_FALSE(decode(packet, &exec));
  EXPECT_EQ(message_type(packet), MessageType{});
}

TEST(WireTest, ALengthBeyondThePacketIsRefused) {
  char buffer[256];
  std::string packet(encode(CreateSandbox{"default", {}, {}, {}}, buffer));
  packet[sizeof(Header)] = '\xff';
  packet[sizeof(Header) + 3] = '\x7f';
  CreateSandbox create;
  EXPECT_FALSE(decode(packet, &create));
}

TEST(WireTest, AStringWithNulInsideIsNeitherSentNorAccepted) {
  char buffer[256];
  EXPECT_TRUE(encode(CreateSandbox{"a\0b"sv, {}, {}, {}}, buffer).empty());
  std::string packet(encode(CreateSandbox{"abc", {}, {}, {}}, buffer));
  packet[sizeof(Header) + 5] = '\0';
  CreateSandbox create;
  EXPECT_FALSE(decode(packet, &create));
}

TEST(WireTest, AListMustHoldAsManyStringsAsItSays) {
  const std::string bytes = list_bytes({"a", "b"});
  char buffer[256];
  Collect collect;
  collect.directory = "output";
  collect.patterns = {bytes.data(), bytes.size(), 3};
  const std::string packet(encode(collect, buffer));
  Collect decoded;
  EXPECT_FALSE(decode(packet, &decoded));
}

TEST(WireTest, AListenerIsAskedForByPortAndComesOrSaysWhyNot) {
  char buffer[64];
  Listen listen;
  EXPECT_TRUE(decode(encode(Listen{3'128}, buffer), &listen));
  EXPECT_EQ(listen.port, 3'128);
  Listener listener;
  EXPECT_FALSE(decode(encode(Listen{3'128}, buffer), &listener));
  EXPECT_TRUE(decode(encode(Listener{98}, buffer), &listener));
  EXPECT_EQ(listener.os_errno, 98);
}

TEST(WireTest, AMessageThatDoesNotFitGivesNothing) {
  char small[16];
  EXPECT_TRUE(encode(CreateSandbox{"a profile with a long name", {}, {}, {}}, small).empty());
}

TEST(WireTest, ReportCarriesItsDenials) {
  Report report;
  report.denied_count = 2;
  report.denied[1] = {kForeignCall, 9};
  char buffer[4096];
  Report decoded;
  ASSERT_TRUE(decode(encode(report, buffer), &decoded));
  EXPECT_EQ(decoded.denied[1].entry, kForeignCall);
  EXPECT_EQ(decoded.denied[1].count, 9u);
}

TEST(WireTest, WhatIsSaidOfADurableWorkspaceComesBack) {
  char buffer[4096];
  OpenWorkspace open;
  ASSERT_TRUE(decode(encode(OpenWorkspace{.disk_bytes = 1, .name = "job_1"}, buffer), &open));
  EXPECT_EQ(open.name, "job_1");
  AdoptedProcess process;
  ASSERT_TRUE(decode(encode(AdoptedProcess{.tag = "build", .seccomp_profile = "gpu"}, buffer, 1),
                     &process));
  EXPECT_EQ(process.tag, "build");
  EXPECT_EQ(process.seccomp_profile, "gpu");
  Report report;
  report.has_log = true;
  report.log = {.written = 5, .dropped = 6, .truncated = true, .os_errno = 28};
  Report decoded;
  ASSERT_TRUE(decode(encode(report, buffer), &decoded));
  EXPECT_TRUE(decoded.has_log);
  EXPECT_EQ(decoded.log.dropped, 6u);
  EXPECT_EQ(decoded.log.os_errno, 28);
}

TEST(StageTest, EveryStageHasAName) {
  for (std::uint16_t i = 0; i < static_cast<std::uint16_t>(Stage::kCount); ++i) {
    EXPECT_NE(stage_name(static_cast<Stage>(i)), "unknown");
  }
  EXPECT_EQ(stage_name(static_cast<Stage>(999)), "unknown");
}

class ChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    left_.reset(pair[0]);
    right_.reset(pair[1]);
  }
  base::UniqueFd left_;
  base::UniqueFd right_;
  char buffer_[1024];
};

TEST_F(ChannelTest, DescriptorsTravelWithTheirMessage) {
  const int fds[] = {STDERR_FILENO, STDERR_FILENO};
  ASSERT_EQ(send_message(left_.get(), DestroySandbox{}, fds), 0);
  Packet packet;
  ASSERT_EQ(receive_packet(right_.get(), buffer_, 0, &packet), ReceiveStatus::kPacket);
  EXPECT_EQ(packet.fd_count, 2u);
  EXPECT_TRUE(packet.fds[1].valid());
}

TEST_F(ChannelTest, ACountThatDiffersFromTheDescriptorsIsMalformed) {
  char bytes[64];
  const std::string_view packet_bytes = encode(DestroySandbox{}, bytes, /*fd_count=*/1);
  ASSERT_EQ(send_packet(left_.get(), packet_bytes), 0);
  Packet packet;
  EXPECT_EQ(receive_packet(right_.get(), buffer_, 0, &packet), ReceiveStatus::kMalformed);
}

TEST_F(ChannelTest, APacketLongerThanTheBufferIsMalformed) {
  const std::string long_packet(4096, 'x');
  ASSERT_EQ(send_packet(left_.get(), long_packet), 0);
  Packet packet;
  EXPECT_EQ(receive_packet(right_.get(), buffer_, 0, &packet), ReceiveStatus::kMalformed);
}

TEST_F(ChannelTest, TheEndOfThePeerIsSeen) {
  left_.reset();
  Packet packet;
  EXPECT_EQ(receive_packet(right_.get(), buffer_, 0, &packet), ReceiveStatus::kClosed);
  EXPECT_EQ(send_message(right_.get(), DestroySandbox{}), EPIPE);
}

TEST_F(ChannelTest, WhatAPeerSaidLastArrivesThoughItDidNotListenAnyMore) {
  ASSERT_EQ(send_message(left_.get(), Kill{}), 0);  // is never read
  ASSERT_EQ(send_message(right_.get(), Report{}), 0);
  right_.reset();
  Packet packet;
  EXPECT_EQ(receive_packet(left_.get(), buffer_, 0, &packet), ReceiveStatus::kPacket);
  EXPECT_EQ(receive_packet(left_.get(), buffer_, 0, &packet), ReceiveStatus::kClosed);
}

TEST_F(ChannelTest, AnEmptyChannelWouldBlock) {
  Packet packet;
  EXPECT_EQ(receive_packet(right_.get(), buffer_, MSG_DONTWAIT, &packet),
            ReceiveStatus::kWouldBlock);
}

}  // namespace
}  // namespace airlock::jail
