#include "egress/client_hello.h"

#include <cstdint>

#include "egress/host_name.h"

namespace airlock::egress {
namespace {

// Numbers of RFC 8446 and RFC 6066.
constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHello = 1;
constexpr std::uint8_t kHostName = 0;
constexpr std::uint16_t kServerName = 0;
constexpr std::size_t kRecordHeaderBytes = 5;
constexpr std::size_t kRecordBytesMax = 16'384;
constexpr std::size_t kHandshakeHeaderBytes = 4;
constexpr std::size_t kRandomBytes = 32;
constexpr std::size_t kSessionIdBytesMax = 32;

// Takes numbers and pieces from the front; once something is missing, nothing is there any more.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

  std::size_t number(std::size_t size) {
    std::size_t value = 0;
    for (const char c : piece(size)) value = value << 8 | static_cast<std::uint8_t>(c);
    return value;
  }
  std::string_view piece(std::size_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  // A piece whose length stands before it in `size` bytes.
  std::string_view vector(std::size_t size) { return piece(number(size)); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

Hello broken() { return {HelloKind::kBroken, {}}; }

// The list of an extension: exactly one name, and nothing else.
Hello read_server_name(std::string_view extension) {
  Reader outer(extension);
  Reader list(outer.vector(2));
  const std::size_t type = list.number(1);
  const std::string_view name = list.vector(2);
  if (!outer.ok() || !outer.empty() || !list.ok() || !list.empty() || type != kHostName) {
    return broken();
  }
  auto parsed = name.ends_with('.') ? std::nullopt : parse_host_name(name);
  if (!parsed) return broken();
  return {HelloKind::kName, std::move(*parsed)};
}

Hello read_body(std::string_view body) {
  Reader reader(body);
  (void)reader.number(2);  // legacy_version
  (void)reader.piece(kRandomBytes);
  const std::string_view session = reader.vector(1);
  const std::string_view suites = reader.vector(2);
  const std::string_view compressions = reader.vector(1);
  if (!reader.ok() || session.size() > kSessionIdBytesMax || suites.empty() ||
      suites.size() % 2 != 0 || compressions.empty()) {
    return broken();
  }
  if (reader.empty()) return {HelloKind::kNoName, {}};
  Reader extensions(reader.vector(2));
  if (!reader.ok() || !reader.empty()) return broken();
  Hello found{HelloKind::kNoName, {}};
  while (!extensions.empty()) {
    const std::size_t type = extensions.number(2);
    const std::string_view data = extensions.vector(2);
    if (!extensions.ok()) return broken();
    if (type != kServerName) continue;
    if (found.kind != HelloKind::kNoName) return broken();
    found = read_server_name(data);
    if (found.kind != HelloKind::kName) return found;
  }
  return found;
}

}  // namespace

Hello ClientHelloReader::read(std::string_view bytes) {
  const auto not_tls = [this] {
    return handshake_.empty() ? Hello{HelloKind::kNotTls, {}} : broken();
  };
  bytes.remove_prefix(seen_);
  while (true) {
    if (bytes.empty()) return {};
    if (record_left_ == 0) {
      if (static_cast<std::uint8_t>(bytes[0]) != kHandshakeRecord) return not_tls();
      if (bytes.size() > 1 && bytes[1] != 3) return not_tls();
      if (bytes.size() < kRecordHeaderBytes) return {};
      record_left_ = Reader(bytes.substr(3, 2)).number(2);
      if (record_left_ == 0 || record_left_ > kRecordBytesMax) return broken();
      bytes.remove_prefix(kRecordHeaderBytes);
      seen_ += kRecordHeaderBytes;
      continue;
    }
    const std::string_view content = bytes.substr(0, record_left_);
    handshake_ += content;
    seen_ += content.size();
    record_left_ -= content.size();
    bytes.remove_prefix(content.size());
    if (static_cast<std::uint8_t>(handshake_[0]) != kClientHello) return broken();
    if (!wanted_ && handshake_.size() >= kHandshakeHeaderBytes) {
      wanted_ = kHandshakeHeaderBytes + Reader(std::string_view(handshake_).substr(1, 3)).number(3);
      if (*wanted_ > kHelloBytesMax) return broken();
    }
    if (wanted_ && handshake_.size() >= *wanted_) {
      // The first flight of a client is this one message.
      if (handshake_.size() > *wanted_) return broken();
      return read_body(std::string_view(handshake_).substr(kHandshakeHeaderBytes));
    }
  }
}

}  // namespace airlock::egress
