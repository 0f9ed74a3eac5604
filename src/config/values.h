// Values: what was said for each Setting of a table, and where.
//
// A flag wins over a variable, that over the file, that over the default; a variable of ours wins
// over another system's name for the same thing. Text only: nothing here knows what a value means.
// Whoever refuses one does so with refuse(), which names the place.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/setting.h"

namespace airlock::config {

using Environment = std::map<std::string, std::string, std::less<>>;

// In the order in which they win.
enum class Layer { kDefault, kFile, kAlias, kVariable, kFlag };

struct Value {
  std::vector<std::string> texts;  // one, unless it is a list; none: nothing was said
  Layer layer = Layer::kDefault;
  std::string origin = "default";  // "--max-wall", "AIRLOCK_MAX_WALL", "airlock.yaml:3:11"
};

class Values {
 public:
  // The table is borrowed. Every setting has its default.
  explicit Values(std::span<const Setting> settings);

  std::span<const Setting> settings() const { return settings_; }
  // `name` is one of the table's.
  const Value& of(std::string_view name) const;
  const std::string& text(std::string_view name) const;  // "" if nothing was said
  bool is_set(std::string_view name) const { return of(name).layer != Layer::kDefault; }

  // Takes the value unless one of a higher layer is there.
  void put(std::string_view name, Value value);
  // The default, where only the program knows it.
  void put_default(std::string_view name, std::string text);
  void forget(std::string_view name);

  // The variables of the table itself; an empty one counts as not set. Lists are separated by
  // commas.
  void put_variables(const Environment& environment);

  // `cause` with the value's place before it: "--max-wall: ...".
  base::Error refuse(std::string_view name, const base::Error& cause) const;

  // What was said, for another process of ours: one record for each text, ended by a NUL.
  std::string encode() const;
  // Into values without any said.
  base::Status decode(std::string_view records);

  // A configuration file that says the same, and behind each line where it came from. What is a
  // default is a comment, for a default gives way where a wish does not; so is what is secret, as
  // "(set)".
  std::string describe() const;

 private:
  std::size_t index_of(std::string_view name) const;
  std::string section_lines(std::size_t index) const;

  std::span<const Setting> settings_;
  std::vector<Value> values_;
};

// The texts between commas, trimmed; empty ones are left out.
std::vector<std::string> split_list(std::string_view text);

// What this process was given.
Environment own_environment();

}  // namespace airlock::config
