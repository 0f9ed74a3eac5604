#include "receipt/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/check.h"

namespace airlock::receipt {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::size_t kBase64BytesMax = std::size_t{64} << 20;  // OpenSSL counts in int

// Why safe, here and below: char and unsigned char may alias, and OpenSSL only reads.
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  AIRLOCK_CHECK(context_ != nullptr);
  AIRLOCK_CHECK_EQ(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr), 1);
}

void Sha256::add(std::string_view bytes) {
  AIRLOCK_CHECK_EQ(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()), 1);
}

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned size = 0;
  AIRLOCK_CHECK_EQ(EVP_DigestFinal_ex(context_.get(), sum.data(), &size), 1);
  // Why safe: the bytes of an array, as chars.
  return encode_hex({reinterpret_cast<const char*>(sum.data()), size});
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 sum;
  sum.add(bytes);
  return sum.finish();
}

bool is_sha256_hex(std::string_view text) {
  return text.size() == kSha256HexChars && text.find_first_not_of(kHex) == std::string_view::npos;
}

std::string encode_base64(std::string_view bytes) {
  AIRLOCK_CHECK(bytes.size() <= kBase64BytesMax);
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a zero
  // Why safe: chars as unsigned chars; the buffer holds all that is written.
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes_of(bytes),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

base::Result<std::string> decode_base64(std::string_view text) {
  std::string bytes(text.size() / 4 * 3, '\0');
  const auto padding = static_cast<std::size_t>(
      std::ranges::count(text.substr(text.size() - std::min<std::size_t>(text.size(), 2)), '='));
  if (text.size() % 4 == 0 && text.size() <= kBase64BytesMax && padding <= bytes.size()) {
    // Why safe: as above; four characters become three bytes.
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), bytes_of(text),
                                     static_cast<int>(text.size()));
    if (size == std::ssize(bytes)) {
      bytes.resize(bytes.size() - padding);
      if (encode_base64(bytes) == text) return bytes;
    }
  }
  return base::fail(base::ErrorCode::kProtocol, "not canonical base64");
}

std::string encode_hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    text += kHex[static_cast<unsigned char>(c) >> 4];
    text += kHex[static_cast<unsigned char>(c) & 0xf];
  }
  return text;
}

}  // namespace airlock::receipt
