#include "runner/jobs/shell_script.h"

namespace airlock::runner {
namespace {

std::string command_line(const std::vector<std::string>& argv) {
  std::string line;
  for (const std::string& word : argv) line += (line.empty() ? "" : " ") + quote_for_shell(word);
  return line;
}

}  // namespace

std::string quote_for_shell(std::string_view word) {
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::vector<std::string> make_script(const std::vector<ScriptCommand>& commands) {
  std::string script = "ok=0\n";
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const ScriptCommand& command = commands[i];
    const std::string line = command_line(command.argv);
    if (command.only_if_previous_failed) script += "if [ $ok -ne 0 ]; then\n";
    if (command.echo) script += "printf '%s\\n' " + quote_for_shell("+ " + line) + " >&2\n";
    script += line + "\nok=$?\n";
    if (!command.tolerated) {
      script += "[ $ok -eq 0 ] || exit " + std::to_string(kStepFailed + static_cast<int>(i)) + "\n";
    }
    if (command.only_if_previous_failed) script += "fi\n";
  }
  return {"/bin/sh", "-c", script + "exit 0\n"};
}

std::optional<std::size_t> failed_command(int exit_code) {
  if (exit_code < kStepFailed || exit_code >= kStepFailed + static_cast<int>(kStepsMax)) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(exit_code - kStepFailed);
}

}  // namespace airlock::runner
