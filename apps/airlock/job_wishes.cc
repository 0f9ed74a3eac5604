#include "apps/airlock/job_wishes.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/units.h"
#include "language/yaml_document.h"
#include "language/yaml_reader.h"
#include "model/job.h"

namespace airlock::apps {
namespace {

using Kind = JobField::Kind;

constexpr std::string_view kEnvironment = "env";
constexpr std::string_view kEnvironmentJson = "custom_env_vars";
constexpr std::size_t kTextBytesMax = 64 * 1024;

constexpr JobField kFields[] = {
    {kRepoWish, "repo_url", Kind::kText, "URL", "The repository"},
    {"branch", "repo_branch", Kind::kText, "NAME", "Of the repository [main]"},
    {"commit", "repo_commit", Kind::kText, "HASH", "Of the repository [the branch's last]"},
    {"path", "repo_path", Kind::kText, "FOLDER", "Of the program in the repository [its root]"},
    {kWeightClassWish, "weight_class", Kind::kText, "CLASS",
     "GPUs: 0x for none, or how many of which type, such as 1xH200 [0x]"},
    {"input", "input_data_s3_path", Kind::kText, "URI", "Where the inputs are: s3:// or file://"},
    {"output", "output_data_s3_path", Kind::kText, "URI",
     "Where the outputs go [they stay with the runner]"},
    {"priority", "priority", Kind::kNumber, "N", "0 to 10, higher first [0]"},
    {"miner_hotkey", "miner_hotkey", Kind::kText, "TEXT", "Whose repository it is"},
    {"validator_hotkey", "validator_hotkey", Kind::kText, "TEXT", "Who wants it evaluated"},
    {"challenge", "challenge", Kind::kText, "TEXT", "What the receipt is to repeat"},
    {"cpu_cores", "cpu_cores", Kind::kCores, "N", "Cores, such as 0.5 or 8 [the runner's share]"},
    {"memory", "memory_gb", Kind::kSize, "SIZE", "Memory, such as 16g [the runner's share]"},
    {"disk", "disk_quota_gb", Kind::kSize, "SIZE", "Disk, such as 100g [the runner's share]"},
    {"prep_timeout", "prep_timeout_seconds", Kind::kTime, "TIME",
     "How long prep may take, such as 10m [the runner's longest]"},
    {"inference_timeout", "inference_timeout_seconds", Kind::kTime, "TIME",
     "How long inference may take [the runner's longest]"},
    {"min_isolation", "min_isolation", Kind::kText, "LEVEL",
     "Refuse to run with less than process, container or kernel"},
    {kKeyWish, "", Kind::kText, "TEXT",
     "The same key makes the same job, however often it is submitted [a new one]"},
};

base::Error at(const Wish& wish, base::Error error) {
  error.code = base::ErrorCode::kInvalidArgument;
  error.message = wish.origin + ": " + error.message;
  return error;
}

base::Error wrong(const Wish& wish, std::string_view what, std::string hint) {
  return at(wish, {base::ErrorCode::kInvalidArgument, 0,
                   "\"" + wish.text + "\" is no " + std::string(what), std::move(hint)});
}

template <typename Number>
base::Result<boost::json::value> number_of(const Wish& wish, const char* what, const char* hint) {
  Number number{};
  const char* const end = wish.text.data() + wish.text.size();
  const auto parsed = std::from_chars(wish.text.data(), end, number);
  const bool plain = wish.text.find_first_not_of("0123456789.") == std::string::npos;
  if (!plain || parsed.ec != std::errc() || parsed.ptr != end) {
    return base::fail(wrong(wish, what, hint));
  }
  return boost::json::value(number);
}

base::Result<boost::json::value> seconds_of(const Wish& wish) {
  const auto time = base::parse_duration(wish.text);
  if (!time) return base::fail(at(wish, time.error()));
  const auto seconds = std::chrono::floor<std::chrono::seconds>(*time);
  if (seconds != *time || seconds.count() == 0) {
    return base::fail(wrong(wish, "time for a phase", "whole seconds, such as 90s or 10m"));
  }
  return boost::json::value(seconds.count());
}

base::Result<boost::json::value> value_of(const JobField& field, const Wish& wish) {
  switch (field.kind) {
    case Kind::kText: return boost::json::value(wish.text);
    case Kind::kNumber: return number_of<std::uint32_t>(wish, "whole number", "for example 5");
    case Kind::kCores: return number_of<double>(wish, "number of cores", "for example 0.5 or 8");
    case Kind::kTime: return seconds_of(wish);
    case Kind::kSize: break;
  }
  const auto bytes = base::parse_byte_count(wish.text);
  if (!bytes) return base::fail(at(wish, bytes.error()));
  return boost::json::value(static_cast<double>(bytes->count()) /
                            static_cast<double>(base::gibibytes(1).count()));
}

std::string place(std::string_view origin, language::YamlPosition position) {
  return std::string(origin) + ":" + std::to_string(position.line) + ":" +
         std::to_string(position.column);
}

// Who writes what the route calls it meant the right thing.
base::Status check_names(const language::YamlReader& reader, const language::YamlNode& root) {
  std::vector<std::string> known;
  for (const JobField& field : kFields) known.emplace_back(field.name);
  known.emplace_back(kEnvironment);
  for (const language::YamlEntry& entry : root.entries) {
    if (std::ranges::find(known, entry.key) != known.end()) continue;
    std::string_view name = entry.key == kEnvironmentJson ? kEnvironment : std::string_view();
    for (const JobField& field : kFields) {
      if (field.json == entry.key) name = field.name;
    }
    if (!name.empty()) {
      return base::fail(reader.error(
          entry.at, "\"" + entry.key + "\" is called \"" + std::string(name) + "\" here"));
    }
  }
  return reader.check_mapping(root, "a job", known);
}

base::Status read_environment(const language::YamlReader& reader, const language::YamlNode& node,
                              std::string_view origin, JobWishes& wishes) {
  if (node.kind != language::YamlNode::Kind::kMapping) {
    return base::fail(reader.error(node.at, "env must be a mapping of names to values"));
  }
  for (const language::YamlEntry& entry : node.entries) {
    AIRLOCK_TRY(reader.check_text(entry.value, "the variable " + entry.key));
    wishes.environment.insert_or_assign(entry.key,
                                        Wish{entry.value.text, place(origin, entry.value.at)});
  }
  return {};
}

}  // namespace

std::span<const JobField> job_fields() { return kFields; }

std::string flag_of(const JobField& field) {
  std::string flag = "--" + std::string(field.name);
  std::ranges::replace(flag, '_', '-');
  return flag;
}

std::string JobWishes::text(std::string_view name) const {
  const auto found = fields.find(name);
  return found == fields.end() ? "" : found->second.text;
}

base::Result<JobWishes> parse_job_yaml(std::string_view text, std::string_view origin) {
  AIRLOCK_ASSIGN(const language::YamlNode root, language::parse_yaml(text, origin));
  const language::YamlReader reader(origin, kTextBytesMax);
  AIRLOCK_TRY(check_names(reader, root));
  JobWishes wishes;
  for (const language::YamlEntry& entry : root.entries) {
    if (entry.key == kEnvironment) {
      AIRLOCK_TRY(read_environment(reader, entry.value, origin, wishes));
      continue;
    }
    AIRLOCK_ASSIGN(std::string value, reader.read_text(entry.value, entry.key));
    wishes.fields.insert_or_assign(entry.key,
                                   Wish{std::move(value), place(origin, entry.value.at)});
  }
  return wishes;
}

base::Status add_variable(std::string_view text, JobWishes& wishes) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "--env: \"" + std::string(text) + "\" is no variable", "write NAME=VALUE");
  }
  wishes.environment.insert_or_assign(std::string(text.substr(0, equals)),
                                      Wish{std::string(text.substr(equals + 1)), "--env"});
  return {};
}

base::Result<boost::json::object> make_request(const JobWishes& wishes) {
  boost::json::object request;
  for (const JobField& field : kFields) {
    const auto found = wishes.fields.find(field.name);
    if (found == wishes.fields.end() || field.json.empty()) continue;
    AIRLOCK_ASSIGN(request[field.json], value_of(field, found->second));
  }
  if (!request.contains("repo_url")) {
    return base::fail(base::ErrorCode::kInvalidArgument, "no repository is named",
                      "for example: airlock submit https://github.com/OWNER/NAME");
  }
  if (!request.contains("weight_class")) request["weight_class"] = "0x";
  boost::json::object variables;
  for (const auto& [name, wish] : wishes.environment) variables[name] = wish.text;
  if (!variables.empty()) request[kEnvironmentJson] = std::move(variables);
  return request;
}

}  // namespace airlock::apps
