// Parsers of the kernel's text files that the checks read. Pure functions: text in, values out.
//
// Lines that make no sense are passed over, since the kernel may add forms that we do not know.
// Views that are returned point into the text that was given.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace airlock::host {

// At white space, without empty fields.
std::vector<std::string_view> fields_of(std::string_view text);
// At every `separator`, empty parts included.
std::vector<std::string_view> split(std::string_view text, char separator);
std::vector<std::string_view> lines_of(std::string_view text);
// Whether `list` has `value`; std::ranges::contains is missing from libstdc++ 12.
template <typename List, typename Value>
bool has(const List& list, const Value& value) {
  return std::ranges::find(list, value) != std::ranges::end(list);
}
std::optional<std::uint64_t> parse_number(std::string_view text, int base = 10);

// "6.18.44-fc" -> {6, 18}
struct KernelVersion {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  auto operator<=>(const KernelVersion&) const = default;
};
std::optional<KernelVersion> parse_kernel_version(std::string_view release);

// One line of /proc/self/mountinfo.
struct Mount {
  std::string root;
  std::string point;
  std::string type;
  std::string options;        // of this mount: "rw,nosuid"
  std::string super_options;  // of the file system: "rw,memory"
  bool has_super_option(std::string_view name) const;
};
std::vector<Mount> parse_mounts(std::string_view mountinfo);

// One line of /etc/subuid or /etc/subgid.
struct IdRange {
  std::string owner;  // a name or a number
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  bool overlaps(std::uint64_t other_first, std::uint64_t other_count) const;
};
std::vector<IdRange> parse_id_ranges(std::string_view text);

// The inodes of the sockets of /proc/net/tcp or tcp6 that listen on `port`.
std::vector<std::uint64_t> find_listening_inodes(std::string_view table, std::uint16_t port);

// "MemAvailable" of /proc/meminfo, in bytes.
std::optional<std::uint64_t> parse_meminfo(std::string_view text, std::string_view name);

}  // namespace airlock::host
