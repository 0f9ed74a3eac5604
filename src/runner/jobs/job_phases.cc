// JobDriver's way through a job, step by step.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/crash_point.h"
#include "receipt/statement.h"
#include "runner/guest_environment.h"
#include "runner/jobs/collected_view.h"
#include "runner/jobs/job_ask.h"
#include "runner/jobs/job_driver.h"
#include "runner/jobs/job_log.h"
#include "source/folder_view.h"
#include "source/git_names.h"

namespace airlock::runner {
namespace {

namespace fs = std::filesystem;
using model::JobState;
using Kind = JobStop::Kind;

constexpr std::size_t kCommitTextMax = 1'024;
constexpr std::size_t kQuotedBytesMax = 300;
constexpr std::size_t kGitTextMax = 16u << 10;
constexpr std::string_view kCheckTag = "check";
constexpr std::chrono::seconds kCheckTimeout{60};

std::string seconds_text(std::chrono::milliseconds time) {
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(time).count()) + " seconds";
}

// What a person reads of an error of ours: the contract's clients show it.
std::unexpected<JobStop> failed(std::string code, std::string message) {
  return stop(Kind::kFailed, std::move(code), std::move(message));
}

// Where the operator says it.
std::string setting(const char* list) { return "security.network_policy." + std::string(list); }

// Who may be reached by name, among what the operator opened by address as well.
base::Result<egress::Policy> make_policy(const JobNetwork& network, std::vector<std::string> allow,
                                         std::string fix) {
  const auto& opened = network.allowed_private_destinations;
  std::erase_if(allow, [&](const std::string& entry) {
    return std::ranges::find(opened, entry) != opened.end();  // allowed by being opened
  });
  return egress::Policy::make(
      {.allow = std::move(allow),
       .blocked = network.blocked_domains,
       .private_destinations = opened,
       .fix = std::move(fix),
       .names = {.allow = setting("allowed_prep_domains"),
                 .blocked = setting("blocked_domains"),
                 .private_destinations = setting("allowed_private_destinations")}});
}

// These and nothing else: not even another address that the operator opened.
base::Result<egress::Policy> make_policy_for(const JobNetwork& network,
                                             const std::vector<std::string>& allow) {
  AIRLOCK_ASSIGN(const egress::Policy all, make_policy(network, allow, ""));
  return all.narrowed(allow, "only what this step is for can be reached in it");
}

}  // namespace

// --- cloning -------------------------------------------------------------------------------------
Went<void> JobDriver::clone() {
  AIRLOCK_TRY(enter(JobState::kCloning, "cloning", 10));
  if (ended_phase("clone") == nullptr || record_.resolved_commit.empty()) {
    const auto plan = plan_clone(record_.spec, settings_);
    if (!plan) return failed("source_refused", "Validation failed: " + plan.error().message);
    AIRLOCK_TRY(run_clone(*plan));
  }
  return {};
}

Went<void> JobDriver::run_clone(const source::ClonePlan& plan) {
  Step step = make_step("clone", clone_script(plan), settings_.timeouts.clone);
  step.env = plan.env;
  if (plan.bind) {
    const fs::path folder = fs::path(plan.bind->root) / plan.bind->below;
    std::error_code error;
    if (!workspace_.has_begun("clone") && !fs::is_directory(folder, error)) {
      return failed("clone_failed",
                    "Git clone failed: there is no repository " + folder.string() + " here");
    }
    step.prepare = [&plan] { return repository_files(*plan.bind); };
  } else {
    std::vector<std::string> hosts;
    for (const source::Destination& destination : plan.destinations) {
      const bool is_ssh = plan.url.scheme == source::RepoScheme::kSsh;
      hosts.push_back((is_ssh ? "tcp://" : "") + destination.host + ":" +
                      std::to_string(destination.port));
    }
    auto policy = make_policy_for(settings_.network, hosts);
    if (!policy) return failed("source_refused", "Validation failed: " + policy.error().message);
    step.prepare = [&plan] { return clone_files(plan); };
    connect(step, std::move(*policy));
  }
  const auto end = run_step(std::move(step));
  if (!end) return std::unexpected(end.error());
  // What git printed is read from the log, and without it nobody can say what went wrong either.
  if (end->report.log && end->report.log->os_errno != 0) {
    return lost(base::errno_error("write the log of clone", end->report.log->os_errno));
  }
  const model::Outcome& outcome = *ended_phase("clone")->outcome;
  if (outcome.kind == model::OutcomeKind::kWallTimeout) {
    return failed("clone_timeout", plan.timeout_error);
  }
  const std::string prefix = clone_error_prefix(plan, outcome.exit_code.value_or(0));
  const fs::path log = parts_.files.log(record_.id, "clone");
  if (outcome.kind == model::OutcomeKind::kExited && outcome.exit_code != 0) {
    const std::string said = read_stream(log, LogStream::kStderr, kGitTextMax).value_or("");
    const std::string why = source::explain_clone_failure(plan, said);
    return failed("clone_failed", prefix + (why.empty() ? last_line(log, kQuotedBytesMax) : why));
  }
  AIRLOCK_TRY(judge("clone", "clone_failed", "Git clone failed"));
  const auto printed = read_stream(log, LogStream::kStdout, kCommitTextMax);
  if (!printed) return lost(printed.error());
  auto commit = source::parse_resolved_commit(*printed, plan.commit);
  if (!commit) return failed("clone_failed", "Git checkout failed: " + commit.error().message);
  record_.resolved_commit = std::move(*commit);
  store::JobChange change;
  change.resolved_commit = record_.resolved_commit;
  return save(std::move(change));
}

// --- checking ------------------------------------------------------------------------------------
// What was seen of the repository is kept, so that it can be asked again while the sandbox is busy.
Went<void> JobDriver::check() {
  const fs::path kept = parts_.files.of(record_.id) / "source";
  std::error_code error;
  if (fs::exists(kept / kKeptMark, error)) {
    const auto view = source::FolderView::open(kept.string());
    if (!view) return lost(view.error());
    // Its language was asked for before: the host may have changed under a running job. How an
    // image is called is for the list to say, and one that left it cannot be had.
    return plan_from(*view, {.image = parts_.host_checks.image});
  }
  fs::create_directories(kept, error);
  auto collected = workspace_.collect({.patterns = {"**"},
                                       .directory = "workspace",
                                       .files_max = kRepositoryFilesMax,
                                       .file_bytes_max = settings_.limits.repository,
                                       .total_bytes_max = settings_.limits.repository});
  if (!collected) return lost(collected.error());
  if (collected->truncated) {
    return failed("validation_failed", "Validation failed: the repository has more than " +
                                           std::to_string(kRepositoryFilesMax) +
                                           " files, or more than " +
                                           base::format_byte_count(settings_.limits.repository));
  }
  const CollectedView view(std::move(*collected), record_.spec.repo_path, kept);
  AIRLOCK_TRY(plan_from(view, parts_.host_checks));
  if (!view.kept()) return lost(view.kept().error());
  const auto tree = view.digest_tree(record_.resolved_commit);
  if (!tree) return lost(tree.error());
  record_.source_digest = source::tree_digest(*tree);
  if (!program_.build.steps.empty()) {
    record_.build_digest = source::build_digest({.tenant = tenant(),
                                                 .tree = *tree,
                                                 .repo_path = record_.spec.repo_path,
                                                 .toolchains = settings_.toolchains,
                                                 .host_view = settings_.host_view},
                                                program_.build);
  }
  store::JobChange change;
  change.source_digest = record_.source_digest;
  change.build_digest = record_.build_digest;
  AIRLOCK_TRY(save(std::move(change)));
  AIRLOCK_TRY(run_compile_check());
  if (const auto marked = write_whole(kept / kKeptMark, ""); !marked) return lost(marked.error());
  return {};
}

Went<void> JobDriver::plan_from(const source::RepositoryView& view,
                                const source::HostChecks& host) {
  auto program = plan_program(view, host);
  if (!program) {
    std::string text = program.error().message;
    if (!text.starts_with(source::kValidationFailed)) text = "Validation failed: " + text;
    if (!program.error().hint.empty()) text += " (" + program.error().hint + ")";
    return failed("validation_failed", std::move(text));
  }
  program_ = std::move(*program);
  has_program_ = true;
  return {};
}

// Whether the program is one at all is asked of its own interpreter, in the sandbox.
Went<void> JobDriver::run_compile_check() {
  for (const std::string& warning : program_.checked.warnings) note("clone", warning);
  if (program_.checked.compile_check.empty()) return {};
  Step step = make_step(std::string(kCheckTag), program_.checked.compile_check, kCheckTimeout);
  step.env = environment({});
  step.cwd = source::program_folder(record_.spec);
  AIRLOCK_TRY(run_step(std::move(step)));
  return judge(std::string(kCheckTag), "validation_failed", "Validation failed");
}

// --- building ------------------------------------------------------------------------------------
Went<void> JobDriver::build() {
  AIRLOCK_TRY(enter(JobState::kBuilding, "building", 30));
  if (program_.build.steps.empty()) return {};
  const std::string layer = layer_name(tenant(), record_.build_digest);
  const auto has = parts_.backend.has_layer(layer);
  const bool cached = has && *has;
  if (cached && ended_phase("build") == nullptr) {
    record_.build_cached = true;
    layer_ = layer;
    note("build", "found in the cache of builds: nothing was done");
    store::JobChange change;
    change.build_cached = true;
    return save(std::move(change));
  }
  if (ended_phase("build") == nullptr) AIRLOCK_TRY(run_build());
  AIRLOCK_TRY(judge("build", "build_failed", "Build failed"));
  if (cached) {
    layer_ = layer;
    return {};
  }
  // A phase could write to a /build that is not a layer: what others trust is not made of that.
  if (has_begun("prep") || has_begun("inference")) return {};
  const auto kept = workspace_.keep_layer(layer);
  base::crash_point("job_layer_kept");
  if (kept) {
    layer_ = layer;
  } else {
    // It lies in the workspace all the same: only the next job has to build it again.
    note("build", "not kept for other jobs: " + kept.error().to_string());
  }
  return {};
}

Went<void> JobDriver::run_build() {
  Step step = make_step("build", build_script(program_.build), settings_.timeouts.build);
  // What a build leaves is what is in /build: found in the cache or not, the phases see the same.
  step.sandbox.workspace = backend::WorkspaceAccess::kRead;
  step.cwd = source::program_folder(record_.spec);
  std::vector<std::string> env = program_.build.env;
  env.insert(env.end(), settings_.build_env.begin(), settings_.build_env.end());
  step.env = environment(env);
  if (!program_.build.presets.empty() && settings_.network.prep_allow_internet) {
    std::vector<std::string> hosts = program_.build.presets;
    hosts.insert(hosts.end(), settings_.network.allowed_build_domains.begin(),
                 settings_.network.allowed_build_domains.end());
    auto policy = make_policy_for(settings_.network, hosts);
    if (!policy) return failed("build_failed", "Build failed: " + policy.error().message);
    connect(step, std::move(*policy));
  }
  AIRLOCK_TRY(run_step(std::move(step)));
  return {};
}

// --- inputs --------------------------------------------------------------------------------------
Went<void> JobDriver::fetch_inputs() {
  AIRLOCK_TRY(enter(JobState::kBuilding, "downloading_input", 45));
  if (record_.spec.input_uri.empty() || !record_.inputs.empty()) return {};
  const auto location = artifact::parse_location(record_.spec.input_uri);
  if (!location) return failed("input_failed", "S3 download failed: " + location.error().message);
  auto opened = artifact::open_location(*location, parts_.storage, parts_.clock, parts_.random);
  if (!opened) return transfer_stop("input_failed", "S3 download failed: ", opened.error());
  const fs::path folder = parts_.files.inputs(record_.id);
  const base::UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return lost(base::errno_error("open " + folder.string()));
  artifact::FolderSink sink(fd.get(), parts_.random);
  artifact::TransferOptions options;
  options.limits = {.files_max = settings_.limits.output_files, .bytes_max = held_.disk};
  options.control.deadline = parts_.clock.steady_now() + settings_.timeouts.transfer;
  options.control.cancelled = &control_.stop_flag();
  DiskWait disk = disk_wait();
  auto inputs = artifact::fetch_input(*opened, sink, options);
  while (!inputs && disk.try_again_after(inputs.error())) {
    options.control.deadline = parts_.clock.steady_now() + settings_.timeouts.transfer;
    inputs = artifact::fetch_input(*opened, sink, options);
  }
  if (!inputs && is_of_disk(inputs.error()) && !control_.stop_flag()) return lost(inputs.error());
  if (!inputs) return transfer_stop("input_failed", "S3 download failed: ", inputs.error());
  if (const auto listed = receipt::check_artifact_list(*inputs); !listed) {
    return failed("input_failed", "S3 download failed: " + listed.error().message);
  }
  record_.inputs = std::move(*inputs);
  store::JobChange change;
  change.inputs = record_.inputs;
  return save(std::move(change));
}

std::unexpected<JobStop> JobDriver::transfer_stop(const std::string& code, const std::string& text,
                                                  const base::Error& error) const {
  if (control_.is_detached()) return stop(Kind::kDetached, "", "");
  if (control_.is_cancelled()) return stop(Kind::kCancelled, "", "");
  std::string message = text + error.to_string();
  if (!error.hint.empty()) message += " (" + error.hint + ")";
  return failed(code, std::move(message));
}

base::Result<std::vector<backend::InputFile>> JobDriver::open_inputs() const {
  std::vector<backend::InputFile> files;
  for (const model::ArtifactDigest& input : record_.inputs) {
    AIRLOCK_ASSIGN(base::UniqueFd content,
                   open_beneath(parts_.files.inputs(record_.id), input.path));
    files.push_back(
        {.path = "input/" + input.path, .content = std::move(content), .executable = false});
  }
  return files;
}

// --- the two phases ------------------------------------------------------------------------------
Step JobDriver::make_phase(source::Phase phase, std::chrono::milliseconds timeout) const {
  const source::PhasePlan plan =
      source::make_phase_plan(phase, record_, program_.build, program_.checked.job_file);
  Step step = make_step(std::string(source::phase_name(phase)),
                        phase_argv(phase, plan, program_.build), timeout);
  step.cwd = plan.cwd;
  step.sandbox.layer = layer_;
  step.sandbox.folders = settings_.folders;
  step.sandbox.devices = parts_.gpus.device_names(record_.gpus);
  std::vector<std::string> env = plan.env;
  for (const std::string& device : step.sandbox.devices) {
    const auto info = parts_.backend.find_device(device);
    if (info) env.insert(env.end(), info->env.begin(), info->env.end());
  }
  step.env = environment(env);
  if (!record_.gpus.empty()) step.sandbox.seccomp_profile = "gpu";
  if (const auto& file = program_.checked.job_file) {
    step.sandbox.image = file->image;
    const source::LimitWishes& wishes = file->limits;
    step.limits.memory = std::min(step.limits.memory, wishes.memory.value_or(step.limits.memory));
    step.limits.pids = std::min(step.limits.pids, wishes.pids.value_or(step.limits.pids));
    if (wishes.cpu_millis) {
      step.limits.cpu_rate_percent =
          std::min(step.limits.cpu_rate_percent, cpu_rate_percent(*wishes.cpu_millis));
    }
  }
  return step;
}

// The operator's hosts, or those of them that the repository says it wants.
base::Result<egress::Policy> JobDriver::prep_policy() const {
  const JobNetwork& network = settings_.network;
  AIRLOCK_ASSIGN(egress::Policy policy,
                 make_policy(network, network.allowed_prep_domains,
                             "the operator can add it to " + setting("allowed_prep_domains")));
  const auto& file = program_.checked.job_file;
  if (!file || file->allow.empty()) return policy;
  return policy.narrowed(file->allow, "add it to allow in airlock.yaml");
}

Went<void> JobDriver::prep() {
  AIRLOCK_TRY(enter(JobState::kPrep, "prep", 50));
  const auto& file = program_.checked.job_file;
  JobTimeouts timeouts = timeouts_of(record_.spec, settings_);
  if (file)
    timeouts.prep = std::min(timeouts.prep, file->limits.prep_timeout.value_or(timeouts.prep));
  Step step = make_phase(source::Phase::kPrep, timeouts.prep);
  if (step.argv.empty()) {
    // Whoever adopts the job finds inference in the sandbox that sealing would end.
    return record_.seal.sealed_at ? Went<void>() : seal(std::nullopt);
  }
  if (ended_phase("prep") == nullptr) {
    if (settings_.prep_sees_input) step.prepare = [this] { return open_inputs(); };
    if (settings_.network.prep_allow_internet) {
      auto policy = prep_policy();
      if (!policy) {
        return failed("validation_failed", "Validation failed: " + policy.error().to_string());
      }
      connect(step, std::move(*policy));
    }
    auto end = run_step(std::move(step));
    if (!end) return std::unexpected(std::move(end).error());
    record_.seal.processes_killed = end->report.processes_killed;
    AIRLOCK_TRY(seal(end->network));
  } else if (!record_.seal.sealed_at) {
    AIRLOCK_TRY(seal(std::nullopt));
  }
  const bool timed_out = ended_phase("prep")->outcome->kind == model::OutcomeKind::kWallTimeout;
  if (timed_out) {
    return stop(Kind::kTimeout, "prep_timeout",
                "Job execution timeout: prep was not done after " + seconds_text(timeouts.prep));
  }
  return judge("prep", "prep_failed", "Prep phase failed");
}

// The door is shut: what listened and what was connected is closed, the sandbox is ended. The next
// one is made by the keeper only after it has seen the old group empty and its namespaces gone.
Went<void> JobDriver::seal(const std::optional<egress::SessionEnd>& network) {
  workspace_.end_sandbox();
  base::crash_point("job_sealed");
  record_.seal.sealed = settings_.network.inference_block_internet;
  record_.seal.sealed_at = now();
  if (network) record_.seal.connections_closed = network->connections_closed;
  store::JobChange change;
  change.seal = record_.seal;
  return save(std::move(change));
}

Went<void> JobDriver::inference() {
  AIRLOCK_TRY(enter(JobState::kInference, "inference", 75));
  const auto& file = program_.checked.job_file;
  JobTimeouts timeouts = timeouts_of(record_.spec, settings_);
  if (file) {
    timeouts.inference =
        std::min(timeouts.inference, file->limits.inference_timeout.value_or(timeouts.inference));
    for (const std::string& wanted : file->inputs) {
      if (std::ranges::find(record_.inputs, wanted, &model::ArtifactDigest::path) ==
          record_.inputs.end()) {
        return failed("input_missing", "Inference phase failed: the input " + wanted +
                                           " that airlock.yaml wants is not there");
      }
    }
  }
  Step step = make_phase(source::Phase::kInference, timeouts.inference);
  step.prepare = [this] { return open_inputs(); };
  if (!settings_.network.inference_block_internet) {
    auto policy = prep_policy();
    if (!policy) return failed("inference_failed", policy.error().to_string());
    connect(step, std::move(*policy));
  }
  if (ended_phase("inference") == nullptr) AIRLOCK_TRY(run_step(std::move(step)));
  if (ended_phase("inference")->outcome->kind == model::OutcomeKind::kWallTimeout) {
    return stop(
        Kind::kTimeout, "inference_timeout",
        "Job execution timeout: inference was not done after " + seconds_text(timeouts.inference));
  }
  return judge("inference", "inference_failed", "Inference phase failed");
}

}  // namespace airlock::runner
