// NativeProcess: the caller's end of one exec, and the reading of what the keeper sends.
//
// Guarantees: the report is given once it has come, again and again; a keeper that died is an error
// and never a verdict. Does not judge: facts are passed on as they were observed. Owned by one
// thread; the keeper kills the process when this is destroyed, unless it has a tag.
#pragma once

#include <string>

#include "backend/backend.h"
#include "jail/tier.h"

namespace airlock::backend::native {

class NativeProcess final : public Process {
 public:
  // In a sandbox of that spec.
  NativeProcess(base::UniqueFd channel, SandboxSpec spec)
      : channel_(std::move(channel)), spec_(std::move(spec)) {}

  int event_fd() const override { return channel_.get(); }
  base::Result<std::optional<ProcessReport>> try_report() override;
  base::Result<ProcessReport> wait() override;
  base::Result<std::optional<base::UniqueFd>> try_terminal() override;
  base::Status kill(model::KillReason reason) override;
  base::Status terminate(model::KillReason reason, std::chrono::milliseconds grace) override;
  base::Status signal(int number) override;

 private:
  // Takes what has arrived; `flags` as of recvmsg.
  base::Status receive(int flags);

  base::UniqueFd channel_;
  SandboxSpec spec_;
  std::optional<ProcessReport> report_;
  base::UniqueFd terminal_;
};

// What a sandbox of that tier holds against.
model::IsolationLevel level_of(jail::Tier tier);

// Reads the answer to kListen. Blocks.
base::Result<base::UniqueFd> receive_listener(int channel);

// Reads the answers to kCollect up to kCollectDone. Blocks.
base::Result<Collected> receive_collected(int channel);

}  // namespace airlock::backend::native
