#include "receipt/public_key.h"

#include <openssl/pem.h>

#include <algorithm>

#include "receipt/digest.h"
#include "receipt/openssl_owners.h"

namespace airlock::receipt {
namespace {

// Why safe, here and below: chars as unsigned chars, which OpenSSL only reads.
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

KeyOwner make_key(std::string_view raw) {
  return KeyOwner(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(raw), raw.size()));
}

}  // namespace

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
  const auto refuse = [](std::string message, std::string hint) {
    ERR_clear_error();
    return base::fail(base::ErrorCode::kInvalidArgument, std::move(message), std::move(hint));
  };
  constexpr std::string_view kHint =
      "give the public key of the runner: receipt.pub, which begins with BEGIN PUBLIC KEY";
  if (pem.find("PRIVATE KEY-----") != std::string_view::npos) {
    return refuse("this is a private key", std::string(kHint));
  }
  if (pem.size() > kKeyFileBytesMax) return refuse("too large for a key", std::string(kHint));
  const BioOwner bio = bio_of(pem);
  const KeyOwner key(PEM_read_bio_PUBKEY(bio.get(), nullptr, refuse_password, nullptr));
  if (key == nullptr) return refuse("not a public key in PEM", std::string(kHint));
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519) {
    return refuse("not an Ed25519 key", std::string(kHint));
  }
  PublicKey result;
  std::size_t size = result.raw_.size();
  // Why safe: chars as unsigned chars; the array has the size that is given.
  if (EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(result.raw_.data()),
                                  &size) != 1 ||
      size != kKeyBytes) {
    return refuse("a key without its bytes", std::string(kHint));
  }
  return result;
}

std::string PublicKey::id() const { return sha256_hex(raw()); }

base::Result<std::string> PublicKey::to_pem() const {
  const KeyOwner key = make_key(raw());
  const BioOwner bio(BIO_new(BIO_s_mem()));
  if (key == nullptr || bio == nullptr || PEM_write_bio_PUBKEY(bio.get(), key.get()) != 1) {
    return base::fail(openssl_error("write a public key"));
  }
  return text_of(bio.get());
}

bool PublicKey::verifies(std::string_view message, std::string_view signature) const {
  if (signature.size() != kSignatureBytes) return false;
  const KeyOwner key = make_key(raw());
  const DigestOwner context(EVP_MD_CTX_new());
  const bool good =
      key != nullptr && context != nullptr &&
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(message),
                       message.size()) == 1;
  ERR_clear_error();
  return good;
}

}  // namespace airlock::receipt
