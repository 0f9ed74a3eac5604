// Ed25519 keys as PEM: PKCS#8 for a private one, SubjectPublicKeyInfo for a public one (RFC 8410).
//
// Each is a fixed beginning of DER and 32 bytes, so that this needs no parser of ASN.1. What is
// written is, byte by byte, what `openssl pkey` writes. Reading lets pass of the framing what
// OpenSSL lets pass: text and other blocks before the one that is wanted, blanks and CR at the ends
// of lines, lines of any length, no newline at the end. Pure functions. Texts of private keys are
// the caller's to wipe; what is made on the way of keys that can be read is wiped here.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace airlock::receipt {

struct KeyForm {
  std::string_view label;
  std::string_view der_head;  // what stands before the 32 bytes
};

// SEQUENCE { INTEGER 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING of 32 bytes } }
inline constexpr KeyForm kPrivateKeyForm = {
    .label = "PRIVATE KEY",
    .der_head = {"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", 16}};
// SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING of 32 bytes }
inline constexpr KeyForm kPublicKeyForm = {
    .label = "PUBLIC KEY", .der_head = {"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", 12}};

enum class PemFault {
  kNoKey,     // no block with that label, or one that is broken
  kOtherKey,  // a key of another kind
};

std::string write_key_pem(const KeyForm& form, std::string_view key);
// The 32 bytes.
std::expected<std::string, PemFault> read_key_pem(const KeyForm& form, std::string_view pem);

}  // namespace airlock::receipt
