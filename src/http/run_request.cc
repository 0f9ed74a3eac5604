#include "http/run_request.h"

#include <algorithm>
#include <utility>

#include "http/json_reader.h"
#include "http/text_encoding.h"
#include "language/nearest_name.h"
#include "runner/input_path.h"

namespace airlock::http {
namespace {

constexpr std::string_view kWorkspacePrefix = "workspace/";
constexpr std::string_view kGuestPrefix = "/workspace/";
constexpr std::size_t kAllowedHostsMax = 256;

// The texts and lists of a request whose order of reading matters to nobody.
struct Wishes {
  std::optional<std::string_view> language;
  std::optional<std::string_view> code;
  std::vector<std::string> argv;
  std::vector<std::string> args;
  std::vector<std::string> env;
  model::LimitsGiven limits;
};

std::string of_most(std::size_t count, std::string_view what, std::uint64_t most) {
  return "has " + std::to_string(count) + " " + std::string(what) + "; this server takes at most " +
         std::to_string(most);
}

ApiStatus check_bytes(std::string_view field, std::size_t bytes, base::ByteCount most) {
  if (bytes <= most.count()) return {};
  return refuse_field(field, of_most(bytes, "bytes", most.count()));
}

ApiStatus check_no_nul(std::string_view field, std::string_view text) {
  if (text.find('\0') == std::string_view::npos) return {};
  return refuse_field(field, "contains a NUL character; no argument or variable can");
}

// Arguments of a program.
ApiResult<std::vector<std::string>> read_words(const JsonObject& request, std::string_view key) {
  std::vector<std::string> words;
  AIRLOCK_ASSIGN(const std::optional<JsonArray> array, request.array(key));
  if (!array) return words;
  if (array->size() > model::kArgumentsMax) {
    return refuse_field(key, of_most(array->size(), "arguments", model::kArgumentsMax));
  }
  for (std::size_t i = 0; i < array->size(); ++i) {
    AIRLOCK_ASSIGN(const std::string_view word, array->text(i));
    AIRLOCK_TRY(check_no_nul(array->path_of(i), word));
    words.emplace_back(word);
  }
  return words;
}

bool is_variable_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && !is_digit(name[0]) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || is_digit(c); });
}

ApiResult<std::vector<std::string>> read_env(const JsonObject& request) {
  std::vector<std::string> entries;
  AIRLOCK_ASSIGN(const std::optional<JsonObject> env, request.object("env"));
  if (!env) return entries;
  AIRLOCK_ASSIGN(const auto members, env->texts());
  if (members.size() > model::kArgumentsMax) {
    return refuse_field("env", of_most(members.size(), "variables", model::kArgumentsMax));
  }
  for (const auto& [name, value] : members) {
    if (!is_variable_name(name)) {
      return refuse_field("env", "has the name " + shown(name) + ", which no variable can have",
                          "a name has letters, digits and _, and does not start with a digit");
    }
    AIRLOCK_TRY(check_no_nul(env->path_of(name), value));
    entries.push_back(std::string(name) + "=" + std::string(value));
  }
  return entries;
}

ApiStatus check_ways(const JsonObject& request, const Wishes& wishes) {
  const bool is_source = wishes.language || wishes.code;
  if (request.has("argv")) {
    if (is_source) {
      return refuse_field("argv", "cannot be combined with language and code",
                          "give language and code, or argv with the program among the files");
    }
    if (request.has("args")) {
      return refuse_field("args", "belongs to language and code", "append it to argv");
    }
    if (wishes.argv.empty()) return refuse_field("argv", "is empty; its first word is the program");
    if (wishes.argv[0].empty()) return refuse_field("argv[0]", "is empty; it names the program");
    return {};
  }
  if (!is_source) {
    return refuse_field("", "says nothing to run", "give language and code, or argv");
  }
  if (!wishes.language) {
    return refuse_field("language", "is missing", "GET /v1/languages lists them");
  }
  if (!wishes.code) return refuse_field("code", "is missing: the text of the program");
  return {};
}

ApiResult<Wishes> read_wishes(const JsonObject& request, const RunLimitsPolicy& policy) {
  Wishes wishes;
  AIRLOCK_ASSIGN(wishes.language, request.text("language"));
  AIRLOCK_ASSIGN(wishes.code, request.text("code"));
  if (wishes.code) AIRLOCK_TRY(check_bytes("code", wishes.code->size(), policy.code_bytes_max));
  AIRLOCK_ASSIGN(wishes.argv, read_words(request, "argv"));
  AIRLOCK_ASSIGN(wishes.args, read_words(request, "args"));
  AIRLOCK_ASSIGN(wishes.env, read_env(request));
  AIRLOCK_ASSIGN(wishes.limits, read_limits(request, policy));
  AIRLOCK_TRY(check_ways(request, wishes));
  return wishes;
}

// An unknown language or a missing toolchain is about `language`; the rest about what stands there.
ApiResult<language::RunPlan> make_plan(const RunCatalog& catalog, const Wishes& wishes,
                                       const RunLimitsPolicy& policy) {
  if (wishes.language->size() > kShownBytesMax) {
    return refuse_field("language",
                        "is " + shown(*wishes.language) + ", which no language is called",
                        "GET /v1/languages lists them");
  }
  language::PlanRequest wanted{
      .file_name = {}, .args = wishes.args, .limits = wishes.limits, .defaults = policy.defaults};
  auto plan = catalog.plan(*wishes.language, wanted);
  if (plan) {
    const model::Limits planned = plan->run.limits;
    wanted.limits = capped(planned, wishes.limits, policy);
    if (wanted.limits.over(planned) != planned) plan = catalog.plan(*wishes.language, wanted);
  }
  if (plan) return std::move(*plan);
  ApiError error = from_error(plan.error());
  error.field = "language";
  return std::unexpected(std::move(error));
}

ApiStatus set_up_program(ParsedRun& run, const Wishes& wishes, const RunCatalog& catalog,
                         const RunLimitsPolicy& policy) {
  if (wishes.language) {
    AIRLOCK_ASSIGN(language::RunPlan plan, make_plan(catalog, wishes, policy));
    AIRLOCK_TRY(at_field("", set_program(run, plan, *wishes.code)));
    return at_field("", set_environment(run, {plan.env, wishes.env}));
  }
  model::PhaseSpec& phase = run.request.spec.run;
  const model::Limits planned = wishes.limits.over(policy.defaults);
  phase.argv = wishes.argv;
  phase.limits = capped(planned, wishes.limits, policy).over(planned);
  AIRLOCK_TRY(at_field("", model::validate(phase.limits)));
  return at_field("", set_environment(run, {wishes.env}));
}

ApiResult<std::string> read_content(const JsonObject& file, const RunLimitsPolicy& policy) {
  static const std::vector<std::string> encodings = {"utf8", "base64"};
  AIRLOCK_ASSIGN(const auto content, file.text("content"));
  AIRLOCK_ASSIGN(const auto encoding, file.text("encoding"));
  const std::string field = file.path_of("content");
  if (!content) return refuse_field(field, "is missing", "give \"\" for an empty file");
  const std::string name(encoding.value_or("utf8"));
  std::string bytes;
  if (name == "utf8") {
    bytes = *content;
  } else if (name == "base64") {
    auto decoded = decode_base64(*content);
    if (!decoded) {
      return refuse_field(field, "is not base64 of RFC 4648, padded and without line breaks");
    }
    bytes = std::move(*decoded);
  } else {
    return refuse_field(file.path_of("encoding"), "is " + shown(name) +
                                                      "; it must be \"utf8\" or \"base64\"" +
                                                      language::did_you_mean(name, encodings));
  }
  AIRLOCK_TRY(check_bytes(field, bytes.size(), policy.file_bytes_max));
  return bytes;
}

bool is_named_by(std::string_view path, const std::vector<std::string>& argv) {
  if (argv.empty()) return false;
  std::string_view word = argv[0];
  for (const std::string_view prefix : {kGuestPrefix, std::string_view("./")}) {
    if (word.starts_with(prefix)) {
      word.remove_prefix(prefix.size());
      break;
    }
  }
  return word == path;
}

ApiResult<bool> read_executable(const JsonObject& file, bool is_program) {
  AIRLOCK_ASSIGN(const std::optional<bool> executable, file.boolean("executable"));
  if (is_program && executable == false) {
    return refuse_field(file.path_of("executable"), "is false, but argv[0] names this file",
                        "leave it out");
  }
  return executable.value_or(is_program);
}

struct FilesSoFar {
  runner::InputPaths paths;
  std::size_t bytes = 0;
};

ApiStatus add_file(ParsedRun& run, JsonObject& file, const Wishes& wishes,
                   const RunLimitsPolicy& policy, FilesSoFar& so_far) {
  AIRLOCK_TRY(file.only({"path", "content", "encoding", "executable"}));
  AIRLOCK_ASSIGN(const auto text, file.text("path"));
  const std::string field = file.path_of("path");
  if (!text) return refuse_field(field, "is missing", "name a place below /workspace: \"a.csv\"");
  const std::string path(*text);
  AIRLOCK_TRY(at_field(field, runner::check_input_path(path)));
  AIRLOCK_TRY(at_field(field, so_far.paths.add(path)));
  AIRLOCK_ASSIGN(const std::string bytes, read_content(file, policy));
  so_far.bytes += bytes.size();
  if (so_far.bytes > policy.files_bytes_max.count()) {
    return refuse_field("files", "have more than " +
                                     std::to_string(policy.files_bytes_max.count()) +
                                     " bytes together, the most that this server takes");
  }
  AIRLOCK_ASSIGN(const bool executable, read_executable(file, is_named_by(path, wishes.argv)));
  AIRLOCK_ASSIGN(base::UniqueFd content, at_field(field, make_content("input", bytes)));
  run.request.files.push_back({.path = std::string(kWorkspacePrefix) + path,
                               .content = std::move(content),
                               .executable = executable});
  return {};
}

ApiStatus read_files(ParsedRun& run, const JsonObject& request, const Wishes& wishes,
                     const RunLimitsPolicy& policy) {
  AIRLOCK_ASSIGN(const std::optional<JsonArray> files, request.array("files"));
  if (!files) return {};
  if (files->size() > policy.files_max) {
    return refuse_field("files", of_most(files->size(), "files", policy.files_max));
  }
  FilesSoFar so_far;
  for (const backend::InputFile& program : run.request.files) {
    AIRLOCK_TRY(at_field("", so_far.paths.add(program.path.substr(kWorkspacePrefix.size()))));
  }
  for (std::size_t i = 0; i < files->size(); ++i) {
    AIRLOCK_ASSIGN(JsonObject file, files->object(i));
    AIRLOCK_TRY(add_file(run, file, wishes, policy, so_far));
  }
  return {};
}

ApiStatus read_outputs(model::RunSpec& spec, const JsonObject& request,
                       const RunLimitsPolicy& policy) {
  AIRLOCK_ASSIGN(const std::optional<JsonArray> outputs, request.array("outputs"));
  if (!outputs) return {};
  if (outputs->size() > policy.outputs_max) {
    return refuse_field("outputs", of_most(outputs->size(), "patterns", policy.outputs_max));
  }
  for (std::size_t i = 0; i < outputs->size(); ++i) {
    AIRLOCK_ASSIGN(const std::string_view pattern, outputs->text(i));
    AIRLOCK_TRY(at_field(outputs->path_of(i), runner::check_input_path(pattern)));
    spec.collect.emplace_back(pattern);
  }
  return {};
}

// A list that is left out is all that the operator allows.
ApiStatus read_allowed_hosts(runner::RunRequest& run, const JsonObject& network,
                             const RunLimitsPolicy& policy) {
  AIRLOCK_ASSIGN(const std::optional<JsonArray> allow, network.array("allow"));
  run.egress = policy.egress;
  run.egress_budget = policy.egress_budget;
  if (!allow) return {};
  if (allow->size() > kAllowedHostsMax) {
    return refuse_field("network.allow", of_most(allow->size(), "hosts", kAllowedHostsMax));
  }
  std::vector<std::string> hosts;
  for (std::size_t i = 0; i < allow->size(); ++i) {
    AIRLOCK_ASSIGN(const std::string_view host, allow->text(i));
    hosts.emplace_back(host);
  }
  AIRLOCK_ASSIGN(run.egress,
                 at_field("network.allow",
                          policy.egress.narrowed(hosts, "add it to network.allow of the request")));
  return {};
}

ApiStatus read_network(ParsedRun& run, const JsonObject& request, const RunLimitsPolicy& policy) {
  static const std::vector<std::string> modes = {"none", "gateway"};
  AIRLOCK_ASSIGN(std::optional<JsonObject> network, request.object("network"));
  if (!network) return {};
  AIRLOCK_TRY(network->only({"mode", "allow"}));
  AIRLOCK_ASSIGN(const auto mode, network->text("mode"));
  const std::string name(mode.value_or("none"));
  if (name == "none") {
    if (!network->has("allow")) return {};
    return refuse_field("network.allow", "is given, but network.mode is \"none\"",
                        "set network.mode to \"gateway\"");
  }
  if (name != "gateway") {
    return refuse_field("network.mode", "is " + shown(name) +
                                            "; it must be \"none\" or \"gateway\"" +
                                            language::did_you_mean(name, modes));
  }
  if (policy.egress.allows_nothing()) {
    return refuse_field("network.mode", "is \"gateway\", but this server allows no host at all",
                        "egress_allow of the service names hosts");
  }
  run.request.spec.network = model::NetworkMode::kGateway;
  return read_allowed_hosts(run.request, *network, policy);
}

ApiStatus read_isolation(model::RunSpec& spec, const JsonObject& request,
                         const RunLimitsPolicy& policy) {
  AIRLOCK_ASSIGN(const auto level, request.text("min_isolation"));
  if (level) {
    spec.min_isolation = model::find_isolation_level(*level);
    if (!spec.min_isolation) {
      return refuse_field(
          "min_isolation",
          "is " + shown(*level) + "; it must be \"process\", \"container\" or \"kernel\"");
    }
  }
  AIRLOCK_ASSIGN(const auto image, request.text("image"));
  if (image) { AIRLOCK_ASSIGN(spec.image, at_field("image", policy.images.find(*image))); }
  AIRLOCK_ASSIGN(const auto profile, request.text("seccomp_profile"));
  if (!profile) return {};
  spec.seccomp_profile = *profile;
  const std::vector<std::string>& allowed = policy.seccomp_profiles;
  if (std::ranges::find(allowed, spec.seccomp_profile) != allowed.end()) return {};
  std::string list;
  for (const std::string& name : allowed) list += (list.empty() ? "" : ", ") + name;
  return refuse_field("seccomp_profile", "is " + shown(*profile) + "; this server allows: " + list +
                                             language::did_you_mean(*profile, allowed));
}

ApiStatus read_stdin(ParsedRun& run, const JsonObject& request, const RunLimitsPolicy& policy) {
  AIRLOCK_ASSIGN(const auto text, request.text("stdin"));
  if (!text) return {};
  AIRLOCK_TRY(check_bytes("stdin", text->size(), policy.stdin_bytes_max));
  return at_field("stdin", set_stdin(run, *text));
}

}  // namespace

ApiResult<ParsedRun> parse_run(std::string_view body, const RunCatalog& catalog,
                               const RunLimitsPolicy& policy) {
  AIRLOCK_TRY(check_body_size(body, policy.body_bytes_max.count()));
  AIRLOCK_ASSIGN(const boost::json::value value, parse_json(body));
  AIRLOCK_ASSIGN(JsonObject request, JsonObject::from(value, ""));
  AIRLOCK_TRY(request.only({"language", "code", "argv", "args", "stdin", "env", "files", "outputs",
                            "network", "limits", "min_isolation", "seccomp_profile", "image"}));
  AIRLOCK_ASSIGN(const Wishes wishes, read_wishes(request, policy));
  ParsedRun run;
  AIRLOCK_TRY(read_network(run, request, policy));
  AIRLOCK_TRY(read_isolation(run.request.spec, request, policy));
  AIRLOCK_TRY(read_outputs(run.request.spec, request, policy));
  AIRLOCK_TRY(set_up_program(run, wishes, catalog, policy));
  AIRLOCK_TRY(read_stdin(run, request, policy));
  AIRLOCK_TRY(read_files(run, request, wishes, policy));
  return run;
}

}  // namespace airlock::http
