// What airlock itself says to a person, always on stderr, always free of terminal escapes.
//
// Names, details and paths may come from a guest or from other users of the host: every byte of
// them that is a control character, or no UTF-8, is shown as \xNN.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/run_result.h"
#include "model/run_spec.h"

namespace airlock::apps {

// "airlock: message\n". The whole line is escaped.
void print_line(std::string_view message);
// "airlock: message: Operation not permitted\n", and the hint on a line of its own.
void print_error(const base::Error& error);
void print_error(std::string_view context, const base::Error& error);

// One line for an outcome other than a plain exit, with the flag that raises the limit that was
// hit; below it what was denied, by which rule, and the fix; a line for each destination that was
// not reached, and for each refused file.
void print_outcome(const model::RunResult& result);
// The block of --verbose: time, memory, isolation.
void print_summary(const model::RunResult& result, const model::Limits& limits);

std::string escaped(std::string_view text);

}  // namespace airlock::apps
