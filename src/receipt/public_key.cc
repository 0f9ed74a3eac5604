#include "receipt/public_key.h"

#include <algorithm>

#include "receipt/digest.h"
#include "receipt/key_pem.h"
#include "receipt/sodium_bytes.h"

namespace airlock::receipt {

base::Result<PublicKey> PublicKey::from_raw(std::string_view raw) {
  if (raw.size() != kKeyBytes) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "an Ed25519 key has 32 bytes, not " + std::to_string(raw.size()));
  }
  PublicKey key;
  std::ranges::copy(raw, key.raw_.begin());
  return key;
}

base::Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  const auto refuse = [](std::string message) {
    return base::fail(
        base::ErrorCode::kInvalidArgument, std::move(message),
        "give the public key of the runner: receipt.pub, which begins with BEGIN PUBLIC KEY");
  };
  if (pem.find("PRIVATE KEY-----") != std::string_view::npos) {
    return refuse("this is a private key");
  }
  if (pem.size() > kKeyFileBytesMax) return refuse("too large for a key");
  const auto raw = read_key_pem(kPublicKeyForm, pem);
  if (!raw) {
    return refuse(raw.error() == PemFault::kOtherKey ? "not an Ed25519 key"
                                                     : "not a public key in PEM");
  }
  return from_raw(*raw);
}

std::string PublicKey::id() const { return sha256_hex(raw()); }

std::string PublicKey::to_pem() const { return write_key_pem(kPublicKeyForm, raw()); }

bool PublicKey::verifies(std::string_view message, std::string_view signature) const {
  start_sodium();
  return signature.size() == kSignatureBytes &&
         crypto_sign_verify_detached(bytes_of(signature), bytes_of(message), message.size(),
                                     bytes_of(raw())) == 0;
}

}  // namespace airlock::receipt
