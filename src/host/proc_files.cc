#include "host/proc_files.h"

#include <algorithm>
#include <charconv>

#include "base/ascii.h"

namespace airlock::host {

namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kTcpListen = "0A";  // TCP_LISTEN of include/net/tcp_states.h

}  // namespace

std::vector<std::string_view> fields_of(std::string_view text) {
  std::vector<std::string_view> fields;
  while (!(text = base::trimmed(text)).empty()) {
    const std::size_t end = std::min(text.find_first_of(kSpace), text.size());
    fields.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return fields;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines = split(text, '\n');
  std::erase_if(lines, [](std::string_view line) { return base::trimmed(line).empty(); });
  return lines;
}

std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
  text = base::trimmed(text);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<KernelVersion> parse_kernel_version(std::string_view release) {
  const std::size_t dot = release.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view rest = release.substr(dot + 1);
  const std::size_t end = std::min(rest.find_first_not_of("0123456789"), rest.size());
  const auto major = parse_number(release.substr(0, dot));
  const auto minor = parse_number(rest.substr(0, end));
  if (!major || !minor) return std::nullopt;
  return KernelVersion{static_cast<std::uint32_t>(*major), static_cast<std::uint32_t>(*minor)};
}

bool Mount::has_super_option(std::string_view name) const {
  return has(split(super_options, ','), name);
}

std::vector<Mount> parse_mounts(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  for (const std::string_view line : lines_of(mountinfo)) {
    // "36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw": optional fields, then "-".
    const std::vector<std::string_view> fields = fields_of(line);
    const auto dash = std::ranges::find(fields, "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 4) continue;
    mounts.push_back({.root = std::string(fields[3]),
                      .point = std::string(fields[4]),
                      .type = std::string(dash[1]),
                      .options = std::string(fields[5]),
                      .super_options = std::string(dash[3])});
  }
  return mounts;
}

bool IdRange::overlaps(std::uint64_t other_first, std::uint64_t other_count) const {
  return first < other_first + other_count && other_first < first + count;
}

std::vector<IdRange> parse_id_ranges(std::string_view text) {
  std::vector<IdRange> ranges;
  for (const std::string_view line : lines_of(text)) {
    const std::vector<std::string_view> parts = split(base::trimmed(line), ':');
    if (parts.size() != 3) continue;
    const auto first = parse_number(parts[1]);
    const auto count = parse_number(parts[2]);
    if (!first || !count) continue;
    ranges.push_back({.owner = std::string(parts[0]), .first = *first, .count = *count});
  }
  return ranges;
}

std::vector<std::uint64_t> find_listening_inodes(std::string_view table, std::uint16_t port) {
  std::vector<std::uint64_t> inodes;
  for (const std::string_view line : lines_of(table)) {
    // "sl local_address rem_address st tx_queue:rx_queue tr:when retrnsmt uid timeout inode ..."
    const std::vector<std::string_view> fields = fields_of(line);
    if (fields.size() < 10 || fields[3] != kTcpListen) continue;
    const std::size_t colon = fields[1].rfind(':');
    if (colon == std::string_view::npos) continue;
    const auto inode = parse_number(fields[9]);
    if (inode && parse_number(fields[1].substr(colon + 1), 16) == port) inodes.push_back(*inode);
  }
  return inodes;
}

std::optional<std::uint64_t> parse_meminfo(std::string_view text, std::string_view name) {
  for (const std::string_view line : lines_of(text)) {
    const std::vector<std::string_view> fields = fields_of(line);
    if (fields.size() < 2 || !fields[0].ends_with(':')) continue;
    if (fields[0].substr(0, fields[0].size() - 1) != name) continue;
    const auto kibibytes = parse_number(fields[1]);
    if (kibibytes) return *kibibytes * 1024;
  }
  return std::nullopt;
}

}  // namespace airlock::host
