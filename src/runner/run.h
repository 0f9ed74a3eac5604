// run: the life of one run, from a RunSpec to its RunResult.
//
//   open workspace -> create sandbox -> put files -> compile (if any) -> run -> collect -> destroy
//
// The result is returned only after the sandbox is gone. A compile phase that does anything but
// exit with 0 ends the run: its outcome becomes the outcome of the run (so nobody takes the run for
// a success), `detail` says that it was the compilation, and `compile` holds its messages and
// usage. Errors are ours or the host's, never the program's.
//
// Compile and run are two execs in one sandbox: they share files, never a process, since the first
// one's tree is gone before the second starts.
//
// With a gateway the program finds it by the variables of gateway_environment(); the result has
// what went through it, and nothing of it is open any more.
#pragma once

#include <vector>

#include "backend/backend.h"
#include "base/clock.h"
#include "base/result.h"
#include "egress/gateway.h"
#include "model/run_result.h"
#include "model/run_spec.h"
#include "runner/output_sink.h"
#include "runner/run_control.h"

namespace airlock::runner {

// Collected files that are kept in memory (no FileSink) are bounded together.
inline constexpr base::ByteCount kCapturedFilesMax = base::mebibytes(64);

struct RunRequest {
  model::RunSpec spec;
  std::vector<backend::InputFile> files;
  int stdin_fd = -1;      // borrowed; -1: empty. Only the run phase reads it.
  bool terminal = false;  // the run phase gets a pty; the compile phase never does
  // With spec.network kGateway: what goes through, for both phases together.
  egress::Policy egress;
  egress::Budget egress_budget;
};

// All borrowed for the time of the call. A null sink: the bytes are captured in the result.
struct RunIo {
  OutputSink* output = nullptr;
  OutputSink* compile_output = nullptr;  // in addition to RunResult::compile, which always has them
  FileSink* files = nullptr;
  RunControl* control = nullptr;
  const base::Clock* clock = nullptr;  // must not be null
  egress::Gateway* gateway = nullptr;  // null: a run that asks for it is refused
};

base::Result<model::RunResult> run(backend::Backend& backend, RunRequest request, const RunIo& io);

}  // namespace airlock::runner
