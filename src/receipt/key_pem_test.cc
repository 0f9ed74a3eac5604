// The texts are those of OpenSSL 3.0, of 32 times 'k' where nothing else is said.
#include "receipt/key_pem.h"

#include <gtest/gtest.h>

#include "receipt/test_receipt.h"

namespace airlock::receipt {
namespace {

const std::string kSeed(kKeyBytes, 'k');
constexpr const char* kPrivate =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr\n"
    "-----END PRIVATE KEY-----\n";
constexpr const char* kPublic =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAgyClGXfYw4yopJJ8Zw31gh5El2GUXhXp77JqFQnSMOo=\n"
    "-----END PUBLIC KEY-----\n";

// The key as text, or the fault.
std::string read(const KeyForm& form, std::string_view pem) {
  const auto key = read_key_pem(form, pem);
  if (key) return *key;
  return key.error() == PemFault::kNoKey ? "no key" : "other key";
}
std::string read_private(std::string_view pem) { return read(kPrivateKeyForm, pem); }

std::string private_block(const std::string& body) {
  return "-----BEGIN PRIVATE KEY-----\n" + body + "-----END PRIVATE KEY-----\n";
}

TEST(KeyPemTest, WhatIsWrittenIsWhatOpensslWrites) {
  EXPECT_EQ(test_key().to_pem(), kPrivate);
  EXPECT_EQ(test_key().public_key().to_pem(), kPublic);
}

TEST(KeyPemTest, WhatOpensslWritesIsRead) {
  EXPECT_EQ(read_private(kPrivate), kSeed);
  EXPECT_EQ(read(kPublicKeyForm, kPublic), test_key().public_key().raw());
}

TEST(KeyPemTest, WhatOpensslLetsPassIsLetPass) {
  const std::string base = "MC4CAQAwBQYDK2VwBCIEIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr";
  const std::string pem = kPrivate;
  std::string with_cr = pem;
  for (std::size_t at = 0; (at = with_cr.find('\n', at)) != std::string::npos; at += 2) {
    with_cr.insert(at, "\r");
  }
  for (const std::string& text : {
           with_cr,
           pem.substr(0, pem.size() - 1),
           pem + "\n\n",
           pem + "and more text",
           "a text\nof two lines\n" + pem,
           std::string(kPublic) + pem,
           "-----BEGIN X-----\nAAAA\n-----END X-----\n" + pem,
           private_block(base + " \t\n"),
           private_block(base.substr(0, 32) + "\n" + base.substr(32) + "\n"),
           private_block("\n" + base + "\n"),
           "-----BEGIN PRIVATE KEY-----  \n" + base + "\n-----END PRIVATE KEY-----\t",
       }) {
    EXPECT_EQ(read_private(text), kSeed) << text;
  }
}

TEST(KeyPemTest, WhatIsBrokenIsNoKey) {
  const std::string base = "MC4CAQAwBQYDK2VwBCIEIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr";
  const std::string pem = kPrivate;
  for (const std::string& text : {
           std::string(),
           std::string("not a key"),
           base,
           pem.substr(0, 60),                     // cut off
           pem.substr(0, pem.find("-----END")),   // without its end
           " " + pem,                             // not at the beginning of a line
           private_block(""),                     // empty
           private_block(base.substr(1) + "\n"),  // a character less
           private_block(base + "=\n"),           // padding that is none
           private_block(base + "!\n"),           // another character
           private_block("Proc-Type: 4,ENCRYPTED\n\n" + base + "\n"),
           "-----BEGIN PRIVATE KEY-----\n" + base + "\n-----END PUBLIC KEY-----\n",
           "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + base +
               "\n-----END ENCRYPTED PRIVATE KEY-----\n",
           std::string(kPublic),
       }) {
    EXPECT_EQ(read_private(text), "no key") << text;
  }
}

TEST(KeyPemTest, AnotherKindOfKeyIsToldApart) {
  const std::string x25519 =
      private_block("MC4CAQAwBQYDK2VuBCIEIDBm/QCnjC7Qg8KmAlfLPW/u3er6fsbGHV5puj1zVspz\n");
  const std::string p256 = private_block(
      "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQghAVNbYHy6suj0ARl\n"
      "wc98B0hEQv2pzYcjzUCEq5deDuShRANCAAQlvSAGuNVZKOQ/i07XM/lVAjZyIhEx\n"
      "OlkZDdgKkoXx5ynnKHfoAb82Dg/s6zZBwZ/gEfkPMTW1YBJ/FAVjagrN\n");
  const std::string cut = private_block("MC4CAQAwBQYDK2VwBCIEIGtra2tra2tr\n");
  const std::string longer =
      private_block("MC4CAQAwBQYDK2VwBCIEIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2trAAAA\n");
  for (const std::string& text : {x25519, p256, cut, longer}) {
    EXPECT_EQ(read_private(text), "other key") << text;
  }
}

}  // namespace
}  // namespace airlock::receipt
