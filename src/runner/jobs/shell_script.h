// ShellScript: several commands as one program, so that one exec is one step.
//
// Words are quoted so that a shell takes each as it is, whatever is in it. Command `i` that fails
// ends the script with exit status kStepFailed + i; nothing is run after it. Pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace airlock::runner {

inline constexpr int kStepFailed = 100;
inline constexpr std::size_t kStepsMax = 24;  // what is above is a shell's own: 126, 127, 128 + n

struct ScriptCommand {
  std::vector<std::string> argv;
  bool only_if_previous_failed = false;
  bool tolerated = false;  // its failure does not end the script
  bool echo = false;       // the command is written to stderr first, as `set -x` does
};

std::string quote_for_shell(std::string_view word);

// {"/bin/sh", "-c", "..."}
std::vector<std::string> make_script(const std::vector<ScriptCommand>& commands);

// Which command ended a script with that status.
std::optional<std::size_t> failed_command(int exit_code);

}  // namespace airlock::runner
