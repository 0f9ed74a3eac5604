// Owners of what OpenSSL hands out, and PEM as text.
//
// For the sources of this folder only: its other headers show nothing of OpenSSL.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace airlock::receipt {

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
struct FreeDigest {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using KeyOwner = std::unique_ptr<EVP_PKEY, FreeKey>;
using BioOwner = std::unique_ptr<BIO, FreeBio>;
using DigestOwner = std::unique_ptr<EVP_MD_CTX, FreeDigest>;

inline BioOwner bio_of(std::string_view text) {
  return BioOwner(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// What was written to a memory BIO.
inline std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

// kIo with OpenSSL's own reason; its queue of errors is empty afterwards.
inline base::Error openssl_error(std::string_view what) {
  const unsigned long code = ERR_get_error();
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  std::string message(what);
  if (reason != nullptr) message += std::string(": ") + reason;
  return {.code = base::ErrorCode::kIo, .os_errno = 0, .message = std::move(message), .hint = {}};
}

// OpenSSL would ask on the terminal for the password of an encrypted key.
inline int refuse_password(char*, int, int, void*) { return -1; }

}  // namespace airlock::receipt
