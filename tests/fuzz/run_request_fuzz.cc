// Any text as the body of each request that makes a run: no crash, no hang, and what is accepted
// keeps what its parser promises about paths, limits and streams.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "http/amon_api.h"
#include "http/amon_result.h"
#include "http/fake_catalog.h"
#include "http/json_reader.h"
#include "http/run_request.h"
#include "http/swissbrain_api.h"
#include "http/text_encoding.h"
#include "jail/path_rules.h"
#include "model/limits.h"
#include "runner/input_path.h"

namespace airlock::http {
namespace {

void check_phase(const model::PhaseSpec& phase) {
  AIRLOCK_CHECK(!phase.argv.empty());
  AIRLOCK_CHECK(!phase.argv.front().empty());
  AIRLOCK_CHECK(model::validate(phase.limits).has_value());
  for (const std::string& word : phase.argv) {
    AIRLOCK_CHECK(word.find('\0') == std::string::npos);
  }
}

void check_run(const ParsedRun& run, std::string_view input_prefix) {
  const runner::RunRequest& request = run.request;
  if (request.spec.compile) check_phase(*request.spec.compile);
  check_phase(request.spec.run);
  AIRLOCK_CHECK_EQ(request.stdin_fd, run.stdin_content.get());
  for (const std::string& entry : request.spec.env) {
    AIRLOCK_CHECK(entry.find('\0') == std::string::npos);
    AIRLOCK_CHECK(entry.find('=') != std::string::npos);
  }
  runner::InputPaths paths;
  for (const backend::InputFile& file : request.files) {
    AIRLOCK_CHECK(file.path.starts_with("workspace/") || file.path.starts_with(input_prefix));
    AIRLOCK_CHECK(jail::is_safe_path(file.path));
    AIRLOCK_CHECK(paths.add(file.path).has_value());
    AIRLOCK_CHECK(file.content.valid());
  }
}

void check_error(const ApiError& error) {
  AIRLOCK_CHECK(error.status >= 400 && error.status < 600);
  AIRLOCK_CHECK(!error.code.empty());
  AIRLOCK_CHECK(!error.message.empty());
  for (const std::string& text :
       {error_json(error), amon_error_json(error), swissbrain_error_json(error)}) {
    AIRLOCK_CHECK(is_utf8(text));
    AIRLOCK_CHECK(parse_json(text).has_value());
  }
}

void try_body(std::string_view body, const RunCatalog& catalog) {
  const auto native = parse_run(body, catalog, RunLimitsPolicy{});
  if (native) {
    check_run(*native, "workspace/");
  } else {
    check_error(native.error());
  }
  const auto amon = parse_amon_run(body, catalog, AmonLimits{});
  if (amon) {
    check_run(amon->run, kAmonInputPrefix);
  } else {
    check_error(amon.error());
  }
  const auto swissbrain = parse_swissbrain_run(body, catalog, SwissbrainLimits{});
  if (swissbrain) {
    check_run(swissbrain->run, "workspace/");
  } else {
    check_error(swissbrain.error());
  }
}

// The same bytes as what a program printed.
void try_output(std::string_view text) {
  model::RunResult result;
  result.outcome.kind = model::OutcomeKind::kExited;
  result.outcome.exit_code = 0;
  result.stdout_bytes = text;
  result.files = {{"a", std::string(text)}};
  result.refused_files = {{std::string(text), std::string(text)}};
  const auto amon = amon_answer({.job_id = "j", .request_id = std::string(text)}, result, {});
  AIRLOCK_CHECK(parse_json(amon.body).has_value());
  AIRLOCK_CHECK(parse_json(swissbrain_result_json(result)).has_value());
}

void try_text(std::string_view text) {
  AIRLOCK_CHECK(is_utf8(utf8_with_replacement(text)));
  if (is_utf8(text)) AIRLOCK_CHECK(utf8_with_replacement(text) == text);
  AIRLOCK_CHECK(decode_base64(base64(text)) == text);
  if (const auto bytes = decode_base64(text)) AIRLOCK_CHECK(base64(*bytes) == text);
}

}  // namespace
}  // namespace airlock::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto instance = airlock::http::make_fake_catalog();
  // Why safe: libFuzzer's buffer lives for the whole call, and char may alias anything.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  airlock::http::try_body(text, *instance);
  airlock::http::try_output(text);
  airlock::http::try_text(text);
  return 0;
}
