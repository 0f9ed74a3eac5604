#include "receipt/envelope.h"

#include <gtest/gtest.h>

#include <string>

#include "receipt/digest.h"
#include "receipt/test_receipt.h"

namespace airlock::receipt {
namespace {

std::string bytes_of_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

TEST(EnvelopeTest, PreAuthenticationEncodingIsThatOfTheSpecification) {
  EXPECT_EQ(pre_authentication_encoding("http://example.com/HelloWorld", "hello world"),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  EXPECT_EQ(pre_authentication_encoding("", ""), "DSSEv1 0  0 ");
  // Lengths are in bytes, so that nothing can move from one field to the next.
  EXPECT_EQ(pre_authentication_encoding("é", "1 é"), "DSSEv1 2 é 4 1 é");
}

// RFC 8032, 7.1: tests 1 to 3.
TEST(EnvelopeTest, SignaturesAreThoseOfTheRfc) {
  struct Vector {
    const char* seed;
    const char* key;
    const char* message;
    const char* signature;
  };
  constexpr Vector kVectors[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
       "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
       "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
       "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"}};
  for (const Vector& vector : kVectors) {
    const auto key = SigningKey::from_seed(bytes_of_hex(vector.seed));
    ASSERT_TRUE(key.has_value());
    EXPECT_EQ(encode_hex(key->public_key().raw()), vector.key);
    const std::string message = bytes_of_hex(vector.message);
    const std::string signature = key->sign(message);
    EXPECT_EQ(encode_hex(signature), vector.signature);
    EXPECT_TRUE(key->public_key().verifies(message, signature));
    EXPECT_FALSE(key->public_key().verifies(message + "x", signature));
    EXPECT_FALSE(key->public_key().verifies(message, signature.substr(1)));
  }
}

// S plus the order of the group is the same point: RFC 8032 wants it refused.
TEST(EnvelopeTest, ASecondFormOfASignatureIsRefused) {
  const SigningKey key = test_key();
  std::string signature = key.sign("text");
  const std::string order =
      bytes_of_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    carry += static_cast<unsigned char>(signature[32 + i]) + static_cast<unsigned char>(order[i]);
    signature[32 + i] = static_cast<char>(carry & 0xff);
    carry >>= 8;
  }
  ASSERT_EQ(carry, 0u);
  EXPECT_FALSE(key.public_key().verifies("text", signature));
}

TEST(EnvelopeTest, WhatIsSignedIsReadBack) {
  const auto text = sign_envelope("{\"a\":1}", test_key());
  ASSERT_TRUE(text.has_value());
  const auto envelope = parse_envelope(*text);
  ASSERT_TRUE(envelope.has_value()) << envelope.error().message;
  EXPECT_EQ(envelope->payload, "{\"a\":1}");
  EXPECT_EQ(envelope->key_id, test_key().public_key().id());
  EXPECT_EQ(envelope_text(*envelope), *text);
}

std::string refusal_of(const std::string& text) {
  const auto envelope = parse_envelope(text);
  return envelope.has_value() ? "" : envelope.error().message;
}

TEST(EnvelopeTest, EveryOtherShapeIsRefusedByName) {
  const std::string id = test_key().public_key().id();
  const std::string sig = encode_base64(std::string(64, 's'));
  const std::string one = "{\"keyid\":\"" + id + "\",\"sig\":\"" + sig + "\"}";
  const auto with = [&](const std::string& payload, const std::string& type,
                        const std::string& signatures) {
    return "{\"payload\":\"" + payload + "\",\"payloadType\":\"" + type +
           "\",\"signatures\":" + signatures + "}";
  };
  const std::string type(kPayloadType);
  EXPECT_EQ(refusal_of(with("e30=", type, "[" + one + "]")), "");
  EXPECT_NE(refusal_of(with("e30=", type, "[" + one + "," + one + "]")), "");
  EXPECT_NE(refusal_of(with("e30=", type, "[]")), "");
  EXPECT_NE(refusal_of(with("e30=", type, one)), "");
  EXPECT_NE(refusal_of(with("e31=", type, "[" + one + "]")), "");
  EXPECT_NE(refusal_of(with("e30", type, "[" + one + "]")), "");
  EXPECT_NE(refusal_of(with("e30=", "application/json", "[" + one + "]")).find("application/json"),
            std::string::npos);
  EXPECT_NE(refusal_of(with("e30=", type, "[{\"keyid\":\"a\",\"sig\":\"" + sig + "\"}]")), "");
  EXPECT_NE(refusal_of(with("e30=", type, "[{\"keyid\":\"" + id + "\",\"sig\":\"e30=\"}]")), "");
  EXPECT_NE(refusal_of(with("e30=", type, "[" + one + "]") + "\n"), "");
  EXPECT_NE(refusal_of("{\"extra\":1," + with("e30=", type, "[" + one + "]").substr(1)), "");
  EXPECT_NE(refusal_of("[]"), "");
  EXPECT_NE(refusal_of(""), "");
}

}  // namespace
}  // namespace airlock::receipt
