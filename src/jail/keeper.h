// Keeper: the process that owns one workspace and the sandbox on it, from first mount to last
// rmdir.
//
// Forked by the launcher for one caller's channel. Serves that channel until it closes, then ends
// everything: processes killed, groups seen empty and removed, workspace deleted. Single-threaded,
// one poll loop; it blocks only for steps that are bounded (mkfs, newuidmap, removal of an empty
// group). One whose workspace has a name outlives its callers (jail/durable.h).
#pragma once

#include <poll.h>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "jail/channel.h"
#include "jail/durable.h"
#include "jail/durable_folder.h"
#include "jail/guest_process.h"
#include "jail/launcher.h"
#include "jail/launcher_host.h"
#include "jail/layer_store.h"
#include "jail/network_home.h"
#include "jail/sandbox_grants.h"
#include "jail/wire_durable.h"
#include "jail/workspace_store.h"

namespace airlock::jail {

inline constexpr std::size_t kProcessesPerSandboxMax = 64;
inline constexpr std::uint64_t kTimeLimitMsMax = 73ull * 3600 * 1000;
inline constexpr const char* kUsualProfile = "default";

class Keeper {
 public:
  explicit Keeper(const LauncherHost& host, NetworkHome* network = nullptr)
      : host_(host), network_(network) {}
  ~Keeper();

  // Takes over a sandbox of the common kind that was begun before anyone asked for one, or begins
  // it; its init makes a network namespace meanwhile. `host` need not be complete. What fails is
  // tried again, and told, when it is asked for.
  StageFailure begin_ahead(const BegunSandbox& begun);
  // Init makes its mounts. With `detach_early` it leaves the host's at once, so that they are not
  // held for as long as nobody asks for the sandbox; else when the other processors are idle.
  StageFailure release_ahead(bool detach_early);
  // Makes it to the end, for a request like `expected` with the usual profile: the one that comes
  // only has to bring its program. A request that differs has it made once more.
  void settle_ahead(const OpenWorkspace& expected);
  // Waits for the sandbox that was settled ahead; why it cannot be made, if so.
  StageFailure await_ahead();
  void drop_ahead();
  // What a sweep has to leave to us.
  Kept kept() const;

  // Takes up the caller's request; what is wrong with it every process then reports.
  void open(const OpenWorkspace& request, base::UniqueFd caller);

  // Before open(): the workspace has a name, under which `listener` listens, and outlives its
  // callers. `folder` outlives this.
  void be_durable(const DurableFolder& folder, std::string name, base::UniqueFd listener);

  // Begins the sandbox ahead once more, if there is one: the host is not what it was taken for.
  void renew();
  // Everything ends with the sandbox that ends with its process; nobody has to close the channel.
  void end_with_last() { ends_with_last_ = true; }
  // Until the caller's channel closes, or as jail/durable.h says. Not 0: it cannot go on.
  int run();
  // To tell the caller, by closing it, that all is gone; the keeper itself has to go first.
  base::UniqueFd take_caller() { return std::move(caller_); }

 private:
  struct Sandbox {
    pid_t pid = -1;
    base::UniqueFd pidfd;
    base::UniqueFd channel;
    std::shared_ptr<sys::Cgroup> group;  // of the process that was started last
    bool ahead = false;                  // begun, and not asked for yet
    bool born_in_group = false;
    bool group_used = false;
    sys::CgroupLimits group_limits;  // that the group has already
    bool in_network_home = false;
    bool touched_network = false;
    base::UniqueFd gateway;  // the listener of a durable one, for its next caller
    const sys::SeccompProfile* profile = nullptr;
    StageFailure failure;
    std::string failure_detail;
    std::uint32_t missing = 0;
    std::uint32_t puts_pending = 0;
    bool collecting = false;
    // Of what is collected from a container, where nobody is believed: what may still come.
    std::uint32_t files_left = 0;
    std::uint32_t refusals_left = 0;
    std::uint64_t file_bytes_max = 0;
    std::uint64_t bytes_left = 0;
    bool ready = false;  // its init has said that processes can be started
    GivenMounts given;
    std::unique_ptr<LayerWriter> layer;  // that is being kept
    int layer_error = 0;
    std::vector<std::unique_ptr<GuestProcess>> processes;
  };

  // Requests of the caller; false ends the session.
  bool serve_caller();
  bool dispatch(Packet* packet);
  bool create_sandbox(const CreateSandbox& request);
  void make_sandbox(const CreateSandbox* request = nullptr);
  // sandbox_network.cc
  bool open_listener(const Listen& request);
  bool pass_listener(const Listener& made, Packet* packet);
  bool put_file(const PutFile& request, Packet* packet);
  bool exec(const Exec& request, Packet* packet);
  bool collect(const Collect& request, Packet* packet);
  void fail_collect(int error);
  void on_ready();
  bool may_be_collected(const Packet& packet);
  bool refuse_exec(int error, const Packet& packet) const;
  bool keep_layer(const KeepLayer& request);
  bool take_tree(Packet* packet);
  void finish_layer(int error);
  bool init_is_alive() const;
  void signal_init(int number) const;
  void end_init();
  void destroy_sandbox();
  bool has_touched_network() const;

  static std::span<char> buffer();
  void take_slot();
  void make_store();
  bool uses_single_id() const { return store_.has_value() && store_->needs_single_id(); }
  // A sandbox is made in three steps, beside each of which init makes its own.
  StageFailure begin_sandbox();
  StageFailure release_sandbox(bool detach_early);
  StageFailure release_lower_sandbox();
  StageFailure send_view(ViewSetup* view);
  StageFailure settle_sandbox();
  StageFailure send_workspace_setup();
  StageFailure send_exec_setup();
  StageFailure check_sent(int error);
  std::uint32_t find_missing() const;
  std::shared_ptr<sys::Cgroup> make_group(const sys::CgroupLimits& limits, StageFailure* failure);
  sys::CgroupLimits group_limits(const Exec& request) const;
  void limit_group_ahead();
  // Makes and limits the group; `entrances` are for init, which has to move there.
  StageFailure prepare_group(const Exec& request, std::vector<base::UniqueFd>* entrances);
  StageFailure forward_exec(const Exec& request, base::UniqueFd handshake, Packet* packet,
                            std::span<const base::UniqueFd> entrances);

  void serve_init();
  void note_missing(const InitReady& ready);
  void serve_process(GuestProcess* process);
  void init_died();
  void kill_tree(GuestProcess* process);
  void finish(GuestProcess* process);
  void check_deadlines();
  void fill_poll_set(std::vector<pollfd>* set);
  void serve_events(GuestProcess* process, const pollfd* fds);
  int poll_timeout_ms() const;
  bool busy() const;
  bool is_alone(const GuestProcess& process) const;  // nobody else runs
  bool in_container() const { return host_.lower != nullptr && host_.lower->is_container(); }
  bool disk_is_watched() const;
  bool has_sandbox() const { return sandbox_ != nullptr && !sandbox_->ahead; }
  GuestProcess* find(std::uint32_t id);

  void take_up_caller(base::UniqueFd caller);
  void limit_sending() const;
  // durable.cc
  int listener_fd() const;
  void serve_listener();
  base::UniqueFd hand_over(std::string_view tag, std::string_view profile,
                           const Report* report) const;
  bool lose_caller();  // false: everything ends with it
  bool has_tag(std::string_view tag) const;
  int check_log(const Exec& request, const Packet& packet) const;
  int attach_log(const Exec& request, Packet* packet, std::optional<LogWriter>* log) const;
  static int open_null();
  void keep_report(const GuestProcess& process, const Report& report);
  bool forget(const ForgetProcess& request);
  bool end_workspace();
  void leave_folder();
  std::optional<std::uint64_t> orphan_deadline_ns() const;
  void check_orphan();

  const LauncherHost& host_;
  NetworkHome* network_;  // nullptr: sandboxes make their own
  OpenWorkspace request_;
  base::UniqueFd caller_;
  Slot slot_;
  StageFailure failure_;  // of the workspace itself; every process then reports it
  std::string failure_detail_;
  std::optional<WorkspaceStore> store_;
  sys::Cgroup job_group_;
  std::uint32_t groups_made_ = 0;
  std::uint32_t processes_made_ = 0;
  std::uint64_t next_disk_check_ns_ = 0;
  bool ends_with_last_ = false;
  bool ended_ = false;
  std::unique_ptr<Sandbox> sandbox_;
  std::unique_ptr<Durable> durable_;
};

}  // namespace airlock::jail
