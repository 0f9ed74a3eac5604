// JobDriver: drives one attempt of one job, from its claim to its end, on the calling thread.
//
//   clone -> check -> build -> inputs -> prep -> seal -> inference -> outputs -> receipt -> the end
//
// Every step can be done again, or was kept by the workspace (job_workspace.h), so that a driver
// that adopts an attempt begins at the beginning, too, and finds most of it done. Each change is in
// the store before the next step begins. An attempt that breaks for no fault of the job is handed
// back to the queue while it has attempts left; then it ends as `runner_lost`.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "model/job.h"
#include "runner/jobs/disk_wait.h"
#include "runner/jobs/job_control.h"
#include "runner/jobs/job_parts.h"
#include "runner/jobs/job_settings.h"
#include "runner/jobs/job_source.h"
#include "runner/jobs/job_stop.h"
#include "runner/jobs/job_workspace.h"

namespace airlock::runner {

enum class JobEnd {
  kEnded,       // terminal in the store
  kHandedBack,  // waits again
  kLetGo,       // detached, or the claim is somebody else's by now
};

// In `source/` of the job, once the repository has been checked.
inline constexpr const char* kKeptMark = ".checked";
inline constexpr std::uint32_t kRepositoryFilesMax = 10'000;
// How soon a store that cannot answer is asked again: twice as long each time.
inline constexpr std::chrono::milliseconds kAskAgainLeast{50};
inline constexpr std::chrono::milliseconds kAskAgainMost{5'000};

// Of the attempt that holds the claim: a later one never meets what an earlier one left.
std::string workspace_name(const model::JobRecord& record);

class JobDriver {
 public:
  // `record` is claimed by us; all borrowed.
  JobDriver(const JobParts& parts, const JobSettings& settings, model::JobRecord record,
            model::Resources held, JobControl& control);

  // `adopt`: somebody drove this attempt before us.
  JobEnd run(bool adopt);
  const model::JobRecord& record() const { return record_; }

 private:
  Went<void> drive(bool adopt);
  Went<void> open(bool adopt);
  Went<void> forget_earlier_attempt();
  Went<void> clone();
  Went<void> check();
  Went<void> build();
  Went<void> fetch_inputs();
  Went<void> prep();
  Went<void> seal(const std::optional<egress::SessionEnd>& network);
  Went<void> inference();
  Went<void> take_outputs();
  Went<void> push_outputs();

  Went<void> run_clone(const source::ClonePlan& plan);
  Went<void> plan_from(const source::RepositoryView& view, const source::HostChecks& host);
  Went<void> run_compile_check();
  Went<void> run_build();
  DiskWait disk_wait() const;
  Went<void> take_output(const backend::CollectedFile& output, DiskWait& disk,
                         std::vector<model::ArtifactDigest>& outputs);
  base::Status copy_output(const backend::CollectedFile& output, DiskWait& disk);

  // Steps.
  Went<StepEnd> run_step(Step step);
  Step make_step(const std::string& tag, std::vector<std::string> argv,
                 std::chrono::milliseconds timeout) const;
  Step make_phase(source::Phase phase, std::chrono::milliseconds timeout) const;
  base::Result<egress::Policy> prep_policy() const;
  void connect(Step& step, egress::Policy policy) const;
  // The wall clock, but never before what the record says already: it may be set back meanwhile.
  model::WallTime now() const;
  std::string tenant() const;
  std::vector<std::string> environment(const std::vector<std::string>& more) const;
  base::Result<std::vector<backend::InputFile>> open_inputs() const;
  // Of this attempt.
  const model::PhaseRecord* ended_phase(const std::string& tag) const;
  bool has_begun(const std::string& tag) const;
  Went<void> judge(const std::string& tag, const std::string& code, const std::string& message);
  std::unexpected<JobStop> transfer_stop(const std::string& code, const std::string& text,
                                         const base::Error& error) const;
  void note(const std::string& tag, std::string_view text) const;
  // `entries` of this service's session in that phase, with what the record has of it from an
  // earlier attempt, and from the service before this one.
  std::vector<model::EgressEntry> add_known(const std::string& tag,
                                            std::vector<model::EgressEntry> entries) const;
  void note_gpu_faults(const std::vector<std::string>& faults);
  void look_at_gpus(model::Outcome& outcome);  // of a step that has ended

  // The store. A disk that is full or a database that is locked is waited for, since what runs goes
  // on meanwhile. kDetached: the claim is somebody else's, or we are to let go; kLost: it refuses
  // the change itself, and that is final.
  enum class Refusal { kIsFinal, kIsAskedAgain };
  template <typename Ask>
  auto ask_store(std::string_view event, Refusal refusal, Ask ask)
      -> Went<typename std::invoke_result_t<Ask>::value_type>;
  Went<void> enter(model::JobState state, const std::string& phase, double progress);
  Went<void> save(store::JobChange change);
  JobEnd finish(const std::optional<JobStop>& stopped);
  JobEnd end_as(model::JobState state, std::string code, std::string message);
  base::Result<store::JobHead> end_with_receipt(store::JobChange change);
  JobEnd let_go();
  JobEnd hand_back(const JobStop& stopped);
  void clean_up();

  const JobParts& parts_;
  const JobSettings& settings_;
  model::JobRecord record_;
  mutable model::WallTime latest_{};  // that now() has said
  const model::Resources held_;
  JobControl& control_;
  JobWorkspace workspace_;
  JobProgram program_;  // what check() found the repository to want
  bool has_program_ = false;
  std::string layer_;  // of the build; empty: it lies in the workspace itself
  std::vector<model::EgressEntry> told_egress_;  // what the store knows of the step that runs
  std::string gpu_fault_;                        // of a GPU of this job; empty: none
  bool fenced_ = false;
};

template <typename Ask>
auto JobDriver::ask_store(std::string_view event, Refusal refusal, Ask ask)
    -> Went<typename std::invoke_result_t<Ask>::value_type> {
  for (std::chrono::milliseconds pause = kAskAgainLeast;;
       pause = std::min(pause * 2, kAskAgainMost)) {
    auto answer = ask();
    if (answer) return std::move(*answer);
    const base::ErrorCode code = answer.error().code;
    if (code == base::ErrorCode::kPermissionDenied || code == base::ErrorCode::kNotFound) {
      fenced_ = true;
      return stop(JobStop::Kind::kDetached, "", "");
    }
    const bool refused =
        code == base::ErrorCode::kInvalidArgument || code == base::ErrorCode::kLimitExceeded;
    if (refused && refusal == Refusal::kIsFinal) return lost(answer.error());
    // Busy for a moment is nobody's concern: several jobs may end at once.
    const bool is_news = code != base::ErrorCode::kBusy || pause == kAskAgainMost;
    if (is_news) parts_.log(event, record_.id, answer.error().to_string());
    if (control_.is_detached()) return stop(JobStop::Kind::kDetached, "", "");
    parts_.sleep(pause);
  }
}

}  // namespace airlock::runner
