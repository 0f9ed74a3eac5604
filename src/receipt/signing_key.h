// SigningKey: the runner's Ed25519 key, made on its first start and never again.
//
// In its folder (0700): receipt.key, the private key as PKCS#8 in PEM, mode 0600; and receipt.pub,
// the public key in PEM, for whoever verifies. Both appear whole, after an fsync of file and
// folder: a key that has signed is still there after a power loss. A key file that others could
// have read or written, that is no Ed25519 key, or that is broken, is refused and left as it is,
// because a new key would be another runner. The secret lies in pages of its own, which are neither
// swapped (if the host allows so) nor dumped. Copyable by move only; any thread, one at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "receipt/public_key.h"

namespace airlock::receipt {

inline constexpr const char* kPrivateKeyFile = "receipt.key";
inline constexpr const char* kPublicKeyFile = "receipt.pub";

class SigningKey {
 public:
  // Makes the last folder of the path, if need be, and the key, if there is none.
  static base::Result<SigningKey> open_or_make(const std::string& folder,
                                               base::RandomSource& random);
  // Of 32 secret bytes (RFC 8032, 5.1.5).
  static base::Result<SigningKey> from_seed(std::string_view seed);

  const PublicKey& public_key() const { return public_key_; }
  std::string sign(std::string_view message) const;  // 64 bytes
  std::string to_pem() const;                        // secret: the caller wipes it

 private:
  struct Free {
    void operator()(unsigned char* secret) const;
  };
  using Secret = std::unique_ptr<unsigned char, Free>;  // seed and public key, 64 bytes
  SigningKey(Secret secret, PublicKey public_key)
      : secret_(std::move(secret)), public_key_(public_key) {}

  static base::Result<SigningKey> from_pem(std::string_view pem);
  static base::Result<SigningKey> read(int folder_fd, const std::string& path);
  static base::Result<SigningKey> make(int folder_fd, const std::string& path,
                                       base::RandomSource& random);

  Secret secret_;
  PublicKey public_key_;
};

}  // namespace airlock::receipt
