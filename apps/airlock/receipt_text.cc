#include "apps/airlock/receipt_text.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string_view>

#include "apps/airlock/print.h"
#include "base/units.h"

namespace airlock::apps {
namespace {

using boost::json::object;
using boost::json::value;

constexpr std::size_t kLinesMax = 50;  // of one kind; the JSON has all of them
constexpr std::size_t kLabelColumns = 13;
constexpr std::size_t kShortDigestChars = 16;

const value* find(const object& parent, std::string_view key) { return parent.if_contains(key); }

const object& object_at(const object& parent, std::string_view key) {
  static const object kNone;
  const value* const found = find(parent, key);
  return found != nullptr && found->is_object() ? found->get_object() : kNone;
}

const boost::json::array& array_at(const object& parent, std::string_view key) {
  static const boost::json::array kNone;
  const value* const found = find(parent, key);
  return found != nullptr && found->is_array() ? found->get_array() : kNone;
}

std::string text_at(const object& parent, std::string_view key) {
  const value* const found = find(parent, key);
  if (found == nullptr || !found->is_string()) return {};
  return escaped(found->get_string());
}

std::uint64_t number_at(const object& parent, std::string_view key) {
  const value* const found = find(parent, key);
  return found != nullptr && found->is_int64() && found->get_int64() > 0
             ? static_cast<std::uint64_t>(found->get_int64())
             : 0;
}

bool is_true(const object& parent, std::string_view key) {
  const value* const found = find(parent, key);
  return found != nullptr && found->is_bool() && found->get_bool();
}

std::string bytes_at(const object& parent, std::string_view key) {
  return base::format_byte_count(base::ByteCount(number_at(parent, key)));
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

void line(std::string& out, std::string_view label, std::string_view text) {
  out += "  " + std::string(label);
  out.append(label.size() < kLabelColumns ? kLabelColumns - label.size() : 1, ' ');
  out += text;
  out += '\n';
}

// Calls `each` for the objects of a list, and says how many were left out.
template <typename Each>
void for_objects(std::string& out, const boost::json::array& list, Each each) {
  std::size_t shown = 0;
  for (const value& item : list) {
    if (!item.is_object()) continue;
    if (shown++ == kLinesMax) {
      line(out, "", "... and more: --json shows all");
      return;
    }
    each(item.get_object());
  }
}

std::string command_of(const object& phase) {
  std::string words;
  for (const value& word : array_at(phase, "command")) {
    if (!word.is_string()) continue;
    if (!words.empty()) words += ' ';
    words += escaped(word.get_string());
  }
  return words;
}

std::string outcome_of(const object& phase) {
  const object& outcome = object_at(phase, "outcome");
  std::string text = text_at(outcome, "kind");
  if (text.empty()) return "nobody saw its end";
  const value* const code = find(outcome, "exit_code");
  if (code != nullptr && code->is_int64()) text += ", code " + std::to_string(code->get_int64());
  const std::string signal = text_at(outcome, "signal");
  return signal.empty() ? text : text + ", " + signal;
}

std::string isolation_of(const object& phase) {
  const object& isolation = object_at(phase, "isolation");
  std::string missing;
  for (const value& name : array_at(isolation, "missing")) {
    if (name.is_string()) missing += (missing.empty() ? "" : " ") + escaped(name.get_string());
  }
  return text_at(isolation, "backend") + ", level " + text_at(isolation, "level") + ", tier " +
         text_at(isolation, "tier") + ", network " + text_at(isolation, "network") + ", seccomp " +
         text_at(isolation, "seccomp") + (missing.empty() ? "" : ", missing: " + missing);
}

void add_job(std::string& out, const object& predicate) {
  const object& job = object_at(predicate, "job");
  const object& manifest = object_at(predicate, "manifest");
  line(out, "job", text_at(job, "id") + ": " + text_at(manifest, "state"));
  if (const std::string error = text_at(manifest, "error_message"); !error.empty()) {
    line(out, "error", error);
  }
  const object& source = object_at(predicate, "source");
  std::string from = text_at(source, "url");
  if (const std::string commit = text_at(source, "commit"); !commit.empty()) {
    from += " at " + commit;
  }
  if (const std::string path = text_at(source, "path"); !path.empty()) from += ", in " + path;
  line(out, "source", from);
  line(out, "by", "runner " + text_at(object_at(predicate, "runner"), "id"));
  line(out, "time", text_at(job, "submitted_at") + " to " + text_at(job, "completed_at"));
  for_objects(out, array_at(job, "gpus"),
              [&out](const object& gpu) { line(out, "gpu", text_at(gpu, "uuid")); });
}

void add_phases(std::string& out, const object& predicate) {
  for_objects(out, array_at(predicate, "phases"), [&out](const object& phase) {
    line(out, text_at(phase, "name"), outcome_of(phase));
    if (const std::string command = command_of(phase); !command.empty()) { line(out, "", command); }
    line(out, "", isolation_of(phase));
  });
}

void add_network(std::string& out, const object& predicate) {
  const object& seal = object_at(predicate, "seal");
  if (is_true(seal, "sealed")) {
    line(out, "sealed",
         text_at(seal, "sealed_at") + ": " +
             counted(number_at(seal, "processes_killed"), "process", "processes") + " killed, " +
             counted(number_at(seal, "connections_closed"), "connection", "connections") +
             " closed");
  } else {
    line(out, "NOT SEALED", "nothing says that the network was gone");
  }
  if (is_true(object_at(predicate, "inputs"), "seen_in_prep")) {
    line(out, "input", "was there while the network was");
  }
  for_objects(out, array_at(predicate, "egress"), [&out](const object& entry) {
    const bool allowed = is_true(entry, "allowed");
    std::string text = text_at(entry, "phase") + ": " + text_at(entry, "host") + ":" +
                       std::to_string(number_at(entry, "port")) + ", ";
    text += counted(number_at(entry, "connections"), "connection", "connections") + ", ";
    text += allowed ? bytes_at(entry, "bytes_out") + " out, " + bytes_at(entry, "bytes_in") + " in"
                    : text_at(entry, "reason");
    line(out, allowed ? "reached" : "refused", text);
  });
}

}  // namespace

std::string describe_receipt(const receipt::Receipt& receipt) {
  std::string out;
  add_job(out, receipt.predicate);
  add_phases(out, receipt.predicate);
  add_network(out, receipt.predicate);
  std::uint64_t bytes = 0;
  for (const model::ArtifactDigest& file : receipt.outputs) bytes += file.size.count();
  line(out, "outputs",
       counted(receipt.outputs.size(), "file", "files") + ", " +
           base::format_byte_count(base::ByteCount(bytes)));
  line(out, "receipt",
       receipt.digest.substr(0, kShortDigestChars) + "..., after " +
           (receipt.previous.empty()
                ? "none: the runner's first"
                : escaped(receipt.previous.substr(0, kShortDigestChars)) + "..."));
  return out;
}

}  // namespace airlock::apps
