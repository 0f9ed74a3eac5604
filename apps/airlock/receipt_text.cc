#include "apps/airlock/receipt_text.h"

#include <cstdint>

#include "apps/airlock/print.h"
#include "apps/airlock/report_lines.h"
#include "base/units.h"
#include "client/json_fields.h"

namespace airlock::apps {
namespace {

using boost::json::object;
using boost::json::value;
using client::array_of;
using client::count_of;
using client::is_true;
using client::object_of;

constexpr std::size_t kShortDigestChars = 16;

std::string command_of(const object& phase) {
  std::string words;
  for (const value& word : array_of(phase, "command")) {
    if (!word.is_string()) continue;
    if (!words.empty()) words += ' ';
    words += escaped(word.get_string());
  }
  return words;
}

std::string outcome_of(const object& phase) {
  const object& outcome = object_of(phase, "outcome");
  std::string text = escaped_text(outcome, "kind");
  if (text.empty()) return "nobody saw its end";
  const value* const code = outcome.if_contains("exit_code");
  if (code != nullptr && code->is_int64()) text += ", code " + std::to_string(code->get_int64());
  const std::string signal = escaped_text(outcome, "signal");
  return signal.empty() ? text : text + ", " + signal;
}

std::string isolation_of(const object& phase) {
  const object& isolation = object_of(phase, "isolation");
  std::string missing;
  for (const value& name : array_of(isolation, "missing")) {
    if (name.is_string()) missing += (missing.empty() ? "" : " ") + escaped(name.get_string());
  }
  return escaped_text(isolation, "backend") + ", level " + escaped_text(isolation, "level") +
         ", tier " + escaped_text(isolation, "tier") + ", network " +
         escaped_text(isolation, "network") + ", seccomp " + escaped_text(isolation, "seccomp") +
         (missing.empty() ? "" : ", missing: " + missing);
}

void add_job(std::string& out, const object& predicate) {
  const object& job = object_of(predicate, "job");
  const object& manifest = object_of(predicate, "manifest");
  add_line(out, "job", escaped_text(job, "id") + ": " + escaped_text(manifest, "state"));
  if (const std::string error = escaped_text(manifest, "error_message"); !error.empty()) {
    add_line(out, "error", error);
  }
  const object& source = object_of(predicate, "source");
  std::string from = escaped_text(source, "url");
  if (const std::string commit = escaped_text(source, "commit"); !commit.empty()) {
    from += " at " + commit;
  }
  if (const std::string path = escaped_text(source, "path"); !path.empty()) from += ", in " + path;
  add_line(out, "source", from);
  add_line(out, "by", "runner " + escaped_text(object_of(predicate, "runner"), "id"));
  add_line(out, "time",
           escaped_text(job, "submitted_at") + " to " + escaped_text(job, "completed_at"));
  for_objects(out, array_of(job, "gpus"), kReportLinesMax,
              [&out](const object& gpu) { add_line(out, "gpu", escaped_text(gpu, "uuid")); });
}

void add_phases(std::string& out, const object& predicate) {
  for_objects(out, array_of(predicate, "phases"), kReportLinesMax, [&out](const object& phase) {
    add_line(out, escaped_text(phase, "name"), outcome_of(phase));
    if (const std::string command = command_of(phase); !command.empty()) {
      add_line(out, "", command);
    }
    add_line(out, "", isolation_of(phase));
  });
}

void add_network(std::string& out, const object& predicate) {
  const object& seal = object_of(predicate, "seal");
  if (is_true(seal, "sealed")) {
    add_line(out, "sealed", escaped_text(seal, "sealed_at") + ": " + seal_text(seal));
  } else {
    add_line(out, "NOT SEALED", "nothing says that the network was gone");
  }
  if (is_true(object_of(predicate, "inputs"), "seen_in_prep")) {
    add_line(out, "input", "was there while the network was");
  }
  add_egress(out, array_of(predicate, "egress"));
}

}  // namespace

std::string describe_receipt(const receipt::Receipt& receipt) {
  std::string out;
  add_job(out, receipt.predicate);
  add_phases(out, receipt.predicate);
  add_network(out, receipt.predicate);
  std::uint64_t bytes = 0;
  for (const model::ArtifactDigest& file : receipt.outputs) bytes += file.size.count();
  add_line(out, "outputs",
           counted(receipt.outputs.size(), "file", "files") + ", " +
               base::format_byte_count(base::ByteCount(bytes)));
  add_line(out, "receipt",
           receipt.digest.substr(0, kShortDigestChars) + "..., after " +
               (receipt.previous.empty()
                    ? "none: the runner's first"
                    : escaped(receipt.previous.substr(0, kShortDigestChars)) + "..."));
  return out;
}

}  // namespace airlock::apps
