#include "runner/jobs/job_driver.h"

#include <algorithm>
#include <utility>

#include "base/crash_point.h"
#include "egress/ledger.h"
#include "model/egress_key.h"
#include "runner/guest_environment.h"
#include "runner/jobs/job_ask.h"
#include "runner/jobs/job_log.h"
#include "store/blocking.h"

namespace airlock::runner {
namespace {

auto find_line(std::vector<model::EgressEntry>& entries, const model::EgressEntry& wanted) {
  return std::ranges::find(entries, model::egress_key(wanted),
                           [](const model::EgressEntry& one) { return model::egress_key(one); });
}

// Of the attempt at hand; null: it has not begun that step.
template <typename Record>
auto find_phase(Record& record, const std::string& tag) -> decltype(record.phases.data()) {
  for (auto& phase : record.phases) {
    if (phase.name == tag && phase.attempt == record.attempts) return &phase;
  }
  return nullptr;
}

// Where programs look for the certificates that they trust.
constexpr std::string_view kTrustVariables[] = {
    "SSL_CERT_FILE", "GIT_SSL_CAINFO",      "CURL_CA_BUNDLE",   "REQUESTS_CA_BUNDLE",
    "PIP_CERT",      "NODE_EXTRA_CA_CERTS", "npm_config_cafile"};
constexpr std::size_t kQuotedBytesMax = 300;  // of what a program said, in an error text

}  // namespace

std::string workspace_name(const model::JobRecord& record) {
  return record.id + "_" + std::to_string(record.fencing_token);
}

JobDriver::JobDriver(const JobParts& parts, const JobSettings& settings, model::JobRecord record,
                     model::Resources held, JobControl& control)
    : parts_(parts),
      settings_(settings),
      record_(std::move(record)),
      held_(held),
      control_(control),
      workspace_(parts.backend, &parts.gateway) {}

model::WallTime JobDriver::now() const {
  latest_ = std::max({latest_, record_.submitted_at, record_.started_at.value_or(latest_),
                      record_.seal.sealed_at.value_or(latest_),
                      std::chrono::floor<std::chrono::microseconds>(parts_.clock.wall_now())});
  for (const model::PhaseRecord& phase : record_.phases) {
    latest_ = std::max({latest_, phase.started_at, phase.ended_at.value_or(latest_)});
  }
  return latest_;
}

JobEnd JobDriver::run(bool adopt) {
  const auto went = drive(adopt);
  return finish(went ? std::nullopt : std::optional(went.error()));
}

Went<void> JobDriver::drive(bool adopt) {
  AIRLOCK_TRY(open(adopt));
  AIRLOCK_TRY(clone());
  AIRLOCK_TRY(check());
  AIRLOCK_TRY(build());
  AIRLOCK_TRY(fetch_inputs());
  AIRLOCK_TRY(prep());
  AIRLOCK_TRY(inference());
  AIRLOCK_TRY(take_outputs());
  return push_outputs();
}

Went<void> JobDriver::open(bool adopt) {
  const std::string name = workspace_name(record_);
  if (adopt) {
    const auto adopted = workspace_.adopt(name);
    if (!adopted) return lost(adopted.error());
    return {};
  }
  if (control_.is_cancelled()) return stop(JobStop::Kind::kCancelled, "", "");
  // What an earlier attempt left is not this one's.
  if (const auto removed = parts_.files.remove(record_.id); !removed) return lost(removed.error());
  if (const auto made = parts_.files.create(record_.id); !made) return lost(made.error());
  if (record_.attempts > 1) AIRLOCK_TRY(forget_earlier_attempt());
  const auto opened = workspace_.open(
      {.disk = held_.disk,
       .inodes = settings_.limits.inodes,
       .memory = held_.memory,
       .reusable = true,
       .name = name,
       .least = record_.spec.min_isolation.value_or(model::IsolationLevel::kProcess)});
  if (!opened) return lost(opened.error());
  base::crash_point("job_workspace_opened");
  return {};
}

// Phases and what was reached stay, as history; what is asked of the record to know how far this
// attempt is must not be of another, whose files and workspace are gone.
Went<void> JobDriver::forget_earlier_attempt() {
  record_.resolved_commit.clear();
  record_.source_digest.clear();
  record_.build_digest.clear();
  record_.build_cached = false;
  record_.seal = {};
  record_.inputs.clear();
  record_.outputs.clear();
  store::JobChange change;
  change.resolved_commit = change.source_digest = change.build_digest = "";
  change.build_cached = false;
  change.seal = record_.seal;
  change.inputs = change.outputs = std::vector<model::ArtifactDigest>();
  return save(std::move(change));
}

// --- steps ---------------------------------------------------------------------------------------
const model::PhaseRecord* JobDriver::ended_phase(const std::string& tag) const {
  const model::PhaseRecord* const phase = find_phase(record_, tag);
  return phase != nullptr && phase->outcome ? phase : nullptr;
}

// The store knows of a step before it is begun.
bool JobDriver::has_begun(const std::string& tag) const {
  return find_phase(record_, tag) != nullptr;
}

// Whose cache of builds it is.
std::string JobDriver::tenant() const {
  return record_.owner.empty() ? record_.spec.validator_hotkey + "/" + record_.spec.miner_hotkey
                               : record_.owner;
}

// A step that may reach what the policy allows, with all that programs want to know for that.
void JobDriver::connect(Step& step, egress::Policy policy) const {
  egress::Budget budget;
  budget.bytes_max = settings_.network.bytes_max.count();
  budget.connections_max = settings_.network.connections_max;
  step.network = StepNetwork{std::move(policy), budget};
  add_missing_variables(step.env, gateway_environment());
  if (settings_.ca_certificates.empty()) return;
  // /tmp lives on from step to step: under a name that is known before, a step could leave a link.
  const std::string trust_file = "tmp/airlock-ca-" + base::make_hex(8, parts_.random) + ".pem";
  for (const std::string_view name : kTrustVariables) {
    add_missing_variables(step.env, {std::string(name) + "=/" + trust_file});
  }
  step.prepare = [this, trust_file,
                  others =
                      std::move(step.prepare)]() -> base::Result<std::vector<backend::InputFile>> {
    std::vector<backend::InputFile> files;
    if (others) { AIRLOCK_ASSIGN(files, others()); }
    AIRLOCK_ASSIGN(base::UniqueFd content, memory_file(settings_.ca_certificates));
    files.push_back({.path = trust_file, .content = std::move(content), .executable = false});
    return files;
  };
}

std::vector<std::string> JobDriver::environment(const std::vector<std::string>& more) const {
  auto made = make_guest_environment({more});
  return made ? std::move(*made) : more;
}

Step JobDriver::make_step(const std::string& tag, std::vector<std::string> argv,
                          std::chrono::milliseconds timeout) const {
  Step step;
  step.tag = tag;
  step.argv = std::move(argv);
  step.limits.wall_time = timeout;
  // Of the whole tree, on all the cores that it may use: only the wall time is meant to end it.
  step.limits.cpu_time = timeout * std::max(1u, (held_.cpu_millis + 999) / 1'000);
  step.limits.memory = held_.memory;
  step.limits.pids = settings_.limits.pids;
  step.limits.cpu_rate_percent = cpu_rate_percent(held_.cpu_millis);
  step.limits.open_files = settings_.limits.open_files;
  step.log = parts_.files.log(record_.id, tag);
  step.log_bytes_max = settings_.limits.log;
  return step;
}

std::vector<model::EgressEntry> JobDriver::add_known(
    const std::string& tag, std::vector<model::EgressEntry> entries) const {
  std::vector<model::EgressEntry> all;
  std::ranges::copy_if(record_.egress, std::back_inserter(all),
                       [&](const model::EgressEntry& known) { return known.phase == tag; });
  // As many lines as one session has: each attempt could name others, and the record has an end.
  for (model::EgressEntry& entry : entries) {
    entry.phase = tag;
    auto same = find_line(all, entry);
    if (same == all.end() && all.size() < egress::kLedgerEntriesMax) {
      all.push_back(entry);
      continue;
    }
    if (same == all.end()) {
      model::EgressEntry others;
      others.phase = tag;
      others.host = egress::kOtherHosts;
      others.allowed = entry.allowed;
      same = find_line(all, others);
      if (same == all.end()) same = all.insert(all.end(), others);
    }
    same->connections += entry.connections;
    same->bytes_out += entry.bytes_out;
    same->bytes_in += entry.bytes_in;
  }
  return all;
}

// Runs it, keeps what became of it in the store, and gives it back.
Went<StepEnd> JobDriver::run_step(Step step) {
  const std::string tag = step.tag;
  const model::Limits limits = step.limits;
  model::PhaseRecord phase;
  phase.name = tag;
  phase.attempt = record_.attempts;
  phase.started_at = now();
  if (const model::PhaseRecord* const known = find_phase(record_, tag)) {
    phase = *known;
  } else {
    store::JobChange begun;
    begun.phases = {phase};
    AIRLOCK_TRY(save(std::move(begun)));
    record_.phases.push_back(phase);
  }
  // What went through the gateway is kept as it goes: should we die, it is not forgotten.
  const auto look = [this, &tag](std::vector<model::EgressEntry> entries) {
    note_gpu_faults(parts_.gpus.take_faults(record_.id));
    if (entries != told_egress_) {
      told_egress_ = entries;
      store::JobChange seen;
      seen.egress = add_known(tag, std::move(entries));
      (void)save(std::move(seen));
    }
    return gpu_fault_.empty() ? JobWorkspace::Verdict::kGoOn : JobWorkspace::Verdict::kStop;
  };
  auto end = workspace_.run(std::move(step), control_, look);
  if (!end) return std::unexpected(std::move(end).error());
  base::crash_point("job_step_ended");
  const backend::ProcessReport& report = end->report;
  phase.ended_at = now();
  phase.outcome = model::classify(report.facts, limits);
  look_at_gpus(*phase.outcome);
  phase.usage = report.usage;
  phase.isolation = report.isolation;
  phase.denied = report.facts.denials;
  phase.denied.insert(phase.denied.end(), end->denials.begin(), end->denials.end());
  if (report.log) {
    phase.log_bytes = report.log->written.count() + report.log->dropped.count();
    phase.log_truncated = report.log->truncated || report.log->os_errno != 0;
  }
  store::JobChange change;
  change.phases = {phase};
  change.egress = add_known(tag, std::move(end->egress));
  std::vector<model::EgressEntry> egress = change.egress;
  AIRLOCK_TRY(save(std::move(change)));
  *find_phase(record_, tag) = phase;
  std::erase_if(record_.egress, [&](const auto& entry) { return entry.phase == tag; });
  record_.egress.insert(record_.egress.end(), egress.begin(), egress.end());
  if (!gpu_fault_.empty()) return stop(JobStop::Kind::kLost, "gpu_fault", gpu_fault_);
  const bool failed = phase.outcome->kind == model::OutcomeKind::kExited ||
                      phase.outcome->kind == model::OutcomeKind::kSignalled;
  if (end->interrupted && failed && phase.outcome->exit_code != 0 &&
      record_.attempts < settings_.attempts_max) {
    return stop(JobStop::Kind::kLost, "runner_lost",
                tag + " failed after the service was started anew under it");
  }
  return end;
}

// What a step's end means for the job; nothing if it went well.
Went<void> JobDriver::judge(const std::string& tag, const std::string& code,
                            const std::string& message) {
  const model::PhaseRecord* const phase = ended_phase(tag);
  if (phase == nullptr) return stop(JobStop::Kind::kLost, "runner_lost", tag + " has no end");
  const model::Outcome& outcome = *phase->outcome;
  switch (outcome.kind) {
    case model::OutcomeKind::kExited:
      if (outcome.exit_code == 0) return {};
      break;
    case model::OutcomeKind::kCancelled:
      if (control_.is_cancelled()) return stop(JobStop::Kind::kCancelled, "", "");
      // By us, for the GPU's sake, and we may not have lived to say so.
      return stop(JobStop::Kind::kLost, "runner_lost", tag + " was ended: " + outcome.detail);
    case model::OutcomeKind::kWallTimeout:
    case model::OutcomeKind::kCpuTimeout:
      return stop(JobStop::Kind::kTimeout, tag + "_timeout", message);
    // What could not be set up may work another time, or on another host.
    case model::OutcomeKind::kSetupFailed:
      return stop(JobStop::Kind::kLost, "setup_failed", tag + ": " + outcome.detail);
    default: break;
  }
  std::string why = outcome.detail;
  if (outcome.kind == model::OutcomeKind::kExited) {
    why = "exit code " + std::to_string(outcome.exit_code.value_or(-1));
    const std::string said = last_line(parts_.files.log(record_.id, tag), kQuotedBytesMax);
    if (!said.empty()) why += ", it said: " + said;
  }
  return stop(JobStop::Kind::kFailed, code, message + ": " + why);
}

// --- GPUs ----------------------------------------------------------------------------------------
// The first is the cause, what follows may be its doing.
void JobDriver::note_gpu_faults(const std::vector<std::string>& faults) {
  if (gpu_fault_.empty() && !faults.empty()) gpu_fault_ = faults.front();
}

// A program whose GPU fails under it fails, too, and often before anybody has looked at the GPU;
// and what one that went well has computed on it proves nothing.
void JobDriver::look_at_gpus(model::Outcome& outcome) {
  if (record_.gpus.empty() || control_.is_cancelled()) return;
  note_gpu_faults(parts_.gpus.look_for_faults(record_.id));
  if (gpu_fault_.empty()) return;
  // Should we die now, whoever adopts the job must not take this for the program's own end.
  outcome.kind = model::OutcomeKind::kCancelled;
  outcome.detail = gpu_fault_;
}

void JobDriver::note(const std::string& tag, std::string_view text) const {
  (void)append_notice(parts_.files.log(record_.id, tag), now(), text);
}

// --- the store -----------------------------------------------------------------------------------
Went<void> JobDriver::enter(model::JobState state, const std::string& phase, double progress) {
  if (control_.is_detached()) return stop(JobStop::Kind::kDetached, "", "");
  if (control_.is_cancelled()) return stop(JobStop::Kind::kCancelled, "", "");
  // One that adopts goes through what is done already, and the states never go back.
  if (state < record_.state || (state == record_.state && progress < record_.progress)) return {};
  store::JobChange change;
  change.state = state;
  change.phase = phase;
  change.progress = progress;
  AIRLOCK_TRY(save(std::move(change)));
  record_.state = state;
  record_.phase = phase;
  record_.progress = progress;
  parts_.observer.entered(record_.id, phase);
  return {};
}

Went<void> JobDriver::save(store::JobChange change) {
  const auto head = ask_store("job.save_failed", Refusal::kIsFinal, [&] {
    return store::wait_for(&store::JobStore::update, parts_.store,
                           store::JobClaim{record_.id, record_.fencing_token}, change);
  });
  if (!head) return std::unexpected(head.error());
  if (head->cancel_requested) control_.cancel();
  return {};
}

}  // namespace airlock::runner
