// JobWishes: what a job is to be, as a person says it: by flags, or in a YAML file of the same
// names.
//
// A flag is --weight-class, a key of the file weight_class. Values stay text until make_request()
// turns them into what the service takes; whatever is wrong is said with its place. Strict: a key
// that nobody knows is an error with line, column and the nearest name. Pure.
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace airlock::apps {

inline constexpr std::size_t kJobYamlBytesMax = 256 * 1024;
inline constexpr std::string_view kRepoWish = "repo";
inline constexpr std::string_view kKeyWish = "idempotency_key";
inline constexpr std::string_view kWeightClassWish = "weight_class";

struct JobField {
  enum class Kind { kText, kNumber, kCores, kSize, kTime };

  std::string_view name;  // in a file; a flag has '-' for '_'
  std::string_view json;  // of the request; empty: it is no part of it
  Kind kind = Kind::kText;
  std::string_view type_name;
  std::string_view help;
};

// Everything but the environment.
std::span<const JobField> job_fields();
// "--weight-class"
std::string flag_of(const JobField& field);

struct Wish {
  std::string text;
  std::string origin;  // "--memory", "job.yaml:3:9"
};

struct JobWishes {
  std::map<std::string, Wish, std::less<>> fields;
  std::map<std::string, Wish, std::less<>> environment;

  std::string text(std::string_view name) const;  // "" if nobody said it
};

base::Result<JobWishes> parse_job_yaml(std::string_view text, std::string_view origin);
// "NAME=VALUE" of --env.
base::Status add_variable(std::string_view text, JobWishes& wishes);

// What POST /v1/jobs/submit takes. Whether a value is allowed is for the service to say.
base::Result<boost::json::object> make_request(const JobWishes& wishes);

}  // namespace airlock::apps
