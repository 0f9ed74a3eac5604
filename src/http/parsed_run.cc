#include "http/parsed_run.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "model/limits.h"
#include "runner/guest_environment.h"

namespace airlock::http {
namespace {

std::size_t bytes_of(const std::vector<std::string>& words) {
  std::size_t bytes = 0;
  for (const std::string& word : words) bytes += word.size() + 1;
  return bytes;
}

base::Status check_argument_bytes(const model::PhaseSpec& phase,
                                  const std::vector<std::string>& env) {
  const std::size_t bytes = bytes_of(phase.argv) + bytes_of(env);
  if (bytes <= model::kArgumentBytesMax.count()) return {};
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "arguments and environment together have " + std::to_string(bytes) +
                        " bytes; at most " + std::to_string(model::kArgumentBytesMax.count()) +
                        " are possible",
                    "put what is large into a file or into stdin");
}

}  // namespace

base::Result<base::UniqueFd> make_content(const char* name, std::string_view bytes) {
  // Why safe: a new descriptor with one owner.
  base::UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd.valid()) return base::fail_errno("memfd_create");
  for (std::size_t written = 0; written < bytes.size();) {
    const ssize_t count = ::pwrite(fd.get(), bytes.data() + written, bytes.size() - written,
                                   static_cast<off_t>(written));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("write to a memfd");
    written += static_cast<std::size_t>(count);
  }
  return fd;
}

base::Status set_stdin(ParsedRun& run, std::string_view bytes) {
  AIRLOCK_ASSIGN(run.stdin_content, make_content("stdin", bytes));
  run.request.stdin_fd = run.stdin_content.get();
  return {};
}

base::Status set_program(ParsedRun& run, language::RunPlan& plan, std::string_view code) {
  AIRLOCK_ASSIGN(base::UniqueFd content, make_content("program", code));
  run.request.spec.compile = std::move(plan.compile);
  run.request.spec.run = std::move(plan.run);
  run.request.files.push_back({.path = std::move(plan.source_path), .content = std::move(content)});
  return {};
}

base::Status set_environment(ParsedRun& run, const std::vector<std::vector<std::string>>& layers) {
  model::RunSpec& spec = run.request.spec;
  AIRLOCK_ASSIGN(spec.env, runner::make_guest_environment(layers));
  AIRLOCK_TRY(check_argument_bytes(spec.run, spec.env));
  if (spec.compile) AIRLOCK_TRY(check_argument_bytes(*spec.compile, spec.env));
  return {};
}

}  // namespace airlock::http
