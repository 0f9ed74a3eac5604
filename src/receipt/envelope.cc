#include "receipt/envelope.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "receipt/canonical_json.h"
#include "receipt/digest.h"

namespace airlock::receipt {
namespace {

std::unexpected<base::Error> refuse(std::string message) {
  return base::fail(base::ErrorCode::kProtocol, "the envelope " + std::move(message));
}

// An object with exactly these members, all of them strings but those that are looked at apart.
const boost::json::object* object_with(const boost::json::value& value, std::size_t members) {
  const boost::json::object* const object = value.if_object();
  return object != nullptr && object->size() == members ? object : nullptr;
}

const boost::json::string* string_of(const boost::json::object& object, std::string_view key) {
  const boost::json::value* const value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_string();
}

base::Status read_signature(const boost::json::object& envelope, Envelope& result) {
  const boost::json::value* const signatures = envelope.if_contains("signatures");
  const auto* const list = signatures == nullptr ? nullptr : signatures->if_array();
  if (list == nullptr || list->size() != 1) return refuse("must hold exactly one signature");
  const boost::json::object* const signature = object_with(list->front(), 2);
  const auto* const key_id = signature == nullptr ? nullptr : string_of(*signature, "keyid");
  const auto* const text = signature == nullptr ? nullptr : string_of(*signature, "sig");
  if (key_id == nullptr || text == nullptr) return refuse("has a signature without keyid and sig");
  if (!is_sha256_hex(*key_id)) return refuse("has a keyid that is not the SHA-256 of a key");
  AIRLOCK_ASSIGN(result.signature, decode_base64(*text).with_context("the signature"));
  if (result.signature.size() != kSignatureBytes) return refuse("has a signature of a wrong size");
  result.key_id = *key_id;
  return {};
}

}  // namespace

std::string pre_authentication_encoding(std::string_view payload_type, std::string_view payload) {
  std::string text = "DSSEv1 " + std::to_string(payload_type.size()) + " ";
  text += payload_type;
  text += " " + std::to_string(payload.size()) + " ";
  text += payload;
  return text;
}

std::string envelope_text(const Envelope& envelope) {
  return canonical_json(boost::json::object{
      {"payload", encode_base64(envelope.payload)},
      {"payloadType", envelope.payload_type},
      {"signatures",
       boost::json::array{boost::json::object{{"keyid", envelope.key_id},
                                              {"sig", encode_base64(envelope.signature)}}}}});
}

base::Result<std::string> sign_envelope(std::string_view payload, const SigningKey& key) {
  Envelope envelope{.payload_type = std::string(kPayloadType),
                    .payload = std::string(payload),
                    .key_id = key.public_key().id(),
                    .signature = {}};
  envelope.signature = key.sign(pre_authentication_encoding(kPayloadType, payload));
  std::string text = envelope_text(envelope);
  if (text.size() > kEnvelopeBytesMax.count()) {
    return base::fail(base::ErrorCode::kLimitExceeded,
                      "the receipt is larger than " + base::format_byte_count(kEnvelopeBytesMax));
  }
  return text;
}

std::string_view without_newline(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

base::Result<Envelope> parse_envelope(std::string_view text) {
  if (text.size() > kEnvelopeBytesMax.count()) {
    return base::fail(base::ErrorCode::kLimitExceeded,
                      "larger than " + base::format_byte_count(kEnvelopeBytesMax));
  }
  AIRLOCK_ASSIGN(const boost::json::value value, parse_canonical_json(text, "the envelope"));
  const boost::json::object* const object = object_with(value, 3);
  const auto* const type = object == nullptr ? nullptr : string_of(*object, "payloadType");
  const auto* const payload = object == nullptr ? nullptr : string_of(*object, "payload");
  if (type == nullptr || payload == nullptr) {
    return refuse("must hold payload, payloadType and signatures, and nothing else");
  }
  if (std::string_view(*type) != kPayloadType) {
    return refuse("is of the type " + json_safe(std::string_view(*type).substr(0, 64)) + ", not " +
                  std::string(kPayloadType));
  }
  Envelope envelope;
  envelope.payload_type = *type;
  AIRLOCK_ASSIGN(envelope.payload, decode_base64(*payload).with_context("the payload"));
  AIRLOCK_TRY(read_signature(*object, envelope));
  return envelope;
}

}  // namespace airlock::receipt
