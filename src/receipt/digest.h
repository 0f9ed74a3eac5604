// SHA-256 and base64, as receipts need them. OpenSSL does the work.
//
// Base64 is the standard alphabet with padding, and decoding takes only what encoding gives: no
// white space, no bits that are lost. Pure functions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct evp_md_ctx_st;

namespace airlock::receipt {

inline constexpr std::size_t kSha256HexChars = 64;

class Sha256 {
 public:
  Sha256();
  void add(std::string_view bytes);
  std::string finish();  // 64 hexadecimal digits, lower case; once

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256_hex(std::string_view bytes);
bool is_sha256_hex(std::string_view text);

std::string encode_base64(std::string_view bytes);
base::Result<std::string> decode_base64(std::string_view text);

std::string encode_hex(std::string_view bytes);

}  // namespace airlock::receipt
