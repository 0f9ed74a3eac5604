// Lines of two columns that a person reads, and what several reports say alike: of a job while it
// is at a service, and of its receipt.
//
// Whatever comes from JSON is escaped, and none of it is trusted to be there.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace airlock::apps {

inline constexpr std::size_t kReportLinesMax = 50;  // of one kind; the JSON has all of them

// "1 file", "2 files"
std::string counted(std::uint64_t count, std::string_view one, std::string_view many);

void add_line(std::string& out, std::string_view label, std::string_view text);

// Calls `each` for the first `most` objects of a list, and says that some were left out.
template <typename Each>
void for_objects(std::string& out, const boost::json::array& list, std::size_t most, Each each) {
  std::size_t shown = 0;
  for (const boost::json::value& item : list) {
    const boost::json::object* const entry = item.if_object();
    if (entry == nullptr) continue;
    if (shown++ == most) return add_line(out, "", "... and more: --json shows all");
    each(*entry);
  }
}

std::string escaped_text(const boost::json::object& parent, std::string_view key);
std::string bytes_text(const boost::json::object& parent, std::string_view key);

// "1 process killed, 2 connections closed"
std::string seal_text(const boost::json::object& seal);

// A line for each destination: "reached", "failed" where it was allowed and there is a reason why
// nothing came of it, "refused".
void add_egress(std::string& out, const boost::json::array& egress);

}  // namespace airlock::apps
