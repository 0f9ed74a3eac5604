// Any text as airlock.yaml, package.json and requirements.txt: no crash, no hang, and what is
// accepted is within its bounds.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "source/build_plan.h"
#include "source/job_file.h"
#include "source/phase_plan.h"
#include "source/repository_check.h"
#include "source/test_repository.h"

namespace airlock::source {
namespace {

void check_command(const Command& command) {
  AIRLOCK_CHECK(command.size() <= kJobFileWordsMax);
  AIRLOCK_CHECK(!command.front().empty());
  for (const std::string& word : command) {
    AIRLOCK_CHECK(word.size() <= kJobFileTextBytesMax);
    AIRLOCK_CHECK(word.find('\0') == std::string::npos);
  }
}

void try_job_file(std::string_view text) {
  const auto file = parse_job_file(text);
  if (!file) {
    AIRLOCK_CHECK(!file.error().message.empty());
    return;
  }
  check_command(file->inference);
  if (!file->prep.empty()) check_command(file->prep);
  if (file->build) {
    for (const Command& command : *file->build) check_command(command);
  }
  for (const std::string& path : file->outputs) AIRLOCK_CHECK(!path.starts_with('/'));
  (void)make_phase_plan(Phase::kInference, {}, {}, *file);
}

void try_repository(const std::string& text) {
  const FakeView view({{"inference.py", text},
                       {"requirements.txt", text},
                       {"package.json", text},
                       {"Dockerfile", text}});
  (void)check_repository(view);
  const auto plan = make_build_plan(view, std::nullopt);
  if (plan) (void)build_digest({}, *plan);
}

}  // namespace
}  // namespace airlock::source

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Why safe: libFuzzer's buffer lives for the whole call, and char may alias anything.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  airlock::source::try_job_file(text);
  airlock::source::try_repository(std::string(text));
  return 0;
}
