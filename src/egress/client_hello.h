// The first words of a TLS client: which host does it mean?
//
// Reads the ClientHello (RFC 8446, 4.1.2; the same in older versions) out of one or more records
// and gives the name of its server_name extension. Everything is bounded; what is no ClientHello,
// or a broken one, is told apart from one that is not there yet. In however small pieces it comes,
// each byte is looked at once. One connection.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace airlock::egress {

// Of all records up to the end of the ClientHello. Those of post-quantum keys have 2 KiB.
inline constexpr std::size_t kHelloBytesMax = 32 * 1'024;

enum class HelloKind {
  kIncomplete,  // so far it could be one
  kNotTls,
  kBroken,  // TLS, but no ClientHello that anybody should understand
  kNoName,
  kName,
};

struct Hello {
  HelloKind kind = HelloKind::kIncomplete;
  std::string name;  // as it stands there, checked to be one: lower case
};

class ClientHelloReader {
 public:
  // `bytes` is all that has come; what an earlier call saw stands at its front. Once anything but
  // kIncomplete was said, nothing more is to be asked.
  Hello read(std::string_view bytes);

 private:
  std::size_t seen_ = 0;
  std::size_t record_left_ = 0;  // content of the record at hand that has not come
  std::string handshake_;        // content so far
  std::optional<std::size_t> wanted_;
};

}  // namespace airlock::egress
