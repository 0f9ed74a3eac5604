#include "runner/jobs/job_workspace.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/crash_point.h"
#include "runner/jobs/job_files.h"

namespace airlock::runner {
namespace {

constexpr std::chrono::milliseconds kLookEvery{2'000};

}  // namespace

base::Status JobWorkspace::open(backend::WorkspaceSpec spec) {
  name_ = spec.name;
  AIRLOCK_ASSIGN(workspace_, backend_.open_workspace(std::move(spec)));
  return {};
}

base::Status JobWorkspace::adopt(const std::string& name) {
  name_ = name;
  AIRLOCK_ASSIGN(backend::Adopted adopted, backend_.adopt_workspace(name));
  workspace_ = std::move(adopted.workspace);
  sandbox_ = std::move(adopted.sandbox);
  adopted_ = std::move(adopted.processes);
  return {};
}

bool JobWorkspace::has_begun(const std::string& tag) const {
  return std::ranges::find(adopted_, tag, &backend::AdoptedProcess::tag) != adopted_.end();
}

base::Status JobWorkspace::open_network(Step& step) {
  if (!step.network) return {};
  if (gateway_ == nullptr) {
    return base::fail(base::ErrorCode::kUnavailable, "there is no egress gateway");
  }
  AIRLOCK_ASSIGN(base::UniqueFd listener, sandbox_->take_listener());
  AIRLOCK_ASSIGN(session_, gateway_->serve(std::move(listener), std::move(step.network->policy),
                                           step.network->budget));
  return {};
}

base::Result<std::unique_ptr<backend::Process>> JobWorkspace::begin(Step& step) {
  end_sandbox();
  step.sandbox.network = step.network ? model::NetworkMode::kGateway : model::NetworkMode::kNone;
  AIRLOCK_ASSIGN(sandbox_, workspace_->create_sandbox(std::move(step.sandbox)));
  base::crash_point("job_sandbox_made");
  AIRLOCK_TRY(open_network(step));
  if (step.prepare) {
    AIRLOCK_ASSIGN(std::vector<backend::InputFile> files, step.prepare());
    for (backend::InputFile& file : files) { AIRLOCK_TRY(workspace_->put_file(std::move(file))); }
  }
  AIRLOCK_ASSIGN(base::UniqueFd log, open_log(step.log));
  backend::ProcessSpec spec{.argv = std::move(step.argv),
                            .env = std::move(step.env),
                            .cwd = std::move(step.cwd),
                            .limits = step.limits,
                            .tag = step.tag,
                            .log = {.file = std::move(log), .bytes_max = step.log_bytes_max}};
  auto process = sandbox_->exec(std::move(spec), {});
  base::crash_point("job_step_begun");
  return process;
}

Went<StepEnd> JobWorkspace::run(Step step, JobControl& control, const Look& look) {
  const auto known = std::ranges::find(adopted_, step.tag, &backend::AdoptedProcess::tag);
  const auto mode = step.network ? model::NetworkMode::kGateway : model::NetworkMode::kNone;
  const bool adopted = known != adopted_.end();
  std::unique_ptr<backend::Process> process;
  if (known != adopted_.end()) {
    process = std::move(known->process);
    adopted_.erase(known);
    // Its gateway ended with the one who drove it; one that has ended itself needs none any more.
    const auto report = process->try_report();
    if (!report) return lost(report.error());
    if (!*report && sandbox_ != nullptr) {
      if (const auto opened = open_network(step); !opened) return lost(opened.error());
    }
  } else {
    if (control.is_detached()) return stop(JobStop::Kind::kDetached, "", "");
    auto begun = begin(step);
    if (!begun) return lost(begun.error());
    process = std::move(*begun);
  }
  auto report = wait_for(*process, control, look);
  if (!report) return std::unexpected(std::move(report).error());
  StepEnd end{.report = std::move(*report), .egress = {}, .denials = {}, .network = {}};
  end.interrupted = adopted && mode == model::NetworkMode::kGateway;
  // Of an adopted process the backend does not know.
  end.report.isolation.network = model::network_mode_name(mode);
  end.network = session_.close();
  end.egress = session_.record();
  end.denials = session_.denials();
  session_ = {};
  return end;
}

Went<backend::ProcessReport> JobWorkspace::wait_for(backend::Process& process, JobControl& control,
                                                    const Look& look) {
  bool told = false;
  auto verdict = Verdict::kGoOn;
  for (;;) {
    auto report = process.try_report();
    if (!report) return lost(report.error());
    if (*report) {
      (*report)->facts.cancelled = (*report)->facts.cancelled || told;
      return std::move(**report);
    }
    if (control.is_detached()) return stop(JobStop::Kind::kDetached, "", "");
    if ((control.is_cancelled() || verdict == Verdict::kStop) && !told) {
      told = true;
      (void)process.terminate(model::KillReason::kCancelled, model::kTermGrace);
    }
    // Once cancelled the bell rings for good; only being let go of is news then.
    pollfd set[] = {{process.event_fd(), POLLIN, 0}, {told ? -1 : control.news_fd(), POLLIN, 0}};
    const int timeout = told ? 100 : static_cast<int>(kLookEvery.count());
    if (::poll(set, 2, timeout) < 0 && errno != EINTR) return lost(base::errno_error("poll"));
    if (look && !told) verdict = look(session_.record());
  }
}

base::Result<backend::Collected> JobWorkspace::collect(backend::CollectSpec spec) {
  if (sandbox_ == nullptr) { AIRLOCK_ASSIGN(sandbox_, workspace_->create_sandbox({})); }
  return workspace_->collect(std::move(spec));
}

base::Result<backend::KeptLayer> JobWorkspace::keep_layer(const std::string& name) {
  return workspace_->keep_layer(name);
}

void JobWorkspace::end_sandbox() {
  if (sandbox_ == nullptr) return;
  (void)sandbox_->end();
  sandbox_.reset();
}

void JobWorkspace::end() {
  session_ = {};
  if (workspace_ == nullptr) return;
  sandbox_.reset();
  const bool ended = workspace_->end().has_value();
  workspace_.reset();
  if (!ended) (void)backend_.discard_workspace(name_);
}

}  // namespace airlock::runner
