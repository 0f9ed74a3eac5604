// Backend: isolation, which knows nothing of jobs. Three resources with one owner each:
//   Workspace  the files of a run or a job: quota and uid range; outlives its sandboxes
//   Sandbox    namespaces, cgroup, network of one phase; at most one alive per workspace
//   Process    one exec in a sandbox, with limits and streams of its own; several per sandbox
//
// Requests are pipelined: a call returns as soon as its request is sent. The failure of an earlier
// request (a sandbox that could not be made, an input that did not fit) is reported by the
// processes that needed it, as ProcessFacts::setup_failure. Destroying an object ends what it owns:
// a Process is killed, a Sandbox is emptied, a Workspace is deleted. A Workspace must outlive its
// Sandbox, a Sandbox its Processes. Not thread-safe: one thread per Workspace, but for
// Backend::open_workspace. A Workspace may move between threads while nobody calls it.
//
// A workspace with a name is durable: it, its sandbox and its processes with a tag end neither with
// these objects nor with this program. Destroying one only lets go of it; end() ends it. Whoever
// comes later adopts it by its name.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "model/isolation.h"
#include "model/limits.h"
#include "model/network.h"
#include "model/outcome.h"
#include "model/run_result.h"

namespace airlock::backend {

struct WorkspaceSpec {
  base::ByteCount disk;      // bytes of /workspace, /tmp, /output, /build, /dev/shm together
  std::uint32_t inodes = 0;  // files and directories in them
  base::ByteCount memory;    // limit over all phases; 0 = only the processes' own limits
  bool reusable = false;     // more than one sandbox will be made on it
  std::string name = {};     // durable under this name, [a-z0-9_]{1,64}, and reusable
  // No sandbox on it is to hold against less; where there is but one backend, its level() says.
  model::IsolationLevel least = model::IsolationLevel::kProcess;

  bool operator==(const WorkspaceSpec&) const = default;
};

// What the programs of one sandbox may do in /workspace; the other places are as ever.
enum class WorkspaceAccess { kWrite, kRead };

struct SandboxSpec {
  std::string seccomp_profile = "default";
  model::NetworkMode network = model::NetworkMode::kNone;
  // Read-only at /build, in place of the workspace's own; empty: none.
  std::string layer = {};
  std::vector<std::string> folders = {};  // names of the operator's, each read-only at /NAME
  std::vector<std::string> devices = {};  // names of Backend::find_device
  WorkspaceAccess workspace = WorkspaceAccess::kWrite;
  std::string image = {};  // the root, where that is an image; empty: the operator's default

  bool operator==(const SandboxSpec&) const = default;
};

// A file that is put into the workspace before a program starts.
struct InputFile {
  std::string path;        // relative to the root of the guest, e.g. "workspace/a.csv", "input/x"
  base::UniqueFd content;  // a regular file or memfd; read from offset 0 to its end
  bool executable = false;
};

// Where stdout and stderr of a process go: records as docs/adr/0013 has them.
struct LogFile {
  base::UniqueFd file;  // regular, opened for writing and appending
  // How much the file may grow by, heads of records included; at least 1. What comes after that is
  // dropped, which a note in the file says, and the program goes on.
  base::ByteCount bytes_max;
};

struct ProcessSpec {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH of `env` if it has no '/'
  std::vector<std::string> env;   // complete: nothing is inherited
  std::string cwd = "/workspace";
  model::Limits limits;  // disk and inodes are the workspace's and ignored here
  // Nothing comes after it: the sandbox ends with it, and the report is sent when that is done.
  bool last = false;
  bool terminal = false;  // stdio is a pty made inside the sandbox; see Process::take_terminal
  // In a durable workspace: the process goes on without its caller, and its report is kept under
  // this name ([a-z0-9_]{1,64}, each once) until it is forgotten. It has a log and no other stdio.
  std::string tag = {};
  LogFile log = {};
};

// The guest's ends. Ignored when `terminal` or `tag` is set.
struct Stdio {
  base::UniqueFd in;
  base::UniqueFd out;
  base::UniqueFd err;
};

struct LogReport {
  base::ByteCount written;  // of what the program wrote
  base::ByteCount dropped;
  bool truncated = false;  // LogFile::bytes_max was reached
  int os_errno = 0;        // of the first write to the file that failed, as on a full disk
};

struct ProcessReport {
  model::ProcessFacts facts;  // output_truncated is left to whoever reads the streams
  model::Usage usage;
  model::Isolation isolation;
  // The moment before execve; absent if it never came to that.
  std::optional<std::chrono::steady_clock::time_point> started;
  std::optional<LogReport> log;        // of a process that has one; all of it is in the file by now
  std::uint32_t processes_killed = 0;  // of its tree, that it left behind when it ended
};

class Process {
 public:
  virtual ~Process() = default;

  // Becomes readable when `try_report` or `try_terminal` has news. Borrowed; valid as long as this.
  virtual int event_fd() const = 0;
  // The report, once the whole process tree is gone; nullopt before. An error means that the keeper
  // died (ErrorCode::kUnavailable): nothing of the sandbox is left then.
  virtual base::Result<std::optional<ProcessReport>> try_report() = 0;
  // Blocks until the report or the error.
  virtual base::Result<ProcessReport> wait() = 0;
  // With ProcessSpec::terminal: the master side of the pty, once it exists.
  virtual base::Result<std::optional<base::UniqueFd>> try_terminal() = 0;

  // SIGKILL for the whole tree. The first reason given is the one reported.
  virtual base::Status kill(model::KillReason reason) = 0;
  // SIGTERM for the tree, SIGKILL after `grace`.
  virtual base::Status terminate(model::KillReason reason, std::chrono::milliseconds grace) = 0;
  // A signal for the main process only (SIGINT of a forwarded Ctrl-C).
  virtual base::Status signal(int number) = 0;
};

inline base::Status not_durable() {
  return base::fail(base::ErrorCode::kInvalidArgument, "the workspace is not durable",
                    "give it a name when it is opened");
}

class Sandbox {
 public:
  virtual ~Sandbox() = default;
  virtual base::Result<std::unique_ptr<Process>> exec(ProcessSpec spec, Stdio stdio) = 0;
  // Of a sandbox with NetworkMode::kGateway: a socket that listens at model::kGatewayPort inside,
  // for a gateway to accept from. Once, before anything is collected. Blocks until the sandbox is
  // made. Where it fails, every process of the sandbox reports a setup failure.
  virtual base::Result<base::UniqueFd> take_listener() {
    return base::fail(base::ErrorCode::kUnavailable, "this sandbox has no gateway");
  }
  // As destroying it does where the workspace is not durable. Returns at once.
  virtual base::Status end() { return not_durable(); }
};

// Which files are read back after a process ended.
struct CollectSpec {
  std::vector<std::string>
      patterns;  // relative to `directory`; '*' and '?' never match '/', "**" does
  std::string directory = "output";  // "output" or "workspace"
  std::uint32_t files_max = model::kOutputFilesMax;
  base::ByteCount file_bytes_max = model::kOutputFileMax;
  base::ByteCount total_bytes_max = model::kOutputFilesTotalMax;
};

struct CollectedFile {
  std::string path;  // relative to `directory`; checked: UTF-8, no control characters, no ".."
  base::UniqueFd content;  // regular file, opened read-only
  base::ByteCount size;    // at the time of opening; read no more than this
};

struct Collected {
  std::vector<CollectedFile> files;           // sorted by path
  std::vector<model::RefusedOutput> refused;  // sorted by path
  bool truncated = false;                     // more than files_max or total_bytes_max were there
};

struct KeptLayer {
  bool existed = false;  // one of that name was there, and stays as it was
  base::ByteCount bytes;
  std::uint64_t entries = 0;
  std::uint64_t skipped = 0;  // sockets, fifos and device nodes, which a layer does not hold
};

struct LayerInfo {
  std::string name;
  base::ByteCount bytes;
  std::chrono::sys_time<std::chrono::microseconds> used;  // last
};

struct DeviceInfo {
  std::string name;
  std::vector<std::string> env;  // "NAME=VALUE" that programs need who use it
};

class Workspace {
 public:
  virtual ~Workspace() = default;
  // False once it is known that no process can run in it: it, or the sandbox on it, has died. One
  // system call, never blocks; true is no promise. To be asked before the first process only.
  virtual bool is_alive() const = 0;
  // Any sandbox made before must be destroyed first; a durable workspace ends it itself.
  virtual base::Result<std::unique_ptr<Sandbox>> create_sandbox(SandboxSpec spec) = 0;
  // Needs a live sandbox: files are written from inside it, so that its limits hold for them.
  virtual base::Status put_file(InputFile file) = 0;
  // Needs a live sandbox without running processes. Blocks.
  virtual base::Result<Collected> collect(CollectSpec spec) = 0;
  // Durable ones only. The tag of a process that has ended is free again, and its report is gone;
  // nothing happens if it runs, or nobody has that tag.
  virtual base::Status forget(const std::string&) { return not_durable(); }
  // Durable ones only. Ends all of it; returns when nothing of it is left.
  virtual base::Status end() { return not_durable(); }
  // Keeps what lies in /build under a name ([a-z0-9_]{1,96}), for as long as nobody removes it: all
  // of it, on the disk, or nothing. Needs a live sandbox without running processes, and without a
  // layer of its own. Blocks. kLimitExceeded: more than the workspace's disk or inodes, or too many
  // layers.
  virtual base::Result<KeptLayer> keep_layer(std::string name);
};

struct AdoptedProcess {
  std::string tag;
  std::unique_ptr<Process> process;  // its report is there at once if it has ended
};

// A durable workspace as its last caller left it.
struct Adopted {
  std::unique_ptr<Workspace> workspace;
  std::unique_ptr<Sandbox> sandbox;  // nullptr: none is alive
  std::vector<AdoptedProcess> processes;
};

class Backend {
 public:
  virtual ~Backend() = default;
  // May be called by several threads at once.
  virtual base::Result<std::unique_ptr<Workspace>> open_workspace(WorkspaceSpec spec) = 0;
  // These are for durable workspaces, and may be called by several threads at once. kNotFound where
  // nobody has that name any more: what was left is gone then. Whoever had the workspace before
  // finds that its keeper has hung up.
  virtual base::Result<Adopted> adopt_workspace(const std::string& name) {
    return base::fail(base::ErrorCode::kNotFound, "no workspace is called " + name);
  }
  // Those that are alive, sorted. All of them are of the backend's state directory.
  virtual base::Result<std::vector<std::string>> list_workspaces() {
    return std::vector<std::string>();
  }
  // Kills it, whatever its keeper does; returns when nothing of it is left.
  virtual base::Status discard_workspace(const std::string& name) {
    return base::fail(base::ErrorCode::kNotFound, "no workspace is called " + name);
  }
  // What every run of it has at least. May be called by several threads at once.
  virtual model::IsolationLevel level() { return model::IsolationLevel::kContainer; }

  // Layers that workspaces have kept. How many and how large is for the caller to bound, by
  // remove_layer; the backend has a maximum of its own. May be called by several threads at once.
  virtual base::Result<std::vector<LayerInfo>> list_layers();
  virtual base::Result<bool> has_layer(std::string name);
  // kBusy while a sandbox uses it, kNotFound.
  virtual base::Status remove_layer(std::string name);
  // What SandboxSpec::devices may name; null if there is none of that name.
  virtual const DeviceInfo* find_device(std::string_view name) const;
};

}  // namespace airlock::backend
