#include "runner/jobs/shell_script.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>

namespace airlock::runner {
namespace {

struct Ran {
  int exit_code = -1;
  std::string output;
};

Ran run(const std::vector<ScriptCommand>& commands) {
  std::vector<std::string> argv = make_script(commands);
  std::string line = "exec " + quote_for_shell(argv[0]) + " -c " + quote_for_shell(argv[2]);
  // Why safe: the words are this test's own.
  std::FILE* const pipe = ::popen(line.c_str(), "r");
  Ran ran;
  std::array<char, 256> buffer;
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    ran.output.append(buffer.data(), count);
  }
  ran.exit_code = WEXITSTATUS(::pclose(pipe));
  return ran;
}

TEST(ShellScriptTest, WordsArriveAsTheyAre) {
  for (const std::string& word :
       {std::string("a b"), std::string("'"), std::string("$(id)`id`\\n\"*?"), std::string("-n"),
        std::string("a\nb"), std::string("''\\''"), std::string("\xff;&|<>")}) {
    const Ran ran = run({{.argv = {"/usr/bin/printf", "%s", word}}});
    EXPECT_EQ(ran.exit_code, 0);
    EXPECT_EQ(ran.output, word);
  }
}

TEST(ShellScriptTest, TheFirstFailureEndsItAndIsKnown) {
  const Ran ran = run({{.argv = {"/bin/true"}},
                       {.argv = {"/bin/sh", "-c", "exit 7"}},
                       {.argv = {"/bin/echo", "never"}}});
  EXPECT_EQ(failed_command(ran.exit_code), 1u);
  EXPECT_EQ(ran.output, "");
  EXPECT_EQ(failed_command(run({{.argv = {"/no/such/program"}}}).exit_code), 0u);
}

TEST(ShellScriptTest, ATriedCommandHasAnotherBehindIt) {
  const std::vector<ScriptCommand> commands = {
      {.argv = {"/bin/false"}, .tolerated = true},
      {.argv = {"/bin/echo", "second"}, .only_if_previous_failed = true},
      {.argv = {"/bin/echo", "third"}}};
  const Ran ran = run(commands);
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_EQ(ran.output, "second\nthird\n");
  std::vector<ScriptCommand> worked = commands;
  worked[0].argv = {"/bin/true"};
  EXPECT_EQ(run(worked).output, "third\n");
}

TEST(ShellScriptTest, OtherStatusesAreNoCommands) {
  for (const int status : {0, 1, 99, 124, 126, 127, 137}) {
    EXPECT_EQ(failed_command(status), std::nullopt) << status;
  }
}

}  // namespace
}  // namespace airlock::runner
