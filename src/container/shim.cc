#include "container/shim.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <optional>
#include <utility>

#include "container/image_environment.h"
#include "jail/channel.h"
#include "jail/guest_process.h"
#include "jail/sandbox_layout.h"
#include "jail/stage.h"
#include "jail/wire_grants.h"
#include "link/tunnel.h"

namespace airlock::container {
namespace {

using base::UniqueFd;

constexpr int kOutOfTheWay = 20;
constexpr std::string_view kInputPrefix = "input/";

// What the keeper says before init may start programs, kept to be said again inside.
struct Setup {
  std::string view;
  std::string workspace;
  std::string exec;
};

class Shim {
 public:
  Shim(const ShimPlan& plan, UniqueFd channel)
      : plan_(plan), channel_(std::move(channel)), runtime_(plan.make_runtime()) {}

  int run() {
    Setup setup;
    ContainerRequest request;
    request.slot = plan_.slot;
    if (!receive_setup(&setup, &request)) return 0;  // nobody wants it any more
    const auto deadline = std::chrono::steady_clock::now() + plan_.start_timeout;
    auto container = runtime_->start(std::move(request));
    if (!container.has_value()) return refuse(container.error());
    if (container->workspace.valid()) {
      const int fds[] = {container->workspace.get()};
      jail::send_message(channel_.get(), jail::WorkspaceMount{}, fds);
      container->workspace.reset();
    }
    return join(setup, std::move(*container), deadline);
  }

 private:
  bool receive(std::string* kept, jail::Packet* packet) {
    if (jail::receive_packet(channel_.get(), buffer_, 0, packet) != jail::ReceiveStatus::kPacket) {
      return false;
    }
    jail::Header header;
    std::memcpy(&header, packet->bytes.data(), sizeof header);
    header.fd_count = 0;
    kept->assign(packet->bytes);
    std::memcpy(kept->data(), &header, sizeof header);
    return true;
  }

  bool receive_setup(Setup* setup, ContainerRequest* request) {
    jail::Packet packet;
    jail::ViewSetup view;
    if (!receive(&setup->view, &packet) || !jail::decode(packet.bytes, &view)) return false;
    request->directory = view.workspace_directory;
    request->workspace_read_only = view.workspace_read_only;
    request->reusable = view.hand_back_workspace;
    view.devices.for_each([&](std::string_view name) { request->devices.emplace_back(name); });
    request->image = view.image;
    const std::uint32_t binds = view.binds;
    for (std::uint32_t i = 0; i < binds; ++i) {
      jail::Bind bind;
      std::string ignored;
      if (!receive(&ignored, &packet) || !jail::decode(packet.bytes, &bind) ||
          packet.fd_count != 1) {
        return false;
      }
      request->given.push_back({std::move(packet.fds[0]), "/" + std::string(bind.target)});
    }
    jail::WorkspaceSetup workspace;
    if (!receive(&setup->workspace, &packet) || !jail::decode(packet.bytes, &workspace)) {
      return false;
    }
    request->tmpfs_options = workspace.tmpfs_options;
    std::size_t next = 0;
    if (workspace.has_mount && packet.fd_count > 0)
      request->workspace = std::move(packet.fds[next++]);
    while (next < packet.fd_count) request->entrances.push_back(std::move(packet.fds[next++]));
    return receive(&setup->exec, &packet);
  }

  int refuse(const base::Error& error) {
    const std::string detail =
        (error.to_string() + (error.hint.empty() ? "" : " (" + error.hint + ")"))
            .substr(0, jail::kDetailBytesMax);
    jail::InitReady failure;
    failure.stage = static_cast<std::uint16_t>(
        runtime_->fails_by_image() ? jail::Stage::kImage : jail::Stage::kContainer);
    failure.stage_errno = error.os_errno != 0 ? error.os_errno : EIO;
    failure.detail = detail;
    jail::send_message(channel_.get(), failure);
    return 1;
  }

  // The last line that whoever made the container complained of.
  static std::string last_words(const UniqueFd& said) {
    char text[4096];
    const off_t size = lseek(said.get(), 0, SEEK_END);
    const off_t from = std::max<off_t>(0, size - static_cast<off_t>(sizeof text));
    const ssize_t count = size > 0 ? pread(said.get(), text, sizeof text, from) : 0;
    std::string_view words(text, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    while (words.ends_with('\n')) words.remove_suffix(1);
    return std::string(words.substr(words.rfind('\n') + 1));
  }

  int join(const Setup& setup, Container container,
           std::chrono::steady_clock::time_point deadline) {
    link::Tunnel tunnel({.side = link::Side::kHost,
                         .in = std::move(container.out),
                         .out = std::move(container.in),
                         .root = std::move(channel_),
                         .scratch_directory = plan_.scratch_directory,
                         .unwrap = std::move(container.unwrap),
                         .on_sent = [&](jail::Packet* packet) { return pass(packet, &tunnel); },
                         .on_received = [&](std::string* packet) { complete(packet, &tunnel); }});
    tunnel.set_deadline(deadline);
    for (const std::string* said : {&setup.view, &setup.workspace, &setup.exec}) {
      tunnel.send(*said);
    }
    const link::TunnelEnd end = tunnel.run();
    if (failure_.has_value()) {
      channel_ = tunnel.release_root();
      return refuse(*failure_);
    }
    if (!ready_) {
      channel_ = tunnel.release_root();
      std::string words = last_words(container.said);
      if (end == link::TunnelEnd::kTimeout) {
        words = "the container was not ready within " +
                std::to_string(plan_.start_timeout.count()) + " ms" +
                (words.empty() ? "" : ": " + words);
      } else if (words.empty()) {
        words = "the container ended before it was ready";
      }
      return refuse({base::ErrorCode::kUnavailable, 0, std::move(words), {}});
    }
    if (end == link::TunnelEnd::kProtocol || end == link::TunnelEnd::kFailed) {
      std::fprintf(stderr, "airlock-broker: the link to the container of slot %u %s\n", plan_.slot,
                   end == link::TunnelEnd::kProtocol ? "says what makes no sense" : "failed");
    }
    return 0;
  }

  link::Sent pass(jail::Packet* packet, link::Tunnel* tunnel) {
    jail::Exec exec;
    if (jail::decode(packet->bytes, &exec)) {
      const base::Status limited = runtime_->limit(exec);
      if (!limited) {
        failure_ = limited.error();
        return link::Sent::kEnd;
      }
      return add_environment(exec, packet) ? link::Sent::kForward : link::Sent::kEnd;
    }
    jail::PutFile put;
    if (!jail::decode(packet->bytes, &put) || !put.path.starts_with(kInputPrefix) ||
        packet->fd_count != 1) {
      return link::Sent::kForward;
    }
    // What cannot be written here init cannot write either, and it is init who tells.
    if (runtime_->put_input(put, packet->fds[0]) != 0) return link::Sent::kForward;
    tunnel->give(std::string(jail::encode(jail::InitPutDone{}, encoded_)));
    return link::Sent::kTaken;
  }

  bool add_environment(jail::Exec request, jail::Packet* packet) {
    const std::vector<std::string> of_image = runtime_->environment();
    if (of_image.empty()) return true;
    const std::vector<std::string> entries = merge_environment(of_image, request.env);
    std::string words;
    for (const std::string& entry : entries) words += entry + '\0';
    request.env = {words.data(), words.size(), static_cast<std::uint32_t>(entries.size())};
    packet->bytes = jail::encode(request, rewritten_, packet->fd_count);
    if (!packet->bytes.empty() && entries.size() <= jail::kListEntriesMax) return true;
    failure_ = base::Error{base::ErrorCode::kLimitExceeded,
                           E2BIG,
                           "the program's words and the image's environment are too long",
                           {}};
    return false;
  }

  // A container may have a clock of its own, which says nothing here.
  void complete(std::string* packet, link::Tunnel* tunnel) {
    jail::InitReady told;
    if (jail::decode(*packet, &told)) ready_ |= told.complete || told.stage != 0;
    if (ready_) tunnel->set_deadline(std::nullopt);
    jail::Starting starting;
    jail::InitExited exited;
    if (jail::decode(*packet, &starting)) {
      starting.monotonic_ns = jail::monotonic_ns();
      packet->assign(jail::encode(starting, encoded_));
    } else if (jail::decode(*packet, &exited)) {
      exited.monotonic_ns = jail::monotonic_ns();
      packet->assign(jail::encode(exited, encoded_));
    }
  }

  const ShimPlan& plan_;
  UniqueFd channel_;
  std::unique_ptr<Runtime> runtime_;
  char buffer_[jail::kMessageBytesMax];
  char encoded_[512];
  char rewritten_[jail::kMessageBytesMax];
  bool ready_ = false;
  std::optional<base::Error> failure_;  // of what had to be done before a program starts
};

// What the keeper has open is not ours to hold.
void close_others(int first_kept, int second_kept) {
  const int low = std::min(first_kept, second_kept);
  const int high = std::max(first_kept, second_kept);
  if (low > 3) syscall(SYS_close_range, 3, low - 1, 0);
  if (high > low + 1) syscall(SYS_close_range, low + 1, high - 1, 0);
  syscall(SYS_close_range, high + 1, ~0u, 0);
}

[[noreturn]] void be_shim(const ShimPlan& plan, int end_fd) {
  prctl(PR_SET_NAME, "airlock-shim");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_DUMPABLE, 0);
  setsid();
  signal(SIGCHLD, SIG_DFL);
  const int channel = fcntl(plan.channel_fd, F_DUPFD_CLOEXEC, kOutOfTheWay);
  const int end = fcntl(end_fd, F_DUPFD_CLOEXEC, kOutOfTheWay);
  close_others(channel, end);
  const auto shim = std::make_unique<Shim>(plan, UniqueFd(channel));
  _exit(shim->run());
}

}  // namespace

sys::RawChild start_shim(const ShimPlan& plan) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {-errno, -1};
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  const pid_t pid = fork();
  if (pid == 0) be_shim(plan, theirs.get());
  if (pid < 0) return {-errno, -1};
  return {pid, ours.release()};
}

}  // namespace airlock::container
