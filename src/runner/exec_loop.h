// One exec from its start to its last byte: streams, limits on them, cancelling.
//
// A poll(2) loop on the calling thread; it returns when the whole process tree is gone and every
// byte within the cap has been taken by the sink (or its reader has gone away). Streams are capped
// each: one byte more than the cap ends the program with KillReason::kOutputLimit, exactly the cap
// does not.
#pragma once

#include "backend/backend.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/units.h"
#include "runner/output_sink.h"
#include "runner/run_control.h"

namespace airlock::runner {

// All borrowed for the time of the call.
struct ExecIo {
  int stdin_fd = -1;                   // the caller's; -1: the program reads an empty stdin
  OutputSink* sink = nullptr;          // must not be null
  RunControl* control = nullptr;       // null: nothing can interrupt this
  const base::Clock* clock = nullptr;  // must not be null
};

struct ExecReport {
  backend::ProcessReport process;  // facts.cancelled and facts.output_truncated are filled in
  bool stdout_truncated = false;
  bool stderr_truncated = false;
  bool reader_gone = false;  // cancelled because the sink failed
};

// `spec.limits.output` is the cap. With `spec.terminal` the pty's bytes go to Stream::kStdout.
base::Result<ExecReport> exec_to_end(backend::Sandbox& sandbox, backend::ProcessSpec spec,
                                     const ExecIo& io);

}  // namespace airlock::runner
