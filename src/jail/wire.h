// The protocol between caller, launcher, keeper and init: small messages over SOCK_SEQPACKET.
//
// One packet is one message: a fixed header, then fields in order. Every length is checked; a
// decoded message borrows the packet's bytes. Nothing here allocates. A message is described once,
// by visit(), which writes and reads it. More messages: wire_durable.h, wire_grants.h.
//
//   caller -> launcher  kOpenWorkspace  fd: the keeper's end of a new channel
//   caller -> keeper    kCreateSandbox kDestroySandbox kListen kPutFile(fd) kExec(fds) kCollect
//                       kKeepLayer kLayerOrder
//   keeper -> caller    kListener(fd) kLayerKept kLayersDone; kCollectedFile(fd)* kRefusedFile*
//                       kCollectDone, which unasked says that the sandbox died early
//   caller -> keeper    kSignal kTerminate kKill        on the channel that came with kExec
//   keeper -> caller    kTerminal(fd) kReport           on the same
//   keeper -> init      kViewSetup kBind(fd)* kWorkspaceSetup(fds) kExecSetup, then kListen
//                       kPutFile kExec kCollect kReadTree kInitSignal
//   init -> keeper      kWorkspaceMount(fd) kInitReady kInitExited kInitPutDone kTerminal(fd),
//                       kListener(fd), and what answers kCollect; kTreeEntry(fd)* kTreeDone
//                       answer kReadTree
//   init -> standby process  kConfine(fd) kExec
//   new process -> keeper  kStarting(fd) or kStartFailed, on a socket of its own that exec closes
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "jail/wire_fields.h"

namespace airlock::jail {

// Another one as soon as a message changes: keepers outlive the daemon, and what a newer one cannot
// speak with it must not adopt.
inline constexpr std::uint32_t kWireMagic = 0x324b4c41;  // "ALK2"
inline constexpr std::size_t kMessageBytesMax = 128 * 1024;
inline constexpr std::size_t kMessageFdsMax = 8;
inline constexpr std::size_t kDeniedCallsMax = 64;
inline constexpr std::size_t kDetailBytesMax = 512;

enum class MessageType : std::uint16_t {
  kOpenWorkspace = 1,
  kCreateSandbox,
  kDestroySandbox,
  kPutFile,
  kExec,
  kCollect,
  kCollectedFile,
  kRefusedFile,
  kCollectDone,
  kSignal,
  kTerminate,
  kKill,
  kTerminal,
  kReport,
  kViewSetup,
  kWorkspaceSetup,
  kExecSetup,
  kConfine,
  kInitReady,
  kInitExited,
  kInitPutDone,
  kInitSignal,
  kWorkspaceMount,
  kStarting,
  kStartFailed,
  kAdoptWorkspace,
  kDiscardWorkspace,
  kListWorkspaces,
  kWorkspaceNames,
  kWorkspaceAnswer,
  kAdopted,
  kAdoptedProcess,
  kForgetProcess,
  kEndWorkspace,
  kListen,
  kListener,
  kBind,
  kKeepLayer,
  kLayerKept,
  kReadTree,
  kTreeEntry,
  kTreeDone,
  kLayerOrder,
  kLayerListed,
  kLayersDone,
};

struct Header {
  std::uint32_t magic = kWireMagic;
  MessageType type{};
  std::uint16_t fd_count = 0;
};
static_assert(sizeof(Header) == 8);

struct OpenWorkspace {
  static constexpr MessageType kType = MessageType::kOpenWorkspace;
  std::uint64_t disk_bytes = 0;
  std::uint32_t inodes = 0;
  std::uint64_t memory_bytes = 0;
  bool reusable = false;  // more than one sandbox will be made on it
  std::string_view name;  // it outlives its caller; empty: it does not
  void visit(auto& a) { a(disk_bytes, inodes, memory_bytes, reusable, name); }
};

struct CreateSandbox {
  static constexpr MessageType kType = MessageType::kCreateSandbox;
  std::string_view seccomp_profile;
  std::string_view layer;  // read-only at /build; empty: a part of the workspace is there
  StringList folders;      // names of what the operator gave the launcher
  StringList devices;
  bool workspace_read_only = false;  // nothing that is done here stays in /workspace
  std::string_view image = {};       // of a container; empty: the operator's default
  void visit(auto& a) { a(seccomp_profile, layer, folders, devices, workspace_read_only, image); }
};

struct DestroySandbox {
  static constexpr MessageType kType = MessageType::kDestroySandbox;
  void visit(auto&) {}
};

struct PutFile {
  static constexpr MessageType kType = MessageType::kPutFile;
  std::string_view path;
  bool executable = false;
  void visit(auto& a) { a(path, executable); }
};

// fds: the process channel, then stdin, stdout, stderr unless `terminal`, or the log file if there
// is one (`log_bytes_max`), instead of which init gets pipes; towards init also the entrances of
// the cgroup that it moves to before it forks. Towards init the first fd
// is the handshake socket of the new process instead.
struct Exec {
  static constexpr MessageType kType = MessageType::kExec;
  std::uint32_t id = 0;  // chosen by the keeper
  bool terminal = false;
  bool last = false;  // the sandbox ends with it
  std::uint64_t wall_ms = 0;
  std::uint64_t cpu_ms = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t pids = 0;
  std::uint32_t cpu_rate_percent = 0;
  std::uint32_t open_files = 0;
  bool use_rlimits = false;  // set by the keeper: no cgroup holds memory and pids
  std::string_view cwd;
  StringList argv;
  StringList env;
  std::string_view tag;             // its report is kept until it is forgotten
  std::uint64_t log_bytes_max = 0;  // 0: it has no log
  void visit(auto& a) {
    a(id, terminal, last, wall_ms, cpu_ms, memory_bytes, pids, cpu_rate_percent, open_files,
      use_rlimits, cwd, argv, env, tag, log_bytes_max);
  }
};

struct Collect {
  static constexpr MessageType kType = MessageType::kCollect;
  std::string_view directory;
  StringList patterns;
  std::uint32_t files_max = 0;
  std::uint64_t file_bytes_max = 0;
  std::uint64_t total_bytes_max = 0;
  void visit(auto& a) { a(directory, patterns, files_max, file_bytes_max, total_bytes_max); }
};

struct CollectedFile {
  static constexpr MessageType kType = MessageType::kCollectedFile;
  std::string_view path;
  std::uint64_t size = 0;
  void visit(auto& a) { a(path, size); }
};

struct RefusedFile {
  static constexpr MessageType kType = MessageType::kRefusedFile;
  std::string_view path;  // as found: any bytes but NUL and '/'
  std::string_view reason;
  void visit(auto& a) { a(path, reason); }
};

struct CollectDone {
  static constexpr MessageType kType = MessageType::kCollectDone;
  bool truncated = false;
  std::int32_t os_errno = 0;
  // Why there is no sandbox, for a person, where more than that is known; and at which Stage.
  std::string_view detail = {};
  std::uint16_t stage = 0;
  void visit(auto& a) { a(truncated, os_errno, detail, stage); }
};

struct Signal {
  static constexpr MessageType kType = MessageType::kSignal;
  std::int32_t number = 0;
  void visit(auto& a) { a(number); }
};

struct Terminate {
  static constexpr MessageType kType = MessageType::kTerminate;
  std::uint8_t reason = 0;  // model::KillReason
  std::uint64_t grace_ms = 0;
  void visit(auto& a) { a(reason, grace_ms); }
};

struct Kill {
  static constexpr MessageType kType = MessageType::kKill;
  std::uint8_t reason = 0;  // model::KillReason
  void visit(auto& a) { a(reason); }
};

// The master side of a pty, as an fd.
struct Terminal {
  static constexpr MessageType kType = MessageType::kTerminal;
  std::uint32_t id = 0;
  void visit(auto& a) { a(id); }
};

// What a sandbox lacks, as bits; model/isolation.h has the names.
enum Missing : std::uint32_t {
  kLacksCgroup = 1 << 0,
  kLacksCgroupMemory = 1 << 1,
  kLacksCgroupPids = 1 << 2,
  kLacksCgroupCpu = 1 << 3,
  kLacksMemoryPeak = 1 << 4,
  kLacksPidsPeak = 1 << 5,
  kLacksUidRange = 1 << 6,
  kLacksSupplementaryGroups = 1 << 7,
  kLacksLandlock = 1 << 8,
  kLacksCoreScheduling = 1 << 9,
  kLacksDiskQuota = 1 << 10,
  kLacksDenialReport = 1 << 11,
  kLacksPrivateView = 1 << 12,
  kLacksMountNamespace = 1 << 13,
  kLacksPidNamespace = 1 << 14,
  kLacksNetworkNamespace = 1 << 15,
  kLacksIpcNamespace = 1 << 16,
  kLacksUtsNamespace = 1 << 17,
  kLacksUserNamespace = 1 << 18,
  kLacksOwnRoot = 1 << 19,
  kLacksProc = 1 << 20,
  kLacksChmod = 1 << 21,
  kLacksSockets = 1 << 22,
  kLacksSignals = 1 << 23,
};

// What became of a log: bytes of the streams, without what the records around them take.
struct LogCounts {
  std::uint64_t written = 0;
  std::uint64_t dropped = 0;
  bool truncated = false;     // its bound was reached
  std::int32_t os_errno = 0;  // of the first write that failed
};

// An entry of the profile's table of denials; kForeignCall: a call of a foreign architecture.
inline constexpr std::uint16_t kForeignCall = 0xffff;
struct DeniedCall {
  std::uint16_t entry = 0;
  std::uint32_t count = 0;
};

struct Report {
  static constexpr MessageType kType = MessageType::kReport;
  std::uint16_t stage = 0;  // Stage of a setup failure, 0 if none
  std::int32_t stage_errno = 0;
  std::uint8_t kill_reason = 0;
  bool has_exit_status = false;
  std::int32_t wait_status = 0;
  std::uint64_t oom_kills = 0;
  std::uint64_t pids_denied = 0;
  bool disk_full = false;
  bool inodes_full = false;
  std::uint64_t started_us = 0;  // CLOCK_MONOTONIC before execve; 0: it never came to that
  std::uint64_t wall_us = 0;
  std::uint64_t user_us = 0;
  std::uint64_t system_us = 0;
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t pids_peak = 0;
  std::uint32_t processes_killed = 0;  // that were left when the main one had ended
  std::uint8_t cgroup_kind = 0;        // sys::CgroupKind
  std::uint32_t missing = 0;           // bits of Missing
  bool rootless = false;
  std::uint8_t tier = 0;  // jail::Tier
  bool has_log = false;
  LogCounts log;
  std::string_view detail = {};  // of a setup failure, for a person, where more than that is known
  std::uint32_t denied_count = 0;
  DeniedCall denied[kDeniedCallsMax];
  void visit(auto& a) {
    a(stage, stage_errno, kill_reason, has_exit_status, wait_status, oom_kills, pids_denied,
      disk_full, inodes_full, started_us, wall_us, user_us, system_us, memory_peak_bytes, pids_peak,
      processes_killed, cgroup_kind, missing, rootless, tier, has_log, log.written, log.dropped,
      log.truncated, log.os_errno, detail, denied_count);
    for (std::uint32_t i = 0; i < denied_count && i < kDeniedCallsMax; ++i) {
      a(denied[i].entry);
      a(denied[i].count);
    }
  }
};

// What init needs for its first mounts; its ids are mapped by now.
struct ViewSetup {
  static constexpr MessageType kType = MessageType::kViewSetup;
  std::string_view skeleton;   // the directory
  std::string_view slot_root;  // in it, bound as the root; empty: an overlay of its common one
  StringList trees;            // folders of the host seen whole
  std::uint32_t init_id = 0;   // uid and gid inside; not 0 where there is but one id
  std::string_view workspace_directory;  // of the host; empty if the workspace is something else
  bool bound_watches = false;        // the kernel counts them for our own user, not for the slot's
  bool detach_early = false;         // leave the host's mounts before WorkspaceSetup is waited for
  bool hand_back_workspace = false;  // send a second handle as kWorkspaceMount
  std::uint8_t tier = 0;    // jail::Tier; other than full: `skeleton` is the place of the slot
  std::uint32_t binds = 0;  // so many kBind follow
  bool has_layer = false;   // one of them is /build
  bool workspace_read_only = false;
  StringList devices;      // that the runtime of a container gives, by name
  std::string_view image;  // that it has for its root; empty: its default
  void visit(auto& a) {
    a(skeleton, slot_root, trees, init_id, workspace_directory, bound_watches, detach_early,
      hand_back_workspace, tier, binds, has_layer, workspace_read_only, devices, image);
  }
};

// What init needs after its first mounts. fds: the workspace's file system if there is one already,
// and the entrances of the cgroup.
struct WorkspaceSetup {
  static constexpr MessageType kType = MessageType::kWorkspaceSetup;
  std::string_view tmpfs_options;  // of a workspace that is to be made
  bool has_mount = false;
  void visit(auto& a) { a(tmpfs_options, has_mount); }
};

// What init has to know of the processes it will start.
struct ExecSetup {
  static constexpr MessageType kType = MessageType::kExecSetup;
  bool seccomp_listener = false;
  bool cgroup_namespace = false;  // each process sees its own group as the root
  Blob seccomp;                   // sock_filter instructions
  void visit(auto& a) { a(seccomp_listener, cgroup_namespace, seccomp); }
};

// To a standby process, right before its kExec. fd: the Landlock ruleset that it has to enter, if
// there is one.
struct Confine {
  static constexpr MessageType kType = MessageType::kConfine;
  void visit(auto&) {}
};

// A second handle of the workspace's file system, for the sandbox after this one.
struct WorkspaceMount {
  static constexpr MessageType kType = MessageType::kWorkspaceMount;
  void visit(auto&) {}
};

// Sent right before exec, with the seccomp listener if there is one.
struct Starting {
  static constexpr MessageType kType = MessageType::kStarting;
  std::uint64_t monotonic_ns = 0;
  void visit(auto& a) { a(monotonic_ns); }
};

struct StartFailed {
  static constexpr MessageType kType = MessageType::kStartFailed;
  std::uint16_t stage = 0;
  std::int32_t stage_errno = 0;
  void visit(auto& a) { a(stage, stage_errno); }
};

// To the main process `id`, or to every process of the sandbox but init.
struct InitSignal {
  static constexpr MessageType kType = MessageType::kInitSignal;
  std::uint32_t id = 0;
  std::int32_t number = 0;
  bool everyone = false;
  void visit(auto& a) { a(id, number, everyone); }
};

struct InitReady {
  static constexpr MessageType kType = MessageType::kInitReady;
  std::uint16_t stage = 0;  // failure before init could take over
  std::int32_t stage_errno = 0;
  std::uint32_t missing = 0;
  bool complete = false;         // processes can be started
  std::string_view detail = {};  // of a failure, for a person; at most kDetailBytesMax
  void visit(auto& a) { a(stage, stage_errno, missing, complete, detail); }
};

struct InitExited {
  static constexpr MessageType kType = MessageType::kInitExited;
  std::uint32_t id = 0;
  std::int32_t wait_status = 0;
  std::uint64_t monotonic_ns = 0;
  std::uint64_t user_us = 0;
  std::uint64_t system_us = 0;
  std::uint64_t memory_peak_bytes = 0;
  bool disk_full = false;
  bool inodes_full = false;
  std::uint32_t processes_killed = 0;  // that were left when the main one had ended
  void visit(auto& a) {
    a(id, wait_status, monotonic_ns, user_us, system_us, memory_peak_bytes, disk_full, inodes_full,
      processes_killed);
  }
};

// One kPutFile is dealt with; how it went is told by the process that needs it.
struct InitPutDone {
  static constexpr MessageType kType = MessageType::kInitPutDone;
  void visit(auto&) {}
};

// Wanted: a listening socket of the sandbox's own network namespace, at 127.0.0.1 and this port.
struct Listen {
  static constexpr MessageType kType = MessageType::kListen;
  std::uint16_t port = 0;
  void visit(auto& a) { a(port); }
};

// The socket, as an fd, or the errno for which there is none: no process is started then.
struct Listener {
  static constexpr MessageType kType = MessageType::kListener;
  std::int32_t os_errno = 0;
  void visit(auto& a) { a(os_errno); }
};

// Writes header and message into `buffer`; the packet, or an empty view if it does not fit.
template <typename Message>
std::string_view encode(Message message, std::span<char> buffer, std::size_t fd_count = 0) {
  Writer writer(buffer);
  Header header;
  header.type = Message::kType;
  header.fd_count = static_cast<std::uint16_t>(fd_count);
  writer.put(&header, sizeof header);
  message.visit(writer);
  return writer.ok() ? writer.written() : std::string_view();
}

// Checks the header and that every field is in bounds with nothing left over.
template <typename Message>
bool decode(std::string_view packet, Message* message) {
  if (packet.size() < sizeof(Header)) return false;
  Header header;
  std::memcpy(&header, packet.data(), sizeof header);
  if (header.magic != kWireMagic || header.type != Message::kType) return false;
  Reader reader(packet.substr(sizeof header));
  message->visit(reader);
  return reader.complete();
}

// The type of a packet whose magic is right, else 0.
inline MessageType message_type(std::string_view packet) {
  Header header;
  if (packet.size() < sizeof header) return MessageType{};
  std::memcpy(&header, packet.data(), sizeof header);
  return header.magic == kWireMagic ? header.type : MessageType{};
}

}  // namespace airlock::jail
