#include "source/phase_plan.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "source/git_names.h"

namespace airlock::source {
namespace {

constexpr std::string_view kBasePath = "/usr/local/bin:/usr/bin:/bin";
// The way out of the sandbox in prep; in inference there is none that they could name.
constexpr std::array<std::string_view, 5> kProxyNames = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
                                                         "NO_PROXY", "FTP_PROXY"};

std::string upper_case(std::string_view text) {
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(), [](char c) {
    return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  });
  return upper;
}

bool is_variable_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && name.size() <= model::kJobNameBytesMax &&
         (name.front() < '0' || name.front() > '9') && std::ranges::all_of(name, plain);
}

bool is_ours(std::string_view name) {
  const std::string upper = upper_case(name);
  return std::ranges::find(kProxyNames, upper) != kProxyNames.end() ||
         upper.starts_with("AIRLOCK_");
}

// Counted from 0 whichever of the host's devices they are.
std::string device_list(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ",") + std::to_string(i);
  return text;
}

std::string joined_path(const std::vector<std::string>& front) {
  std::string path;
  for (const std::string& folder : front) path += folder + ":";
  return path + std::string(kBasePath);
}

void put(std::map<std::string, std::string>& variables, std::string_view entry) {
  const std::size_t equals = entry.find('=');
  variables[std::string(entry.substr(0, equals))] = entry.substr(equals + 1);
}

Command default_command(Phase phase) {
  return {"python3", "inference.py", "--phase",  std::string(phase_name(phase)),
          "--input", "/input",       "--output", "/output"};
}

}  // namespace

std::string_view phase_name(Phase phase) { return phase == Phase::kPrep ? "prep" : "inference"; }

std::string program_folder(const model::JobSpec& spec) {
  const auto path = parse_repo_path(spec.repo_path);
  return path && !path->empty() ? "/workspace/" + *path : "/workspace";
}

PhasePlan make_phase_plan(Phase phase, const model::JobRecord& record, const BuildPlan& build,
                          const std::optional<JobFile>& job_file) {
  PhasePlan plan;
  plan.cwd = program_folder(record.spec);
  if (job_file) {
    plan.argv = phase == Phase::kPrep ? job_file->prep : job_file->inference;
  } else {
    plan.argv = default_command(phase);
  }
  std::map<std::string, std::string> variables = {
      {"PHASE", std::string(phase_name(phase))},
      {"JOB_ID", record.id},
      {"INPUT_S3_PATH", record.spec.input_uri},
      {"OUTPUT_S3_PATH", record.spec.output_uri},
      {"CUDA_VISIBLE_DEVICES", device_list(record.gpus.size())},
      {"PATH", joined_path(build.run_path)},
      {"PYTHONUNBUFFERED", "1"},
      {"PYTHONDONTWRITEBYTECODE", "1"},
  };
  for (const std::string& entry : build.run_env) put(variables, entry);
  for (const auto& [name, value] : record.spec.env) {
    if (!is_ours(name)) variables[name] = value;
  }
  for (const auto& [name, value] : variables) plan.env.push_back(name + "=" + value);
  return plan;
}

base::Status check_custom_env(const std::map<std::string, std::string>& env) {
  const auto refuse = [](const std::string& message, std::string hint) {
    return base::fail(base::ErrorCode::kInvalidArgument, message, std::move(hint));
  };
  std::size_t bytes = 0;
  for (const auto& [name, value] : env) {
    bytes += name.size() + value.size() + 2;
    if (!is_variable_name(name)) {
      return refuse("a name among custom_env_vars is not one of a variable",
                    "use letters, digits and _, and no digit at the front");
    }
    if (is_ours(name)) {
      return refuse("custom_env_vars cannot set " + name,
                    "the sandbox sets the proxies, and names with AIRLOCK_ in front");
    }
    if (value.find('\0') != std::string::npos) {
      return refuse("the value of " + name + " in custom_env_vars holds a zero byte", "remove it");
    }
  }
  if (env.size() > model::kJobEnvMax || bytes > model::kJobEnvBytesMax.count()) {
    return base::fail(base::ErrorCode::kLimitExceeded,
                      "custom_env_vars has more than " + std::to_string(model::kJobEnvMax) +
                          " variables or " + base::format_byte_count(model::kJobEnvBytesMax));
  }
  return {};
}

}  // namespace airlock::source
