#include "apps/airlock/run_inputs.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "language/language_table.h"
#include "language/run_plan.h"
#include "language/toolchain_search.h"
#include "model/limits.h"
#include "runner/guest_environment.h"
#include "runner/input_path.h"

namespace airlock::apps {
namespace {

inline constexpr std::string_view kElfMagic =
    "\x7f"
    "ELF";
inline constexpr std::string_view kWorkspacePrefix = "workspace/";
inline constexpr std::size_t kReadChunkBytes = 64 * 1024;

struct Program {
  base::UniqueFd content;
  std::string file_name;  // empty: from stdin
  bool is_executable = false;
};

base::Status refuse(std::string message, std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::move(message), std::move(hint));
}

std::string_view base_name(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// `what` is the option it came from, for errors.
base::Result<base::UniqueFd> open_regular(const std::string& path, std::string_view what) {
  const std::string context = std::string(what) + " \"" + path + "\"";
  // O_NONBLOCK: a fifo must not hang us before we can say that it is one.
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) return base::fail_errno(context);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return base::fail_errno(context);
  if (S_ISDIR(info.st_mode)) AIRLOCK_TRY(refuse(context + " is a folder", "name a file in it"));
  if (!S_ISREG(info.st_mode)) {
    AIRLOCK_TRY(refuse(context + " is not a regular file",
                       "for a program that comes from a pipe: airlock run --language NAME -"));
  }
  return fd;
}

// "#!" names an interpreter; "#![" opens a Rust source file.
bool is_executable_magic(std::string_view start) {
  return start == kElfMagic || (start.starts_with("#!") && !start.starts_with("#!["));
}

base::Result<Program> open_program(const RunOptions& options) {
  Program program;
  AIRLOCK_ASSIGN(program.content, open_regular(options.program, "program"));
  program.file_name = base_name(options.program);
  if (options.language.empty()) {
    char start[4];
    const ssize_t count = ::pread(program.content.get(), start, sizeof start, 0);
    if (count < 0) return base::fail_errno("read \"" + options.program + "\"");
    program.is_executable =
        is_executable_magic(std::string_view(start, static_cast<std::size_t>(count)));
  }
  return program;
}

base::Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0) return base::fail_errno("keep the program from stdin");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

base::Result<Program> read_program_from_stdin(base::ByteCount size_max) {
  Program program;
  program.content = base::UniqueFd(::memfd_create("program", MFD_CLOEXEC));
  if (!program.content.valid()) return base::fail_errno("memfd_create");
  std::string chunk(kReadChunkBytes, '\0');
  std::uint64_t total = 0;
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("read the program from stdin");
    if (count == 0) break;
    total += static_cast<std::uint64_t>(count);
    if (total > size_max.count()) {
      AIRLOCK_TRY(refuse("the program from stdin is larger than the disk limit of " +
                             base::format_byte_count(size_max),
                         "raise it with --disk"));
    }
    AIRLOCK_TRY(write_all(program.content.get(), {chunk.data(), static_cast<std::size_t>(count)}));
  }
  if (total == 0) AIRLOCK_TRY(refuse("the program from stdin is empty"));
  return program;
}

base::Status plan_executable(const RunOptions& options, Program program, RunInputs& inputs) {
  AIRLOCK_TRY(runner::check_input_path(program.file_name)
                  .with_context("the program's name \"" + program.file_name + "\""));
  inputs.spec.run.limits = options.limits.over({});
  inputs.spec.run.argv.push_back("/workspace/" + program.file_name);
  for (const std::string& arg : options.args) inputs.spec.run.argv.push_back(arg);
  inputs.files.push_back({.path = std::string(kWorkspacePrefix) + program.file_name,
                          .content = std::move(program.content),
                          .executable = true});
  return {};
}

// Our own table is never wrong; a file of the user's is named with its flag.
std::string table_context(const RunOptions& options) {
  return options.languages_file.empty() ? "languages" : "--languages";
}

base::Status plan_source(const RunOptions& options, Program program, RunInputs& inputs,
                         std::vector<std::string>& language_env) {
  AIRLOCK_ASSIGN(
      const auto table,
      language::LanguageTable::load(options.languages_file).with_context(table_context(options)));
  AIRLOCK_ASSIGN(const language::Language* const found,
                 options.language.empty() ? table.require_by_file_name(program.file_name)
                                          : table.require(options.language));
  const char* const caller_path = std::getenv("PATH");
  language::ToolSearchOptions search;
  if (caller_path != nullptr) search.caller_path = caller_path;
  AIRLOCK_ASSIGN(const auto installed, language::require_toolchain(*found, search));
  AIRLOCK_ASSIGN(auto plan, language::make_plan(*found, installed,
                                                {.file_name = program.file_name,
                                                 .args = options.args,
                                                 .limits = options.limits}));
  inputs.spec.compile = std::move(plan.compile);
  inputs.spec.run = std::move(plan.run);
  language_env = std::move(plan.env);
  inputs.files.push_back(
      {.path = std::move(plan.source_path), .content = std::move(program.content)});
  return {};
}

base::Status open_files(const RunOptions& options, RunInputs& inputs) {
  if (options.files.size() > model::kInputFilesMax) {
    return refuse("more than " + std::to_string(model::kInputFilesMax) + " files");
  }
  runner::InputPaths paths;
  for (const backend::InputFile& file : inputs.files) {
    AIRLOCK_TRY(paths.add(file.path.substr(kWorkspacePrefix.size())));
  }
  for (const FileOption& file : options.files) {
    AIRLOCK_ASSIGN(base::UniqueFd content, open_regular(file.host, "--file"));
    AIRLOCK_TRY(paths.add(file.inside).with_context("--file \"" + file.host + "\""));
    inputs.files.push_back(
        {.path = std::string(kWorkspacePrefix) + file.inside, .content = std::move(content)});
  }
  return {};
}

}  // namespace

base::Result<RunInputs> open_run_inputs(const RunOptions& options) {
  RunInputs inputs;
  inputs.stdin_is_used_up = options.program == "-";
  Program program;
  if (inputs.stdin_is_used_up) {
    AIRLOCK_ASSIGN(program, read_program_from_stdin(options.limits.over({}).disk));
  } else {
    AIRLOCK_ASSIGN(program, open_program(options));
  }
  std::vector<std::string> language_env;
  if (program.is_executable) {
    AIRLOCK_TRY(plan_executable(options, std::move(program), inputs));
  } else {
    AIRLOCK_TRY(plan_source(options, std::move(program), inputs, language_env));
  }
  AIRLOCK_TRY(open_files(options, inputs));
  AIRLOCK_ASSIGN(inputs.spec.env, runner::make_guest_environment({language_env, options.env}));
  inputs.spec.collect = options.collect;
  inputs.spec.collect_output_directory = !options.output_directory.empty();
  inputs.spec.min_isolation = options.min_isolation;
  inputs.spec.seccomp_profile = options.seccomp_profile;
  inputs.spec.network = options.network;
  return inputs;
}

}  // namespace airlock::apps
