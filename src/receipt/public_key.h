// PublicKey: an Ed25519 key that signatures are checked with, and its name.
//
// The id is the SHA-256 of the 32 raw bytes. A value; checking needs nothing but memory.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/result.h"

namespace airlock::receipt {

inline constexpr std::size_t kKeyBytes = 32;
inline constexpr std::size_t kSignatureBytes = 64;
inline constexpr std::size_t kKeyFileBytesMax = 16 * 1024;

class PublicKey {
 public:
  static base::Result<PublicKey> from_raw(std::string_view raw);
  // PEM, "BEGIN PUBLIC KEY". A private key is refused by name.
  static base::Result<PublicKey> from_pem(std::string_view pem);

  std::string_view raw() const { return {raw_.data(), raw_.size()}; }
  std::string id() const;  // 64 hexadecimal digits
  std::string to_pem() const;

  // False for anything but a signature over exactly this message by this key.
  bool verifies(std::string_view message, std::string_view signature) const;

  bool operator==(const PublicKey&) const = default;

 private:
  PublicKey() = default;
  std::array<char, kKeyBytes> raw_{};
};

}  // namespace airlock::receipt
