#include "apps/airlock/report_lines.h"

#include "apps/airlock/egress_words.h"
#include "apps/airlock/print.h"
#include "base/units.h"
#include "client/json_fields.h"

namespace airlock::apps {
namespace {

using boost::json::object;
using client::count_of;

constexpr std::size_t kLabelColumns = 13;

model::EgressEntry egress_of(const object& entry) {
  return {.phase = client::text_of(entry, "phase"),
          .host = client::text_of(entry, "host"),
          .port = static_cast<std::uint16_t>(count_of(entry, "port")),
          .allowed = client::is_true(entry, "allowed"),
          .reason = client::text_of(entry, "reason"),
          .connections = count_of(entry, "connections"),
          .bytes_out = count_of(entry, "bytes_out"),
          .bytes_in = count_of(entry, "bytes_in")};
}

}  // namespace

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

void add_line(std::string& out, std::string_view label, std::string_view text) {
  out += "  " + std::string(label);
  out.append(label.size() < kLabelColumns ? kLabelColumns - label.size() : 1, ' ');
  out.append(text).append("\n");
}

std::string escaped_text(const object& parent, std::string_view key) {
  return escaped(client::text_of(parent, key));
}

std::string bytes_text(const object& parent, std::string_view key) {
  return base::format_byte_count(base::ByteCount(count_of(parent, key)));
}

std::string seal_text(const object& seal) {
  return counted(count_of(seal, "processes_killed"), "process", "processes") + " killed, " +
         counted(count_of(seal, "connections_closed"), "connection", "connections") + " closed";
}

void add_egress(std::string& out, const boost::json::array& egress) {
  for_objects(out, egress, kReportLinesMax, [&out](const object& item) {
    const model::EgressEntry entry = egress_of(item);
    add_line(out, egress_verdict(entry), escaped(entry.phase + ": " + describe_egress(entry)));
  });
}

}  // namespace airlock::apps
