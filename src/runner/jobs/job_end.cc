// JobDriver's last steps: outputs, receipt, and the one terminal state.
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "artifact/digest.h"
#include "artifact/file_store.h"
#include "base/crash_point.h"
#include "receipt/contract_hashes.h"
#include "receipt/statement.h"
#include "runner/jobs/job_driver.h"
#include "runner/jobs/job_log.h"
#include "store/blocking.h"

namespace airlock::runner {
namespace {

namespace fs = std::filesystem;
using model::JobState;
using Kind = JobStop::Kind;
using store::JobStore;

constexpr std::size_t kHashedLogBytes = 1u << 20;

std::string_view contract_status(JobState state) {
  if (state == JobState::kCompleted) return "completed";
  return state == JobState::kTimeout ? "timeout" : "failed";
}

// A file store keeps what is half written under such names, and shows them to nobody.
bool names_unfinished(std::string_view path) {
  return ("/" + std::string(path)).find("/" + std::string(artifact::kPartPrefix)) !=
         std::string::npos;
}

int last_exit_code(const model::JobRecord& record) {
  if (record.phases.empty() || !record.phases.back().outcome) return -1;
  return record.phases.back().outcome->exit_code.value_or(-1);
}

}  // namespace

// --- outputs -------------------------------------------------------------------------------------
Went<void> JobDriver::take_outputs() {
  AIRLOCK_TRY(enter(JobState::kInference, "uploading_output", 90));
  if (!record_.outputs.empty()) return {};
  backend::CollectSpec spec{.patterns = {"**"},
                            .directory = "output",
                            .files_max = settings_.limits.output_files,
                            .file_bytes_max = held_.disk,
                            .total_bytes_max = held_.disk};
  const auto& file = program_.checked.job_file;
  if (file && !file->outputs.empty()) spec.patterns = file->outputs;
  const auto collected = workspace_.collect(std::move(spec));
  if (!collected) return lost(collected.error());
  for (const model::RefusedOutput& refused : collected->refused) {
    note("inference", "not an output: " + refused.path + ": " + refused.reason);
  }
  if (collected->truncated) {
    return stop(Kind::kFailed, "output_limit",
                "The job left more than " + std::to_string(settings_.limits.output_files) +
                    " files, or more bytes than its disk holds, in /output");
  }
  std::vector<model::ArtifactDigest> outputs;
  DiskWait disk = disk_wait();
  for (const backend::CollectedFile& output : collected->files) {
    AIRLOCK_TRY(take_output(output, disk, outputs));
  }
  if (const auto listed = receipt::check_artifact_list(outputs); !listed) {
    return stop(Kind::kFailed, "output_limit", "The job's outputs: " + listed.error().message);
  }
  // All of them or none: a receipt says what the store knows.
  record_.outputs = std::move(outputs);
  store::JobChange change;
  change.outputs = record_.outputs;
  return save(std::move(change));
}

DiskWait JobDriver::disk_wait() const {
  return DiskWait({.sleep = parts_.sleep, .log = parts_.log}, control_, record_.id);
}

// What the job has computed is not thrown away because the disk is full for a while.
base::Status JobDriver::copy_output(const backend::CollectedFile& output, DiskWait& disk) {
  const fs::path folder = parts_.files.outputs(record_.id);
  const std::uint64_t needed = bytes_on_disk(output.content.get());
  for (;;) {
    base::Status copied = base::fail(base::errno_error("copy " + output.path, ENOSPC));
    if (has_room(folder, needed)) {
      copied = copy_beneath(folder, output.path, output.content.get(), output.size);
    }
    if (copied) return copied;
    // Half of it is of no use to anybody, and is room for others.
    std::error_code error;
    fs::remove(folder / output.path, error);
    if (!disk.try_again_after(copied.error())) return copied;
  }
}

Went<void> JobDriver::take_output(const backend::CollectedFile& output, DiskWait& disk,
                                  std::vector<model::ArtifactDigest>& outputs) {
  if (control_.is_detached()) return stop(Kind::kDetached, "", "");
  if (control_.is_cancelled()) return stop(Kind::kCancelled, "", "");
  // Nor below it: a file cannot be written where a folder of its name is.
  const std::string_view first = std::string_view(output.path).substr(0, output.path.find('/'));
  if (first == receipt::kManifestName) {
    note("inference", "not an output: " + output.path + " has the name of the manifest");
    return {};
  }
  if (names_unfinished(output.path)) {
    note("inference", "not an output: " + output.path + " has a name of files half written");
    return {};
  }
  const fs::path folder = parts_.files.outputs(record_.id);
  if (const auto copied = copy_output(output, disk); !copied) return lost(copied.error());
  const auto copy = open_beneath(folder, output.path);
  if (!copy) return lost(copy.error());
  const auto digest = artifact::digest_file(copy->get(), output.size.count());
  if (!digest) return lost(digest.error());
  outputs.push_back({output.path, output.size, digest->sha256});
  base::crash_point("job_output_copied");
  return {};
}

Went<void> JobDriver::push_outputs() {
  if (record_.spec.output_uri.empty()) return {};
  const auto location = artifact::parse_location(record_.spec.output_uri);
  if (!location) return stop(Kind::kFailed, "upload_failed", location.error().message);
  auto opened = artifact::open_location(*location, parts_.storage, parts_.clock, parts_.random);
  if (!opened) { return transfer_stop("upload_failed", "S3 upload failed: ", opened.error()); }
  // What this host cannot open is no trouble of the store's.
  std::optional<base::Error> not_opened;
  const auto note_error = [&not_opened](base::Result<base::UniqueFd> opened) {
    if (!opened) not_opened = opened.error();
    return opened;
  };
  std::vector<artifact::OutputFile> files;
  for (const model::ArtifactDigest& output : record_.outputs) {
    const auto open = [&note_error, folder = parts_.files.outputs(record_.id), path = output.path] {
      return note_error(open_beneath(folder, path));
    };
    files.push_back({.path = output.path, .open = open, .size = output.size});
  }
  model::JobRecord completed = record_;
  completed.state = JobState::kCompleted;
  const std::string text = receipt::make_manifest(completed);
  artifact::TransferOptions options;
  options.limits = {.files_max = settings_.limits.output_files + 1, .bytes_max = held_.disk};
  options.control.deadline = parts_.clock.steady_now() + settings_.timeouts.transfer;
  options.control.cancelled = &control_.stop_flag();
  const auto pushed = artifact::push_outputs(
      *opened, files,
      artifact::OutputFile{.path = std::string(receipt::kManifestName),
                           .open = [&] { return note_error(memory_file(text)); },
                           .size = base::ByteCount(text.size())},
      options);
  if (not_opened) return lost(*not_opened);
  if (!pushed) return transfer_stop("upload_failed", "S3 upload failed: ", pushed.error());
  return {};
}

// --- the end -------------------------------------------------------------------------------------
JobEnd JobDriver::finish(const std::optional<JobStop>& stopped) {
  if (!stopped) return end_as(JobState::kCompleted, "", "");
  switch (stopped->kind) {
    case Kind::kDetached: return let_go();
    case Kind::kCancelled: return end_as(JobState::kCancelled, "cancelled", "Job cancelled");
    case Kind::kTimeout: return end_as(JobState::kTimeout, stopped->code, stopped->message);
    case Kind::kFailed: return end_as(JobState::kFailed, stopped->code, stopped->message);
    case Kind::kLost: break;
  }
  // Whoever is told to let go while something breaks below them leaves it to the next one.
  if (control_.is_detached()) return JobEnd::kLetGo;
  if (control_.is_cancelled()) return end_as(JobState::kCancelled, "cancelled", "Job cancelled");
  if (record_.attempts < settings_.attempts_max) return hand_back(*stopped);
  return end_as(JobState::kFailed, stopped->code,
                "Unexpected error: the runner lost the job in attempt " +
                    std::to_string(record_.attempts) + ": " + stopped->message);
}

// In the store first: should we die before the workspace is gone, it is ended as an orphan.
JobEnd JobDriver::end_as(JobState state, std::string code, std::string message) {
  store::JobChange change;
  change.state = state;
  change.phase = std::string(model::job_state_name(state));
  change.progress = state == JobState::kCompleted ? 100 : record_.progress;
  change.error_code = code;
  change.error_message = message;
  record_.state = state;
  record_.error_code = std::move(code);
  record_.error_message = std::move(message);
  record_.completed_at = now();
  const auto ended =
      ask_store("job.end_failed", Refusal::kIsAskedAgain, [&] { return end_with_receipt(change); });
  if (!ended) return let_go();
  base::crash_point("job_ended");
  clean_up();
  parts_.log("job.end", record_.id, model::job_state_name(state));
  return JobEnd::kEnded;
}

// The receipt is on disk before the state says that there is one.
base::Result<store::JobHead> JobDriver::end_with_receipt(store::JobChange change) {
  AIRLOCK_ASSIGN(const std::optional<store::RunnerRecord> runner,
                 store::wait_for(&JobStore::find_runner, parts_.store, record_.runner_id));
  receipt::StatementFacts facts;
  facts.runner_id = record_.runner_id;
  facts.previous = runner ? runner->receipt_hash : "";
  facts.prep_sees_input = settings_.prep_sees_input;
  if (has_program_) {
    for (const source::Phase phase : {source::Phase::kPrep, source::Phase::kInference}) {
      facts.commands[std::string(source::phase_name(phase))] =
          source::make_phase_plan(phase, record_, program_.build, program_.checked.job_file).argv;
    }
  }
  const auto logs =
      read_text(parts_.files.log(record_.id, "inference"), kHashedLogBytes).value_or("");
  facts.contract =
      receipt::hash_for_contract({.job_id = record_.id,
                                  .status = std::string(contract_status(record_.state)),
                                  .exit_code = last_exit_code(record_),
                                  .timestamp = receipt::naive_utc(*record_.completed_at)},
                                 logs);
  AIRLOCK_ASSIGN(const receipt::SignedReceipt signed_receipt,
                 receipt::make_receipt(record_, facts, parts_.key));
  auto written = parts_.files.create(record_.id);
  if (written) { written = write_whole(parts_.files.receipt(record_.id), signed_receipt.envelope); }
  if (!written) {
    written.error().code = base::ErrorCode::kIo;  // says nothing of the claim, whatever it was
    return base::fail(std::move(written).error());
  }
  base::crash_point("job_receipt_written");
  change.receipt = store::ReceiptLink{facts.previous, signed_receipt.digest};
  return store::wait_for(&JobStore::update, parts_.store,
                         store::JobClaim{record_.id, record_.fencing_token}, std::move(change));
}

JobEnd JobDriver::hand_back(const JobStop& stopped) {
  parts_.log("job.retry", record_.id, stopped.message);
  workspace_.end();
  // Another attempt would meet the same.
  if (stopped.awaits_disk) { disk_wait().until_room(settings_.directory); }
  const auto head = ask_store("job.release_failed", Refusal::kIsAskedAgain, [&] {
    return store::wait_for(&JobStore::release, parts_.store,
                           store::JobClaim{record_.id, record_.fencing_token}, stopped.message);
  });
  if (!head) return let_go();
  record_.state = head->state;
  clean_up();
  return model::is_terminal(head->state) ? JobEnd::kEnded : JobEnd::kHandedBack;
}

// What runs goes on under whoever comes next, unless somebody else has the job by now.
JobEnd JobDriver::let_go() {
  if (fenced_) workspace_.end();
  return JobEnd::kLetGo;
}

// Logs, outputs and the receipt stay; inputs and what was kept of the source do not.
void JobDriver::clean_up() {
  workspace_.end();
  std::error_code error;
  fs::remove_all(parts_.files.inputs(record_.id), error);
  fs::remove_all(parts_.files.of(record_.id) / "source", error);
}

}  // namespace airlock::runner
