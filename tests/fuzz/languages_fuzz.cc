// Any text as a languages file, then a plan for every language of it: no crash, no hang, and
// whatever is accepted keeps what LanguageTable promises.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "language/language_table.h"
#include "language/run_plan.h"
#include "model/limits.h"

namespace airlock {
namespace {

void check_argv(const model::PhaseSpec& phase) {
  AIRLOCK_CHECK(!phase.argv.empty());
  AIRLOCK_CHECK(phase.argv.front().starts_with('/'));
  AIRLOCK_CHECK(model::validate(phase.limits).has_value());
  for (const std::string& word : phase.argv) {
    AIRLOCK_CHECK(word.find('\0') == std::string::npos);
  }
}

void check_plan(const language::Language& language, const language::Toolchain& toolchain) {
  language::InstalledToolchain installed;
  installed.toolchain = &toolchain;
  for (const language::Tool& tool : toolchain.tools) {
    installed.paths[tool.executable] = "/usr/bin/" + tool.executable;
  }
  const language::PlanRequest request{
      .file_name = "x" + language.extensions.front(), .args = {"{args}", ""}, .limits = {}};
  const auto plan = language::make_plan(language, installed, request);
  AIRLOCK_CHECK(plan.has_value());
  AIRLOCK_CHECK_EQ(plan->source_path, "workspace/" + request.file_name);
  AIRLOCK_CHECK(plan->compile.has_value() == toolchain.compile.has_value());
  if (plan->compile) check_argv(*plan->compile);
  check_argv(plan->run);
  AIRLOCK_CHECK_EQ(std::ranges::count(plan->run.argv, "{args}"), 1);
}

}  // namespace
}  // namespace airlock

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Why safe: libFuzzer's buffer lives for the whole call, and char may alias anything.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto table = airlock::language::LanguageTable::parse(text, "fuzz");
  if (!table) {
    AIRLOCK_CHECK(!table.error().message.empty());
    return 0;
  }
  for (const auto& language : table->languages()) {
    AIRLOCK_CHECK(table->find(language.name) == &language);
    AIRLOCK_CHECK(table->find_by_file_name("a/" + language.file_name) == &language);
    for (const airlock::language::Toolchain& toolchain : language.toolchains)
      airlock::check_plan(language, toolchain);
  }
  return 0;
}
