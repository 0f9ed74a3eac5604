#include "egress/ledger.h"

#include <algorithm>

namespace airlock::egress {

Ledger::Line& Ledger::line_of(const Destination& destination, bool allowed,
                              const std::string& reason) {
  Key key(destination.host, destination.port, allowed, reason);
  if (lines_.size() >= kLedgerEntriesMax && !lines_.contains(key)) {
    key = Key(kOtherHosts, 0, allowed, "");
  }
  std::unique_ptr<Line>& line = lines_[std::move(key)];
  if (line == nullptr) line = std::make_unique<Line>();
  return *line;
}

Ledger::Line& Ledger::connected(const Destination& destination) {
  const std::lock_guard lock(mutex_);
  Line& line = line_of(destination, true, "");
  ++line.connections;
  ++totals_.connected;
  return line;
}

void Ledger::failed(const Destination& destination, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  ++line_of(destination, true, reason).connections;
  ++totals_.failed;
}

void Ledger::refused(const Destination& destination, const std::string& reason,
                     const std::string& fix) {
  const std::lock_guard lock(mutex_);
  ++line_of(destination, false, reason).connections;
  ++totals_.refused;
  model::Denial denial{"connect " + destination.to_string(), "egress: " + reason, fix};
  if (denials_.size() >= kDenialsMax || std::ranges::find(denials_, denial) != denials_.end()) {
    return;
  }
  denials_.push_back(std::move(denial));
}

void Ledger::malformed(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  ++line_of({.host = "", .port = 0, .is_address = false}, false, reason).connections;
  ++totals_.refused;
}

bool Ledger::spend(Line& line, Direction direction, std::uint64_t bytes) {
  const std::uint64_t before = bytes_.fetch_add(bytes, std::memory_order_relaxed);
  if (before > bytes_max_ || bytes > bytes_max_ - before) {
    bytes_.store(bytes_max_, std::memory_order_relaxed);
    return false;
  }
  const bool is_out = direction == Direction::kOut;
  (is_out ? line.bytes_out : line.bytes_in).fetch_add(bytes, std::memory_order_relaxed);
  (is_out ? totals_.bytes_out : totals_.bytes_in).fetch_add(bytes, std::memory_order_relaxed);
  return true;
}

std::vector<model::EgressEntry> Ledger::entries() const {
  const std::lock_guard lock(mutex_);
  std::vector<model::EgressEntry> entries;
  entries.reserve(lines_.size());
  for (const auto& [key, line] : lines_) {
    entries.push_back({.phase = {},
                       .host = std::get<0>(key),
                       .port = std::get<1>(key),
                       .allowed = std::get<2>(key),
                       .reason = std::get<3>(key),
                       .connections = line->connections,
                       .bytes_out = line->bytes_out,
                       .bytes_in = line->bytes_in});
  }
  return entries;
}

std::vector<model::Denial> Ledger::denials() const {
  const std::lock_guard lock(mutex_);
  return denials_;
}

}  // namespace airlock::egress
