// Setting: one thing that an operator can say, and the one name that it has everywhere.
//
//   name "max_wall":   --max-wall on the command line, AIRLOCK_MAX_WALL in the environment,
//                      max_wall: in the configuration file
//   name "execution.max_processes":   --execution-max-processes, AIRLOCK_EXECUTION_MAX_PROCESSES,
//                      max_processes: below execution: in the configuration file
//
// A table of these is all that the readers of flags, variables and files know; what a value means
// is for whoever owns the table. Pure values, made at compile time.
#pragma once

#include <string>
#include <string_view>

namespace airlock::config {

enum class Shape { kOne, kList };  // of a list, every value counts

// Where a setting may come from, beside the environment.
enum class Places {
  kEverywhere,
  kNotInFlags,  // one of many that nobody types
  kNotInFile,   // about the file itself
  kSecret       // others can read command lines, so no flag; in a file only its owner may read it
};

struct Setting {
  std::string_view name;
  std::string_view value;     // what stands behind the flag in the help: "TIME"
  std::string_view group;     // its heading in the help
  std::string_view help;      // a line
  std::string_view fallback;  // the default as text; "" where there is none, and `unset` says what
  std::string_view unset = {};  // "an id of its own": what holds if nothing is said
  Shape shape = Shape::kOne;
  Places places = Places::kEverywhere;
};

std::string flag_of(const Setting& setting);      // "--max-wall"
std::string variable_of(const Setting& setting);  // "AIRLOCK_MAX_WALL"

}  // namespace airlock::config
