#include "artifact/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "base/check.h"

namespace airlock::artifact {
namespace {

constexpr std::size_t kPieceBytes = 128 * 1024;

int nibble(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

std::string hash(Hasher::Kind kind, std::string_view bytes) {
  Hasher hasher(kind);
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace

void Hasher::Free::operator()(evp_md_ctx_st* context) const { ::EVP_MD_CTX_free(context); }

Hasher::Hasher(Kind kind) : context_(::EVP_MD_CTX_new()) {
  const EVP_MD* const algorithm = kind == Kind::kSha256 ? ::EVP_sha256() : ::EVP_md5();
  works_ = context_ && ::EVP_DigestInit_ex(context_.get(), algorithm, nullptr) == 1;
  AIRLOCK_CHECK(works_ || kind == Kind::kMd5);
}

void Hasher::update(std::string_view bytes) {
  if (works_) works_ = ::EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
}

std::string Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw;
  unsigned size = 0;
  if (!works_ || ::EVP_DigestFinal_ex(context_.get(), raw.data(), &size) != 1) return {};
  works_ = false;
  // Why safe: the first `size` bytes of an array that lives until the copy is made.
  return {reinterpret_cast<const char*>(raw.data()), size};
}

base::Result<FileDigest> digest_file(int fd, std::uint64_t bytes_max) {
  Hasher sum(Hasher::Kind::kSha256);
  FileDigest digest;
  std::vector<char> piece(kPieceBytes);
  for (;;) {
    const ssize_t count = ::read(fd, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("read");
    if (count == 0) break;
    digest.bytes += static_cast<std::uint64_t>(count);
    if (digest.bytes > bytes_max) {
      return base::fail(base::ErrorCode::kLimitExceeded,
                        "larger than " + std::to_string(bytes_max) + " bytes");
    }
    sum.update({piece.data(), static_cast<std::size_t>(count)});
  }
  digest.sha256 = to_hex(sum.finish());
  return digest;
}

std::string sha256_hex(std::string_view bytes) {
  return to_hex(hash(Hasher::Kind::kSha256, bytes));
}

std::string md5_hex(std::string_view bytes) { return to_hex(hash(Hasher::Kind::kMd5, bytes)); }

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw;
  unsigned size = 0;
  // Why safe: characters as the bytes that they are, read only.
  const auto* const data = reinterpret_cast<const unsigned char*>(bytes.data());
  const unsigned char* const made = ::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()),
                                           data, bytes.size(), raw.data(), &size);
  AIRLOCK_CHECK(made != nullptr);
  // Why safe: as in finish().
  return {reinterpret_cast<const char*>(raw.data()), size};
}

std::string to_hex(std::string_view raw) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(raw.size() * 2);
  for (const char c : raw) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string from_hex(std::string_view digits) {
  std::string raw;
  if (digits.size() % 2 != 0) return raw;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const int high = nibble(digits[i]);
    const int low = nibble(digits[i + 1]);
    if (high < 0 || low < 0) return {};
    raw += static_cast<char>(high * 16 + low);
  }
  return raw;
}

}  // namespace airlock::artifact
