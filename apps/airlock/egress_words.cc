#include "apps/airlock/egress_words.h"

#include "base/units.h"

namespace airlock::apps {
namespace {

bool is_reached(const model::EgressEntry& entry) { return entry.allowed && entry.reason.empty(); }

}  // namespace

// Port 0: what the ledger counts together, or what never named a destination.
std::string egress_destination(const model::EgressEntry& entry) {
  if (entry.host.empty()) return "a request that was none";
  if (entry.port == 0) return entry.host;
  const bool is_v6 = entry.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + entry.host + "]" : entry.host) + ":" + std::to_string(entry.port);
}

std::string_view egress_verdict(const model::EgressEntry& entry) {
  if (!entry.allowed) return "refused";
  return is_reached(entry) ? kReached : "failed";
}

std::string describe_egress(const model::EgressEntry& entry) {
  std::string text = egress_destination(entry);
  if (is_reached(entry)) {
    return text + ", " + std::to_string(entry.connections) +
           (entry.connections == 1 ? " connection, " : " connections, ") +
           base::format_byte_count(base::ByteCount(entry.bytes_out)) + " out, " +
           base::format_byte_count(base::ByteCount(entry.bytes_in)) + " in";
  }
  if (entry.connections > 1) text += ", " + std::to_string(entry.connections) + " times";
  return entry.reason.empty() ? text : text + ": " + entry.reason;
}

}  // namespace airlock::apps
