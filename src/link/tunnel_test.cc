// Two ends of a link with nothing between them, and one end with somebody hostile.
#include "link/tunnel.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <thread>
#include <utility>

namespace airlock::link {
namespace {

using base::UniqueFd;

// As shim and airlock-link do: what nobody reads any more is an error of write(2).
const auto no_signal = signal(SIGPIPE, SIG_IGN);

std::pair<UniqueFd, UniqueFd> make_pair(int type) {
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}
std::pair<UniqueFd, UniqueFd> make_pipe() {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}
UniqueFd copy(const UniqueFd& fd) { return UniqueFd(fcntl(fd.get(), F_DUPFD_CLOEXEC, 3)); }

std::string read_all(const UniqueFd& fd) {
  std::string text;
  char chunk[8192];
  for (ssize_t count = 0; (count = read(fd.get(), chunk, sizeof chunk)) > 0;) {
    text.append(chunk, static_cast<std::size_t>(count));
  }
  return text;
}

// A keeper's and an init's socket, and two threads that carry what they say.
class LinkTest : public testing::Test {
 protected:
  LinkTest() {
    auto link = make_pair(SOCK_STREAM);
    auto keeper = make_pair(SOCK_SEQPACKET);
    auto init = make_pair(SOCK_SEQPACKET);
    keeper_ = std::move(keeper.first);
    init_ = std::move(init.first);
    host_ = std::thread([this, fd = link.first.release(), root = keeper.second.release()] {
      UniqueFd in(fd);
      UniqueFd out = copy(in);
      Tunnel tunnel({.side = Side::kHost,
                     .in = std::move(in),
                     .out = std::move(out),
                     .root = UniqueFd(root),
                     .scratch_directory = std::filesystem::temp_directory_path()});
      host_end_ = tunnel.run();
    });
    guest_ = std::thread([fd = link.second.release(), root = init.second.release()] {
      UniqueFd in(fd);
      UniqueFd out = copy(in);
      Tunnel tunnel({.side = Side::kGuest,
                     .in = std::move(in),
                     .out = std::move(out),
                     .root = UniqueFd(root)});
      tunnel.run();
    });
  }
  ~LinkTest() override {
    keeper_.reset();
    init_.reset();
    host_.join();
    guest_.join();
  }

  jail::Packet receive(const UniqueFd& fd) {
    jail::Packet packet;
    EXPECT_EQ(jail::receive_packet(fd.get(), buffer_, 0, &packet), jail::ReceiveStatus::kPacket);
    return packet;
  }
  // What init gets of an exec whose ends of the streams are given.
  jail::Packet exec(const UniqueFd& handshake, const UniqueFd& in, const UniqueFd& out) {
    jail::Exec request;
    request.cwd = "/";
    const UniqueFd err(open("/dev/null", O_WRONLY | O_CLOEXEC));
    const int fds[] = {handshake.get(), in.get(), out.get(), err.get()};
    EXPECT_EQ(jail::send_message(keeper_.get(), request, fds), 0);
    return receive(init_);
  }

  UniqueFd keeper_;
  UniqueFd init_;
  std::thread host_;
  std::thread guest_;
  TunnelEnd host_end_ = TunnelEnd::kFailed;
  std::array<char, 16 * 1024> buffer_{};
};

TEST_F(LinkTest, StreamsGoWhereTheirDescriptorsDo) {
  auto handshake = make_pair(SOCK_SEQPACKET);
  auto in = make_pipe();
  auto out = make_pipe();
  jail::Packet packet = exec(handshake.second, in.first, out.second);
  ASSERT_EQ(packet.fd_count, 4u);
  for (UniqueFd* fd : {&handshake.second, &in.first, &out.second}) fd->reset();
  ASSERT_EQ(write(in.second.get(), "hello", 5), 5);
  in.second.reset();
  EXPECT_EQ(read_all(packet.fds[1]), "hello");
  EXPECT_EQ(jail::send_message(packet.fds[0].get(), jail::Starting{7}), 0);
  const jail::Packet said = receive(handshake.first);
  jail::Starting starting;
  ASSERT_TRUE(jail::decode(said.bytes, &starting));
  EXPECT_EQ(starting.monotonic_ns, 7u);
  ASSERT_EQ(write(packet.fds[2].get(), "done", 4), 4);
  packet.fds[2].reset();
  EXPECT_EQ(read_all(out.first), "done");
}

// Or it would have ended by itself, with a status that means nothing.
TEST_F(LinkTest, WhyAProgramDidNotStartIsThereBeforeItsEndIsTold) {
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int i = 0; i < 500; ++i) {
    auto handshake = make_pair(SOCK_SEQPACKET);
    jail::Packet packet = exec(handshake.second, null, null);
    handshake.second.reset();
    ASSERT_EQ(jail::send_message(packet.fds[0].get(), jail::Starting{7}), 0);
    ASSERT_EQ(jail::send_message(packet.fds[0].get(), jail::StartFailed{1, ENOENT}), 0);
    packet.fds[0].reset();
    ASSERT_EQ(jail::send_message(init_.get(), jail::InitExited{}), 0);
    jail::InitExited exited;
    ASSERT_TRUE(jail::decode(receive(keeper_).bytes, &exited));
    jail::Packet said;
    jail::StartFailed failed;
    for (int of = 0; of < 2; ++of) {
      ASSERT_EQ(jail::receive_packet(handshake.first.get(), buffer_, MSG_DONTWAIT, &said),
                jail::ReceiveStatus::kPacket)
          << i;
    }
    ASSERT_TRUE(jail::decode(said.bytes, &failed));
    EXPECT_EQ(failed.stage_errno, ENOENT);
  }
}

TEST_F(LinkTest, AllOutputIsThereBeforeTheEndIsTold) {
  auto handshake = make_pair(SOCK_SEQPACKET);
  auto out = make_pipe();
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  jail::Packet packet = exec(handshake.second, null, out.second);
  out.second.reset();
  // Three windows of it, and the end while most of that is on its way.
  const std::string text(3 * kWindowBytes, 'x');
  std::thread program([&] {
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t count = write(packet.fds[2].get(), text.data() + done, text.size() - done);
      ASSERT_GT(count, 0);
      done += static_cast<std::size_t>(count);
    }
    packet.fds[2].reset();
    EXPECT_EQ(jail::send_message(init_.get(), jail::InitExited{}), 0);
    init_.reset();  // as one does that has nothing more to do
  });
  std::string got;
  std::thread reader([&] {
    usleep(50'000);  // a reader that is behind
    got = read_all(out.first);
  });
  const jail::Packet told = receive(keeper_);
  EXPECT_EQ(jail::message_type(told.bytes), jail::MessageType::kInitExited);
  program.join();
  reader.join();
  EXPECT_EQ(got, text);
}

TEST_F(LinkTest, AFileIsReadFromItsBeginningAndIsWholeWhereItArrives) {
  UniqueFd file(memfd_create("test", MFD_CLOEXEC));
  ASSERT_EQ(write(file.get(), "content", 7), 7);  // and is now at its end
  const int fds[] = {file.get()};
  ASSERT_EQ(jail::send_message(keeper_.get(), jail::PutFile{"workspace/a", false}, fds), 0);
  jail::Packet put = receive(init_);
  ASSERT_EQ(put.fd_count, 1u);
  EXPECT_EQ(read_all(put.fds[0]), "content");

  jail::Collect wanted;
  wanted.directory = "output";
  wanted.total_bytes_max = 1'000;
  ASSERT_EQ(jail::send_message(keeper_.get(), wanted), 0);
  receive(init_);
  ASSERT_EQ(jail::send_message(init_.get(), jail::CollectedFile{"a", 7}, fds), 0);
  jail::Packet collected = receive(keeper_);
  ASSERT_EQ(collected.fd_count, 1u);
  EXPECT_EQ(read_all(collected.fds[0]), "content");
}

// --- somebody hostile in the container ----------------------------------------------------------

// What becomes of a host's end that gets these bytes.
TunnelEnd feed(const std::string& bytes) {
  auto link = make_pair(SOCK_STREAM);
  auto root = make_pair(SOCK_SEQPACKET);
  EXPECT_EQ(write(link.second.get(), bytes.data(), bytes.size()),
            static_cast<ssize_t>(bytes.size()));
  shutdown(link.second.get(), SHUT_WR);
  UniqueFd out = copy(link.first);
  Tunnel tunnel({.side = Side::kHost,
                 .in = std::move(link.first),
                 .out = std::move(out),
                 .root = std::move(root.second),
                 .scratch_directory = std::filesystem::temp_directory_path()});
  return tunnel.run();
}

std::string frame(FrameType type, std::uint32_t channel, std::string_view payload) {
  const FrameHeader header{static_cast<std::uint32_t>(payload.size()), channel, type, {}};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + std::string(payload);
}

std::string packet(std::vector<FrameFd> fds, std::string_view bytes) {
  std::string payload(1, static_cast<char>(fds.size()));
  for (const FrameFd& fd : fds) payload.append(reinterpret_cast<const char*>(&fd), sizeof fd);
  return frame(FrameType::kPacket, kRootChannel, payload + std::string(bytes));
}

TEST(HostileLink, WhatMakesNoSenseEndsIt) {
  char bytes[64];
  char more[64];
  char other[64];
  const std::string_view message = jail::encode(jail::InitPutDone{}, bytes);
  const std::string_view file = jail::encode(jail::CollectedFile{"a", 1}, more, 1);
  const std::string_view listener = jail::encode(jail::Listener{}, other, 1);
  EXPECT_EQ(feed(packet({}, message)), TunnelEnd::kLinkClosed) << "what is right does not";
  EXPECT_EQ(feed(packet({{5, FdKind::kListener, {}}}, listener)), TunnelEnd::kLinkClosed);
  char keepers[64];
  const std::string_view of_a_keeper = jail::encode(jail::WorkspaceMount{}, keepers);
  const FrameHeader huge{0xffff'ffff, kRootChannel, FrameType::kPacket, {}};
  const std::pair<const char*, std::string> cases[] = {
      {"a frame longer than any", {reinterpret_cast<const char*>(&huge), sizeof huge}},
      {"an unknown type", frame(static_cast<FrameType>(99), kRootChannel, "x")},
      {"a packet without a count", frame(FrameType::kPacket, kRootChannel, "")},
      {"a packet shorter than a header", packet({}, "x")},
      {"more descriptors than there can be", frame(FrameType::kPacket, kRootChannel, "\x7f")},
      {"a packet on no channel", frame(FrameType::kPacket, 5, packet({}, message))},
      {"what only a shim says", packet({}, of_a_keeper)},
      {"a number that is the host's", packet({{4, FdKind::kFile, {}}}, file)},
      {"one number twice",
       packet({{5, FdKind::kFile, {}}}, file) + packet({{5, FdKind::kFile, {}}}, file)},
      {"a kind that does not belong to the message", packet({{5, FdKind::kRead, {}}}, file)},
      {"a descriptor with a message that has none", packet({{5, FdKind::kFile, {}}}, message)},
      {"an unknown kind", packet({{5, static_cast<FdKind>(77), {}}}, file)},
      {"data for the root", frame(FrameType::kData, kRootChannel, "x")},
      {"an end of the root", frame(FrameType::kEnd, kRootChannel, "")},
      {"more credit than there is",
       frame(FrameType::kCredit, kRootChannel, std::string(4, '\xff'))},
      {"a connection of no listener", frame(FrameType::kAccept, kRootChannel, "\5\0\0\0")},
      {"a file that nobody asked for",
       packet({{5, FdKind::kFile, {}}}, file) + frame(FrameType::kData, 5, "x")},
      {"a second listener", packet({{5, FdKind::kListener, {}}}, listener) +
                                packet({{7, FdKind::kListener, {}}}, listener)},
  };
  for (const auto& [name, sent] : cases) EXPECT_EQ(feed(sent), TunnelEnd::kProtocol) << name;
}

TEST(HostileLink, WhoIsNotReadyInTimeIsGivenUp) {
  auto in = make_pipe();
  auto out = make_pipe();
  auto root = make_pair(SOCK_SEQPACKET);
  Tunnel tunnel({.side = Side::kHost,
                 .in = std::move(in.first),
                 .out = std::move(out.second),
                 .root = std::move(root.second)});
  out.first.reset();  // whoever reads no more may still hold the other end, and say nothing
  tunnel.set_deadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(200));
  const std::clock_t before = std::clock();
  EXPECT_EQ(tunnel.run(), TunnelEnd::kTimeout);
  EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC / 20) << "it waits without a turn";
}

TEST(HostileLink, WhoNeverEndsAFileEndsTheLink) {
  char bytes[64];
  char more[64];
  std::string sent =
      packet({{5, FdKind::kFile, {}}}, jail::encode(jail::CollectedFile{"a", 1}, bytes, 1));
  for (int i = 0; i < 1'000; ++i) sent += packet({}, jail::encode(jail::InitPutDone{}, more));
  EXPECT_EQ(feed(sent), TunnelEnd::kProtocol);
}

}  // namespace
}  // namespace airlock::link
