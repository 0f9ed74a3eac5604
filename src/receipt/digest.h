// SHA-256 and base64, as receipts need them. libsodium does the work.
//
// For texts: it takes 5 ns for a byte, and files have a faster hash (artifact/digest.h). Base64 is
// the standard alphabet with padding, and decoding takes only what encoding gives: no white space,
// no bits that are lost. Pure functions.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace airlock::receipt {

inline constexpr std::size_t kSha256HexChars = 64;

class Sha256 {
 public:
  Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256();
  void add(std::string_view bytes);
  std::string finish();  // 64 hexadecimal digits, lower case; once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);
bool is_sha256_hex(std::string_view text);

std::string encode_base64(std::string_view bytes);
base::Result<std::string> decode_base64(std::string_view text);

std::string encode_hex(std::string_view bytes);

}  // namespace airlock::receipt
