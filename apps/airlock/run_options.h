// RunOptions: the command line of `airlock run` as a checked value.
//
// Whatever is in a RunOptions is well-formed and within its range; whether the files it names exist
// is for run_inputs.h. Reads no file and no environment.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "egress/policy.h"
#include "model/run_spec.h"

namespace airlock::apps {

struct FileOption {
  std::string host;    // as given
  std::string inside;  // relative to /workspace, checked
};

struct RunOptions {
  std::string program;  // "-": from stdin
  std::vector<std::string> args;
  std::string language;        // empty: by extension
  std::string languages_file;  // empty: the built-in table
  model::LimitsGiven limits;
  std::vector<FileOption> files;
  std::string output_directory;
  std::vector<std::string> collect;
  std::vector<std::string> env;  // "NAME=value", checked
  std::string mode = "auto";  // one of backend::mode_names()
  std::string docker_image;   // empty: the service's default
  std::optional<model::IsolationLevel> min_isolation;
  std::string seccomp_profile = "default";
  model::NetworkMode network = model::NetworkMode::kNone;
  egress::PolicySpec egress;  // with a gateway; checked
  bool json = false;
  bool quiet = false;
  bool verbose = false;
};

struct HelpText {
  std::string text;
};

// `words` are those after "run". An error names the option, its value, and what would be right.
base::Result<std::variant<RunOptions, HelpText>> parse_run_options(std::vector<std::string> words);

}  // namespace airlock::apps
