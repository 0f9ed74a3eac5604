// Digest: hashes of what passes through, and the texts that S3 wants of them.
//
// A Hasher is fed piece by piece and finished once; nothing is kept but its state. SHA-256 is
// always there; MD5, which old answers of S3 are checked with and nothing is trusted to, may be
// refused by the host's OpenSSL: finish() is empty then. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct evp_md_ctx_st;

namespace airlock::artifact {

class Hasher {
 public:
  enum class Kind { kSha256, kMd5 };
  explicit Hasher(Kind kind);

  void update(std::string_view bytes);
  std::string finish();  // raw bytes; the hasher is used up

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
  bool works_ = false;
};

struct FileDigest {
  std::string sha256;  // 64 hexadecimal digits
  std::uint64_t bytes = 0;
};
// From where `fd` stands to its end; kLimitExceeded beyond `bytes_max`.
base::Result<FileDigest> digest_file(int fd, std::uint64_t bytes_max);

std::string sha256_hex(std::string_view bytes);
std::string md5_hex(std::string_view bytes);  // empty where there is no MD5
std::string hmac_sha256(std::string_view key, std::string_view bytes);  // raw
std::string to_hex(std::string_view raw);
// The bytes of an even number of hexadecimal digits; empty if they are not that.
std::string from_hex(std::string_view digits);

}  // namespace airlock::artifact
