#include "http/gzip.h"

#include <zlib.h>

#include <optional>

#include "base/ascii.h"
#include "http/server/message.h"

namespace airlock::http {
namespace {

constexpr int kLevel = Z_BEST_SPEED;
constexpr int kGzipWindowBits = 15 + 16;  // zlib.h: 16 more is a gzip header and not zlib's own
constexpr int kMemoryLevel = 8;           // zlib's default

// Cuts `rest` at the first `separator` and gives what stood before it.
std::string_view take_part(std::string_view& rest, char separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return base::trimmed(part, " \t");
}

// "q=0", "q=0.000": not wanted (RFC 9110, 12.4.2). What is no weight counts as wanted.
bool is_unwanted(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view parameter = take_part(parameters, ';');
    if (parameter.size() < 3 || !equals_ignoring_case(parameter.substr(0, 2), "q=")) continue;
    return parameter.substr(2).find_first_not_of("0.") == std::string_view::npos;
  }
  return false;
}

}  // namespace

bool accepts_gzip(std::string_view accept_encoding) {
  std::optional<bool> by_name;
  bool by_star = false;
  while (!accept_encoding.empty()) {
    std::string_view rest = take_part(accept_encoding, ',');
    const std::string_view coding = take_part(rest, ';');
    if (equals_ignoring_case(coding, "gzip")) by_name = !is_unwanted(rest);
    if (coding == "*") by_star = !is_unwanted(rest);
  }
  return by_name.value_or(by_star);
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  if (::deflateInit2(&stream, kLevel, Z_DEFLATED, kGzipWindowBits, kMemoryLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
    return {};
  }
  std::string packed(::deflateBound(&stream, text.size()), '\0');
  // Why safe: zlib reads through next_in and does not write to it; both sizes are those of the
  // buffers, and deflateBound's is enough for one call.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const bool done = ::deflate(&stream, Z_FINISH) == Z_STREAM_END;
  packed.resize(done ? stream.total_out : 0);
  ::deflateEnd(&stream);
  return packed;
}

}  // namespace airlock::http
