// DSSE: a payload and one signature over it, as a text.
//
// The protocol is https://github.com/secure-systems-lab/dsse, v1.0.2: the signature is over
// "DSSEv1", length and text of the type, length and bytes of the payload. This reader is stricter
// than the specification, so that one receipt is one sequence of bytes: canonical JSON, canonical
// base64, exactly one signature with the id of its key, no other member. What the reader gives is
// well-formed and not yet believed: verify.h does that.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "receipt/signing_key.h"

namespace airlock::receipt {

inline constexpr std::string_view kPayloadType = "application/vnd.in-toto+json";
inline constexpr base::ByteCount kEnvelopeBytesMax = base::mebibytes(48);

struct Envelope {
  std::string payload_type;
  std::string payload;
  std::string key_id;
  std::string signature;  // 64 bytes
};

// What is signed.
std::string pre_authentication_encoding(std::string_view payload_type, std::string_view payload);

base::Result<std::string> sign_envelope(std::string_view payload, const SigningKey& key);
// One newline at the end, as editors and pipes leave it, is not part of the envelope.
std::string_view without_newline(std::string_view text);
base::Result<Envelope> parse_envelope(std::string_view text);
// parse_envelope takes what this gives and nothing else.
std::string envelope_text(const Envelope& envelope);

}  // namespace airlock::receipt
