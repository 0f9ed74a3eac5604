#include "backend/choice_backend.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"

namespace airlock::backend {
namespace {

// As many as are kept ready, about: whoever has removed one of them may have removed all.
constexpr int kDiedMax = 4;

}  // namespace

// What comes back from a process says what its sandbox should have been.
class ChoiceBackend::ChosenProcess final : public Process {
 public:
  ChosenProcess(std::unique_ptr<Process> process, Fallback fallback)
      : process_(std::move(process)), fallback_(std::move(fallback)) {}

  int event_fd() const override { return process_->event_fd(); }
  base::Result<std::optional<ProcessReport>> try_report() override {
    AIRLOCK_ASSIGN(auto report, process_->try_report());
    if (report) note(*report);
    return report;
  }
  base::Result<ProcessReport> wait() override {
    AIRLOCK_ASSIGN(auto report, process_->wait());
    note(report);
    return report;
  }
  base::Result<std::optional<base::UniqueFd>> try_terminal() override {
    return process_->try_terminal();
  }
  base::Status kill(model::KillReason reason) override { return process_->kill(reason); }
  base::Status terminate(model::KillReason reason, std::chrono::milliseconds grace) override {
    return process_->terminate(reason, grace);
  }
  base::Status signal(int number) override { return process_->signal(number); }

 private:
  void note(ProcessReport& report) const {
    report.isolation.fallback_from = fallback_.from;
    report.isolation.fallback_reason = fallback_.reason;
  }

  std::unique_ptr<Process> process_;
  Fallback fallback_;
};

class ChoiceBackend::ChosenSandbox final : public Sandbox {
 public:
  ChosenSandbox(std::unique_ptr<Sandbox> sandbox, Fallback fallback)
      : sandbox_(std::move(sandbox)), fallback_(std::move(fallback)) {}

  base::Result<std::unique_ptr<Process>> exec(ProcessSpec spec, Stdio stdio) override {
    AIRLOCK_ASSIGN(auto process, sandbox_->exec(std::move(spec), std::move(stdio)));
    if (fallback_.from.empty()) return process;
    return std::make_unique<ChosenProcess>(std::move(process), fallback_);
  }
  base::Result<base::UniqueFd> take_listener() override { return sandbox_->take_listener(); }
  base::Status end() override { return sandbox_->end(); }

 private:
  std::unique_ptr<Sandbox> sandbox_;
  Fallback fallback_;
};

// The workspace of one member, or of the next one as long as no sandbox was there.
class ChoiceBackend::Chosen final : public Workspace {
 public:
  Chosen(ChoiceBackend& owner, WorkspaceSpec spec) : owner_(owner), spec_(std::move(spec)) {}

  base::Status open(std::size_t start) {
    const Wanted wanted{.least = spec_.least, .image = needs_images_};
    WorkspaceSpec spec = spec_;
    spec.least = {};
    base::Error last{base::ErrorCode::kUnavailable, 0, "no backend is available", {}};
    if (needs_images_) last.message = "no backend that has images is available";
    for (index_ = owner_.find(start, wanted); index_ < owner_.members_.size();
         index_ = owner_.find(index_ + 1, wanted)) {
      tried_since_ = owner_.clock_.steady_now();
      auto opened = owner_.members_[index_]->candidate.backend->open_workspace(spec);
      if (opened) {
        workspace_ = std::move(*opened);
        return {};
      }
      last = std::move(opened).error();
      pass_over(last.to_string());
    }
    if (!fallback_.reason.empty()) last.message = fallback_.from + ": " + fallback_.reason;
    return base::fail(std::move(last));
  }

  bool is_alive() const override { return workspace_ != nullptr && workspace_->is_alive(); }

  base::Result<std::unique_ptr<Sandbox>> create_sandbox(SandboxSpec spec) override {
    // Not known when the workspace was opened.
    needs_images_ = !spec.image.empty();
    const Candidate& first = owner_.members_[index_]->candidate;
    if (needs_images_ && !first.has_images) {
      if (had_sandbox_) {
        return base::fail(base::ErrorCode::kUnavailable,
                          "image " + spec.image + " is not to be had in " + first.name +
                              ", which has stood in for Docker since this began");
      }
      AIRLOCK_TRY(open_another(0));
    }
    while (true) {
      base::Error failure;
      auto made = workspace_->create_sandbox(spec);
      const Candidate& candidate = owner_.members_[index_]->candidate;
      if (made && (had_sandbox_ || !candidate.to_be_tried)) return wrap(std::move(*made));
      if (made) {
        // Nothing is asked for: the answer comes when the sandbox is there.
        const auto there = workspace_->collect({.patterns = {}});
        if (there) return wrap(std::move(*made));
        failure = there.error();
      } else {
        failure = made.error();
      }
      if (had_sandbox_) return made;
      made = std::unique_ptr<Sandbox>();
      // An image that dockerd does not have no other of its backends has: that is nobody's fault.
      if (needs_images_ && failure.code == base::ErrorCode::kNotFound) {
        failure.code = base::ErrorCode::kUnavailable;
        return base::fail(std::move(failure));
      }
      // One that was kept ready and has died since says nothing of its backend.
      const bool has_died = failure.os_errno == ECHILD && died_++ < kDiedMax;
      if (!has_died) pass_over(failure.to_string());
      AIRLOCK_TRY(open_another(has_died ? index_ : index_ + 1));
    }
  }

  base::Status put_file(InputFile file) override { return workspace_->put_file(std::move(file)); }
  base::Result<Collected> collect(CollectSpec spec) override {
    return workspace_->collect(std::move(spec));
  }
  base::Status forget(const std::string& tag) override { return workspace_->forget(tag); }
  base::Status end() override { return workspace_->end(); }
  base::Result<KeptLayer> keep_layer(std::string name) override {
    return workspace_->keep_layer(std::move(name));
  }

 private:
  // In place of the one that there is.
  base::Status open_another(std::size_t start) {
    if (!spec_.name.empty()) (void)workspace_->end();
    workspace_.reset();
    return open(start);
  }

  void pass_over(const std::string& reason) {
    if (fallback_.from.empty()) { fallback_ = {owner_.members_[index_]->candidate.name, reason}; }
    owner_.rest(index_, reason, tried_since_);
    told_ = false;
  }

  std::unique_ptr<Sandbox> wrap(std::unique_ptr<Sandbox> sandbox) {
    // One that rests was passed over without a word: it was told when it failed.
    if (fallback_.from.empty() && index_ > 0) {
      fallback_ = {owner_.members_.front()->candidate.name, owner_.reason_of(0)};
    }
    if (!fallback_.from.empty() && !had_sandbox_) owner_.note(fallback_, index_, !told_);
    told_ = true;
    had_sandbox_ = true;
    return std::make_unique<ChosenSandbox>(std::move(sandbox), fallback_);
  }

  ChoiceBackend& owner_;
  const WorkspaceSpec spec_;
  std::size_t index_ = 0;
  std::unique_ptr<Workspace> workspace_;
  Fallback fallback_;
  std::chrono::steady_clock::time_point tried_since_;
  bool had_sandbox_ = false;
  bool needs_images_ = false;
  int died_ = 0;  // sandboxes of ours that were there when they were asked for
  bool told_ = true;
};

ChoiceBackend::ChoiceBackend(std::vector<Candidate> candidates, OnFallback on_fallback,
                             const base::Clock& clock)
    : on_fallback_(std::move(on_fallback)), clock_(clock) {
  AIRLOCK_CHECK(!candidates.empty());
  for (Candidate& candidate : candidates) {
    members_.push_back(std::make_unique<Member>());
    members_.back()->candidate = std::move(candidate);
  }
}

ChoiceBackend::~ChoiceBackend() = default;

model::IsolationLevel ChoiceBackend::level_of(Member& member) {
  const Candidate& candidate = member.candidate;
  return candidate.level.has_value() ? *candidate.level : candidate.backend->level();
}

bool ChoiceBackend::will_do(Member& member, const Wanted& wanted) {
  return level_of(member) >= wanted.least && (!wanted.image || member.candidate.has_images);
}

std::size_t ChoiceBackend::find(std::size_t start, const Wanted& wanted) {
  const std::int64_t now = clock_.steady_now().time_since_epoch().count();
  for (std::size_t index = start; index < members_.size(); ++index) {
    // The last one that will do is tried whatever it did before.
    const bool rests = members_[index]->rests_until_ns > now;
    const bool is_last =
        std::none_of(members_.begin() + static_cast<std::ptrdiff_t>(index) + 1, members_.end(),
                     [&](const auto& member) { return will_do(*member, wanted); });
    if (will_do(*members_[index], wanted) && (!rests || is_last)) return index;
  }
  return members_.size();
}

void ChoiceBackend::rest(std::size_t index, const std::string& reason,
                         std::chrono::steady_clock::time_point tried_since) {
  {
    const std::scoped_lock lock(reasons_mutex_);
    members_[index]->reason = reason;
  }
  const auto now = clock_.steady_now();
  const auto until =
      now + std::clamp<std::chrono::steady_clock::duration>(
                (now - tried_since) * kBackendRestFactor, kBackendRest, kBackendRestMax);
  members_[index]->rests_until_ns = until.time_since_epoch().count();
}

std::string ChoiceBackend::reason_of(std::size_t index) {
  const std::scoped_lock lock(reasons_mutex_);
  return members_[index]->reason;
}

void ChoiceBackend::note(const Fallback& fallback, std::size_t taken, bool is_news) {
  ++fallbacks_;
  if (is_news && on_fallback_)
    on_fallback_(fallback.from, members_[taken]->candidate.name, fallback.reason);
}

base::Result<std::unique_ptr<Workspace>> ChoiceBackend::open_workspace(WorkspaceSpec spec) {
  auto chosen = std::make_unique<Chosen>(*this, std::move(spec));
  AIRLOCK_TRY(chosen->open(0));
  return chosen;
}

base::Result<Adopted> ChoiceBackend::adopt_workspace(const std::string& name) {
  base::Error last{base::ErrorCode::kNotFound, 0, "no workspace is called " + name, {}};
  for (const auto& member : members_) {
    auto adopted = member->candidate.backend->adopt_workspace(name);
    if (adopted) return adopted;
    if (adopted.error().code != base::ErrorCode::kNotFound) last = std::move(adopted).error();
  }
  return base::fail(std::move(last));
}

base::Result<std::vector<std::string>> ChoiceBackend::list_workspaces() {
  std::vector<std::string> all;
  for (const auto& member : members_) {
    AIRLOCK_ASSIGN(auto names, member->candidate.backend->list_workspaces());
    all.insert(all.end(), names.begin(), names.end());
  }
  std::ranges::sort(all);
  return all;
}

base::Status ChoiceBackend::discard_workspace(const std::string& name) {
  base::Status status = base::fail(base::ErrorCode::kNotFound, "no workspace is called " + name);
  for (const auto& member : members_) {
    base::Status discarded = member->candidate.backend->discard_workspace(name);
    if (discarded) return discarded;
    if (discarded.error().code != base::ErrorCode::kNotFound) status = std::move(discarded);
  }
  return status;
}

model::IsolationLevel ChoiceBackend::level() {
  model::IsolationLevel best = model::IsolationLevel::kProcess;
  for (const auto& member : members_) best = std::max(best, level_of(*member));
  return best;
}

base::Result<std::vector<LayerInfo>> ChoiceBackend::list_layers() {
  return members_.back()->candidate.backend->list_layers();
}
base::Result<bool> ChoiceBackend::has_layer(std::string name) {
  if (members_.size() > 1) return false;  // whose it is would have to be known before the sandbox
  return members_.front()->candidate.backend->has_layer(std::move(name));
}
base::Status ChoiceBackend::remove_layer(std::string name) {
  return members_.back()->candidate.backend->remove_layer(std::move(name));
}

const DeviceInfo* ChoiceBackend::find_device(std::string_view name) const {
  for (const auto& member : members_) {
    if (const DeviceInfo* found = member->candidate.backend->find_device(name)) return found;
  }
  return nullptr;
}

}  // namespace airlock::backend
