#include "language/run_plan.h"

#include <algorithm>
#include <span>

#include "language/placeholders.h"

namespace airlock::language {
namespace {

using base::ErrorCode;
using base::Result;
using base::Status;

constexpr std::size_t kFileNameBytesMax = 255;  // NAME_MAX

Status check_file_name(std::string_view name) {
  const bool control =
      std::ranges::any_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '/'; });
  if (control || name.size() > kFileNameBytesMax || name == "." || name == "..") {
    return base::fail(ErrorCode::kInvalidArgument,
                      "a program's file name must be one plain name of at most 255 bytes");
  }
  return {};
}

// The user's name for the program where it fits the language, else the language's.
std::string choose_file_name(const Language& language, const std::string& wanted) {
  const bool fits =
      std::ranges::any_of(language.extensions, [&wanted](const std::string& extension) {
        return wanted.size() > extension.size() && wanted.ends_with(extension);
      });
  return fits ? wanted : language.file_name;
}

model::Limits run_limits(const Toolchain& toolchain, const PlanRequest& request) {
  model::Limits limits = toolchain.run.limits.over(request.defaults);
  limits.disk = toolchain.disk.value_or(limits.disk);
  limits.inodes = toolchain.inodes.value_or(limits.inodes);
  return request.limits.over(limits);
}

// The language's limits, raised where the user gave more; the workspace is the one that `run` has.
model::Limits compile_limits(const Toolchain& toolchain, const model::LimitsGiven& user,
                             const model::Limits& run) {
  const model::Limits own = toolchain.compile->limits.over(model::Limits{});
  model::Limits limits = user.over(own);
  limits.wall_time = std::max(limits.wall_time, own.wall_time);
  limits.cpu_time = std::max(limits.cpu_time, own.cpu_time);
  limits.memory = std::max(limits.memory, own.memory);
  limits.pids = std::max(limits.pids, own.pids);
  limits.output = std::max(limits.output, own.output);
  limits.open_files = std::max(limits.open_files, own.open_files);
  limits.disk = run.disk;
  limits.inodes = run.inodes;
  return limits;
}

Result<std::vector<std::string>> fill_argv(const PhaseCommand& command,
                                           const InstalledToolchain& installed,
                                           std::span<const PlaceholderValue> values,
                                           const std::vector<std::string>& args) {
  std::vector<std::string> argv;
  for (const std::string& word : command.argv) {
    const auto tool = argv.empty() ? installed.paths.find(word) : installed.paths.end();
    if (tool != installed.paths.end()) {
      argv.push_back(tool->second);
    } else if (word == kArgumentsWord) {
      argv.insert(argv.end(), args.begin(), args.end());
    } else {
      AIRLOCK_ASSIGN(std::string filled, fill_placeholders(word, values));
      argv.push_back(std::move(filled));
    }
  }
  if (argv.size() > model::kArgumentsMax) {
    return base::fail(ErrorCode::kLimitExceeded,
                      "more than " + std::to_string(model::kArgumentsMax) + " arguments");
  }
  return argv;
}

Result<model::PhaseSpec> make_phase(const PhaseCommand& command, const model::Limits& limits,
                                    const InstalledToolchain& installed,
                                    std::vector<PlaceholderValue> values,
                                    const std::vector<std::string>& args) {
  AIRLOCK_TRY(model::validate(limits));
  values.push_back({kMemoryPlaceholder, std::to_string(limits.memory.count())});
  AIRLOCK_ASSIGN(std::vector<std::string> argv, fill_argv(command, installed, values, args));
  return model::PhaseSpec{.argv = std::move(argv), .limits = limits};
}

}  // namespace

Result<RunPlan> make_plan(const Language& language, const InstalledToolchain& installed,
                          const PlanRequest& request) {
  AIRLOCK_TRY(check_file_name(request.file_name));
  const Toolchain& toolchain = *installed.toolchain;
  const std::string file_name = choose_file_name(language, request.file_name);
  const std::string stem = file_name.substr(0, file_name.rfind('.'));
  const std::string source = std::string(kWorkspace) + "/" + file_name;

  std::vector<PlaceholderValue> values = {{kSourcePlaceholder, source}, {kStemPlaceholder, stem}};
  if (!toolchain.binary.empty()) {
    AIRLOCK_ASSIGN(std::string binary, fill_placeholders(toolchain.binary, values));
    if (binary == source) binary += ".bin";  // never over the source
    values.push_back({kBinaryPlaceholder, std::move(binary)});
  }

  RunPlan plan;
  plan.source_path = source.substr(1);
  plan.env = toolchain.env;
  const model::Limits limits = run_limits(toolchain, request);
  if (toolchain.compile) {
    AIRLOCK_ASSIGN(plan.compile,
                   make_phase(*toolchain.compile, compile_limits(toolchain, request.limits, limits),
                              installed, values, {}));
  }
  AIRLOCK_ASSIGN(plan.run, make_phase(toolchain.run, limits, installed, values, request.args));
  return plan;
}

}  // namespace airlock::language
