// JobWorkspace: the durable workspace of one attempt, and the steps that run in it, each in a
// sandbox of its own.
//
// A step is known by its tag. One that was begun before, by us or by whoever drove the job before
// us, is never begun again: `run` then waits for its end and gives the report that was kept. What a
// step needs is therefore asked for only when it is really begun (Step::prepare). Between two steps
// the one before is gone, processes and network: the next sandbox is made after that was seen.
//
// One thread. Destroying it lets go of the workspace and ends nothing; end() ends it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "egress/gateway.h"
#include "model/job.h"
#include "runner/jobs/job_control.h"
#include "runner/jobs/job_stop.h"

namespace airlock::runner {

struct StepNetwork {
  egress::Policy policy;
  egress::Budget budget;
};

struct Step {
  std::string tag;
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string cwd = "/workspace";
  model::Limits limits;
  backend::SandboxSpec sandbox;
  std::optional<StepNetwork> network;  // none: loopback only
  std::filesystem::path log;
  base::ByteCount log_bytes_max;
  // Files that the program finds; called when the step is begun.
  std::function<base::Result<std::vector<backend::InputFile>>()> prepare;
};

struct StepEnd {
  backend::ProcessReport report;
  std::vector<model::EgressEntry> egress;  // without the name of a phase
  std::vector<model::Denial> denials;      // of the gateway
  egress::SessionEnd network;
  // Its gateway ended with whoever drove the job before us: connections may have been cut.
  bool interrupted = false;
};

class JobWorkspace {
 public:
  // All borrowed; `gateway` may be null where no step has a network.
  JobWorkspace(backend::Backend& backend, egress::Gateway* gateway)
      : backend_(backend), gateway_(gateway) {}

  base::Status open(backend::WorkspaceSpec spec);
  // kNotFound: nothing is left of it.
  base::Status adopt(const std::string& name);
  bool has_begun(const std::string& tag) const;

  // To its end. Cancelling climbs the ladder of signals and still gives the report; detaching
  // leaves everything running. `look` is called now and then while it runs, with what went through
  // the gateway so far; if it says kStop the step is ended as if it were cancelled.
  enum class Verdict { kGoOn, kStop };
  using Look = std::function<Verdict(const std::vector<model::EgressEntry>&)>;
  Went<StepEnd> run(Step step, JobControl& control, const Look& look);

  // In the sandbox of the step that ended last, or in one made for this.
  base::Result<backend::Collected> collect(backend::CollectSpec spec);
  // What lies in /build becomes a layer.
  base::Result<backend::KeptLayer> keep_layer(const std::string& name);
  // The sandbox is gone when the next one is made, or when the workspace is.
  void end_sandbox();
  void end();

 private:
  base::Result<std::unique_ptr<backend::Process>> begin(Step& step);
  base::Status open_network(Step& step);
  Went<backend::ProcessReport> wait_for(backend::Process& process, JobControl& control,
                                        const Look& look);

  backend::Backend& backend_;
  egress::Gateway* gateway_;
  std::string name_;
  std::unique_ptr<backend::Workspace> workspace_;
  std::unique_ptr<backend::Sandbox> sandbox_;  // destroyed before its workspace
  std::vector<backend::AdoptedProcess> adopted_;
  egress::Session session_;
};

}  // namespace airlock::runner
