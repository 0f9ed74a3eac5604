// Tunnel: one end of the stream of frames.h. Packets that come in at the root socket go out as
// frames, and the other way; every descriptor of a packet becomes a channel.
//
// Both ends are this class, the host's in a shim, the guest's in airlock-link. Neither trusts the
// other: a frame that makes no sense ends the link, nothing grows without a bound, and what a
// reader does not take is not read. One thread, which ignores SIGPIPE; run() returns when the link
// or the root is closed.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/poll_timeout.h"
#include "base/unique_fd.h"
#include "jail/channel.h"
#include "link/frames.h"

namespace airlock::link {

enum class Side : std::uint8_t { kHost, kGuest };

// What becomes of a packet of the root: it goes to the guest, it went somewhere else, or the tunnel
// ends.
enum class Sent : std::uint8_t { kForward, kTaken, kEnd };

enum class TunnelEnd : std::uint8_t { kLinkClosed, kRootClosed, kProtocol, kFailed, kTimeout };

struct TunnelOptions {
  Side side = Side::kHost;
  base::UniqueFd in;  // the link: read from, written to; may be the same socket twice
  base::UniqueFd out;
  base::UniqueFd root;  // SOCK_SEQPACKET
  // Of the host: files that come from the guest are kept here, and listening sockets; both have no
  // name for longer than they must.
  std::string scratch_directory = {};
  // Takes what is ours out of what the link brings, where something else is wrapped around it;
  // false: it makes no sense.
  std::function<bool(std::string* wrapped, std::string* plain)> unwrap = {};
  // Before a packet of the root goes to the guest.
  std::function<Sent(jail::Packet* packet)> on_sent = {};
  // Before a packet of the guest is given out; may put others in its place.
  std::function<void(std::string* packet)> on_received = {};
};

class Tunnel {
 public:
  explicit Tunnel(TunnelOptions options);
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  // A packet that is not read from the root but known already; it has no descriptors.
  void send(std::string_view packet);
  // A packet for the root that does not come from the guest.
  void give(std::string packet);
  TunnelEnd run();
  // run() returns kTimeout then; nullopt: never, as at the beginning.
  void set_deadline(std::optional<std::chrono::steady_clock::time_point> deadline) {
    deadline_ = deadline;
  }
  // After that: the root, for what is left to be said.
  base::UniqueFd release_root();

 private:
  enum class Kind : std::uint8_t { kPackets, kStream, kFile, kListener };
  struct Outgoing {
    std::string bytes;
    std::vector<base::UniqueFd> fds;
    std::uint32_t awaited_files = 0;
    bool after_streams = false;  // tells of the end of a process: its output comes first
  };
  struct Channel {
    std::uint32_t id = 0;
    Kind kind = Kind::kStream;
    base::UniqueFd fd;
    bool reads = false;      // from fd, to be sent
    bool writes = false;     // to fd, what is received
    bool is_output = false;  // of a program: not before its end is told
    bool ending = false;     // nothing more is received: closes when pending is written
    std::uint32_t credit = kWindowBytes;  // that may still be sent
    bool is_regular = false;              // read from its beginning, wherever others stand in it
    std::uint64_t offset = 0;             // of a regular file, and what is left of it
    std::uint64_t left = UINT64_MAX;
    std::string pending;           // received, not written yet
    std::deque<Outgoing> packets;  // kPackets: received, not given out yet
    Outgoing* awaiting = nullptr;  // kFile: the packet that waits for it
    std::string path;              // kListener of the host: where to connect to
  };
  using Channels = std::list<Channel>;

  // Each returns false when the link has to end.
  bool read_link();
  bool write_link();
  // An init that has nothing more to do ends at once: what it said last may not be on its way yet.
  TunnelEnd say_the_rest();
  // The same seen from the host: output that a slow reader has not taken yet outlives the link.
  TunnelEnd give_out_the_rest();
  bool take_frames();
  bool take_frame(const FrameHeader& header, std::string_view payload);
  bool take_packet(Channel* channel, std::string_view payload);
  bool take_data(Channel* channel, std::string_view payload);
  bool take_end(Channel* channel);
  bool take_accept(const Channel& listener, std::string_view payload);
  bool make_local(const FrameFd& described, Outgoing* packet);
  bool read_local(Channel* channel);
  bool read_packets(Channel* channel);
  bool read_stream(Channel* channel);
  bool accept_one(Channel* channel);
  bool give_out(Channel* channel);
  bool write_local(Channel* channel);
  // What programs wrote before they ended has been sent (guest) or written (host).
  bool outputs_are_through();
  // All that there is: why a program did not start comes before its end.
  void read_handshakes();
  bool send_held();

  void serve(Channel* channel, short events, bool* ok);
  void send_packet(std::uint32_t channel, std::string_view bytes, std::span<base::UniqueFd> fds);
  void frame(FrameType type, std::uint32_t channel, std::string_view payload);
  void frame_number(FrameType type, std::uint32_t channel, std::uint32_t number);
  Channel* add(std::uint32_t id, Kind kind, base::UniqueFd fd);
  std::uint32_t add_own(Kind kind, base::UniqueFd fd, bool reads, bool writes);
  Channel* find(std::uint32_t id);
  void stop_reading(Channel* channel);
  void drop_ended();
  bool is_own(std::uint32_t id) const { return (id % 2 == 1) == (side_ == Side::kGuest); }
  bool any_waits() const;
  // For poll(): -1 where there is no deadline.
  int milliseconds_left() const {
    return deadline_ ? base::poll_timeout_ms(std::chrono::steady_clock::now(), *deadline_) : -1;
  }
  base::UniqueFd open_scratch_file() const;
  bool make_listener(Channel* channel, base::UniqueFd* listening);
  void note_root_packet(std::string_view packet);

  Side side_;
  base::UniqueFd in_;
  base::UniqueFd out_;
  std::string scratch_;
  std::function<bool(std::string*, std::string*)> unwrap_;
  std::function<Sent(jail::Packet*)> on_sent_;
  std::function<void(std::string*)> on_received_;
  Channels channels_;
  std::uint32_t next_id_;
  std::uint32_t listeners_made_ = 0;
  std::string wrapped_;
  std::string received_;
  std::size_t taken_ = 0;  // of received_
  std::string to_send_;
  std::size_t sent_ = 0;  // of to_send_
  std::string held_;      // the guest's: tells of an end, and waits for the output before it
  std::uint64_t file_bytes_left_ = 0;  // that the guest may send of collected files
  std::optional<std::chrono::steady_clock::time_point> deadline_;
  TunnelEnd end_ = TunnelEnd::kFailed;
  std::vector<char> buffer_;
};

}  // namespace airlock::link
