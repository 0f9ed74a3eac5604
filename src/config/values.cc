#include "config/values.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace airlock::config {
namespace {

constexpr std::size_t kNoteColumn = 40;

// Plain text of YAML that nobody could take for anything else; other text goes in quotes.
bool is_plain(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '/' || c == '-';
  };
  return !text.empty() && text.front() != '-' && std::ranges::all_of(text, fits);
}

std::string in_yaml(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string in_yaml(const Setting& setting, const Value& value) {
  if (setting.shape == Shape::kOne) return in_yaml(value.texts.front());
  std::string list;
  for (const std::string& text : value.texts) list += (list.empty() ? "" : ", ") + in_yaml(text);
  return "[" + list + "]";
}

// What of a name stands on its line: the part behind the last section, moved in as YAML wants it.
std::string shown_name(std::string_view name) {
  const auto depth = static_cast<std::size_t>(std::ranges::count(name, '.'));
  return std::string(depth * 2, ' ') + std::string(name.substr(name.rfind('.') + 1));
}

// Whether its line says something, or is a comment.
bool is_said(const Setting& setting, const Value& value) {
  return value.layer != Layer::kDefault && !value.texts.empty() &&
         setting.places != Places::kSecret && setting.places != Places::kNotInFile;
}

std::string line_of(const Setting& setting, const Value& value) {
  const std::string name = shown_name(setting.name);
  const bool secret = setting.places == Places::kSecret;
  std::string line = (is_said(setting, value) ? "" : "# ") + name + ":";
  if (value.texts.empty()) {
    line += " (" + std::string(setting.unset) + ")";
  } else {
    line += " " + (secret ? "(set)" : in_yaml(setting, value));
  }
  line.resize(std::max(line.size() + 1, kNoteColumn), ' ');
  return line + "# " + value.origin + "\n";
}

}  // namespace

Values::Values(std::span<const Setting> settings) : settings_(settings), values_(settings.size()) {
  for (std::size_t i = 0; i < settings.size(); ++i) {
    if (settings[i].fallback.empty()) continue;
    const std::string text(settings[i].fallback);
    values_[i].texts =
        settings[i].shape == Shape::kList ? split_list(text) : std::vector<std::string>{text};
  }
}

std::size_t Values::index_of(std::string_view name) const {
  const auto found = std::ranges::find(settings_, name, &Setting::name);
  AIRLOCK_CHECK(found != settings_.end());
  return static_cast<std::size_t>(found - settings_.begin());
}

const Value& Values::of(std::string_view name) const { return values_[index_of(name)]; }

const std::string& Values::text(std::string_view name) const {
  static const std::string nothing;
  const Value& value = of(name);
  return value.texts.empty() ? nothing : value.texts.front();
}

void Values::put(std::string_view name, Value value) {
  Value& known = values_[index_of(name)];
  if (value.layer >= known.layer) known = std::move(value);
}

void Values::put_default(std::string_view name, std::string text) {
  Value& known = values_[index_of(name)];
  if (known.layer == Layer::kDefault) known.texts = {std::move(text)};
}

void Values::forget(std::string_view name) { values_[index_of(name)] = Value{}; }

void Values::put_variables(const Environment& environment) {
  for (const Setting& setting : settings_) {
    const std::string variable = variable_of(setting);
    const auto found = environment.find(variable);
    if (found == environment.end() || found->second.empty()) continue;
    std::vector<std::string> texts = {found->second};
    if (setting.shape == Shape::kList) texts = split_list(found->second);
    put(setting.name, {std::move(texts), Layer::kVariable, variable});
  }
}

base::Error Values::refuse(std::string_view name, const base::Error& cause) const {
  base::Error error = cause;
  const Value& value = of(name);
  const std::string what = value.layer == Layer::kFile ? ": " + std::string(name) : "";
  error.message = value.origin + what + ": " + cause.message;
  error.code = base::ErrorCode::kInvalidArgument;
  return error;
}

std::string Values::encode() const {
  std::string records;
  for (std::size_t i = 0; i < settings_.size(); ++i) {
    if (values_[i].layer == Layer::kDefault) continue;
    for (const std::string& text : values_[i].texts) {
      records += std::string(settings_[i].name) + "=" + text + '\0';
    }
  }
  return records;
}

base::Status Values::decode(std::string_view records) {
  while (!records.empty()) {
    const std::size_t end = records.find('\0');
    const std::string_view record = records.substr(0, end);
    const std::size_t equals = record.find('=');
    const auto known = std::ranges::find(settings_, record.substr(0, equals), &Setting::name);
    if (end == std::string_view::npos || equals == std::string_view::npos ||
        known == settings_.end()) {
      return base::fail(base::ErrorCode::kProtocol, "a setting that nobody knows was passed on");
    }
    Value& value = values_[static_cast<std::size_t>(known - settings_.begin())];
    if (value.layer == Layer::kDefault) value = {{}, Layer::kFlag, "the supervisor"};
    value.texts.emplace_back(record.substr(equals + 1));
    records.remove_prefix(end + 1);
  }
  return {};
}

// The lines that open the sections of a setting that the one before it is not in. A section in
// which nothing is said is a comment, too: it would have no value.
std::string Values::section_lines(std::size_t index) const {
  const std::string_view name = settings_[index].name;
  const std::string_view before = index == 0 ? "" : settings_[index - 1].name;
  std::string lines;
  for (std::size_t dot = name.find('.'); dot != std::string_view::npos;
       dot = name.find('.', dot + 1)) {
    const std::string_view section = name.substr(0, dot + 1);
    if (before.starts_with(section)) continue;
    bool said = false;
    for (std::size_t i = 0; i < settings_.size(); ++i) {
      said = said || (settings_[i].name.starts_with(section) && is_said(settings_[i], values_[i]));
    }
    lines += (said ? "" : "# ") + shown_name(name.substr(0, dot)) + ":\n";
  }
  return lines;
}

std::string Values::describe() const {
  std::string text;
  std::string_view group;
  for (std::size_t i = 0; i < settings_.size(); ++i) {
    if (settings_[i].group != group) {
      group = settings_[i].group;
      text += (text.empty() ? "# " : "\n# ") + std::string(group) + "\n";
    }
    text += section_lines(i);
    text += line_of(settings_[i], values_[i]);
  }
  return text;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return parts;
}

Environment own_environment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

}  // namespace airlock::config
