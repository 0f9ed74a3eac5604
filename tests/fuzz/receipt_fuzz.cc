// Any bytes as a receipt, as an envelope and as a statement that was signed: no crash, no hang,
// what is taken has one form only, and nothing is believed that the pinned key has not signed.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "receipt/canonical_json.h"
#include "receipt/digest.h"
#include "receipt/envelope.h"
#include "receipt/key_pem.h"
#include "receipt/verify.h"

namespace airlock::receipt {
namespace {

void try_bytes(std::string_view bytes, const SigningKey& key) {
  if (const auto envelope = parse_envelope(bytes)) {
    AIRLOCK_CHECK(envelope_text(*envelope) == bytes);
  }
  // The key is of this process: nobody else can have signed with it.
  AIRLOCK_CHECK(!verify_receipt(bytes, key.public_key()).has_value());
  (void)verify_receipt(bytes, std::nullopt);
  if (const auto value = parse_canonical_json(bytes, "text")) {
    AIRLOCK_CHECK(canonical_json(*value) == bytes);
  }
  if (const auto decoded = decode_base64(bytes)) AIRLOCK_CHECK(encode_base64(*decoded) == bytes);
  (void)PublicKey::from_pem(bytes);
  if (const auto seed = read_key_pem(kPrivateKeyForm, bytes)) {
    AIRLOCK_CHECK(read_key_pem(kPrivateKeyForm, write_key_pem(kPrivateKeyForm, *seed)) == *seed);
  }
}

void try_payload(std::string_view payload, const SigningKey& key) {
  const auto text = sign_envelope(payload, key);
  AIRLOCK_CHECK(text.has_value());
  const auto envelope = parse_envelope(*text);
  AIRLOCK_CHECK(envelope.has_value());
  AIRLOCK_CHECK(envelope->payload == payload);
  const auto receipt = verify_receipt(*text, key.public_key());
  if (receipt) AIRLOCK_CHECK(receipt->signer == key.public_key());
}

}  // namespace
}  // namespace airlock::receipt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto key =
      airlock::receipt::SigningKey::from_seed(std::string(airlock::receipt::kKeyBytes, 'f'));
  // Why safe: libFuzzer's buffer lives for the whole call, and char may alias anything.
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  airlock::receipt::try_bytes(bytes, *key);
  airlock::receipt::try_payload(bytes, *key);
  return 0;
}
