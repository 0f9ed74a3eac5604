#include "artifact/sigv4.h"

#include <gtest/gtest.h>

#include "artifact/digest.h"

namespace airlock::artifact {
namespace {

// The examples of AWS's "Authenticating Requests: Using the Authorization Header" and "...: Using
// Query Parameters" for S3, with the published example credentials.
const S3Credentials kExample{
    "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", {}};
constexpr std::string_view kHost = "examplebucket.s3.amazonaws.com";
constexpr std::string_view kRegion = "us-east-1";

// 2013-05-24, midnight.
SigningTime example_time() { return SigningTime(std::chrono::seconds(1'369'353'600)); }

SignedRequest example(std::string method, std::string path) {
  return {.method = std::move(method),
          .host = std::string(kHost),
          .path = std::move(path),
          .query = {},
          .headers = {},
          .payload = std::string(kEmptySha256)};
}

std::string header(const NameValues& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

std::string signature_of(const SignedRequest& request) {
  const std::string text =
      header(sign_headers(request, kExample, kRegion, example_time()), "authorization");
  return text.substr(text.find("Signature=") + 10);
}

TEST(Sigv4Test, SignsAwsExampleOfGetObject) {
  SignedRequest request = example("GET", "/test.txt");
  request.headers = {{"range", "bytes=0-9"}};
  const NameValues added = sign_headers(request, kExample, kRegion, example_time());
  EXPECT_EQ(header(added, "x-amz-date"), "20130524T000000Z");
  EXPECT_EQ(header(added, "authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(Sigv4Test, SignsAwsExampleOfPutObject) {
  SignedRequest request = example("PUT", "/test$file.text");
  request.headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                     {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  request.payload = sha256_hex("Welcome to Amazon S3.");
  EXPECT_EQ(signature_of(request),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(Sigv4Test, SignsAwsExampleOfAQueryWithoutValue) {
  SignedRequest request = example("GET", "/");
  request.query = {{"lifecycle", ""}};
  EXPECT_EQ(signature_of(request),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(Sigv4Test, SignsAwsExampleOfAListInAnyOrder) {
  SignedRequest request = example("GET", "/");
  request.query = {{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_EQ(signature_of(request),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(Sigv4Test, ASessionTokenIsSentAndSigned) {
  S3Credentials session = kExample;
  session.session_token = "token+/=";
  const SignedRequest request = example("GET", "/test.txt");
  const NameValues added = sign_headers(request, session, kRegion, example_time());
  EXPECT_EQ(header(added, "x-amz-security-token"), "token+/=");
  EXPECT_NE(header(added, "authorization").find("x-amz-date;x-amz-security-token,"),
            std::string::npos);
}

TEST(Sigv4Test, NoSecretIsInWhatIsSent) {
  for (const auto& [name, value] :
       sign_headers(example("GET", "/a"), kExample, kRegion, example_time())) {
    EXPECT_EQ(value.find(kExample.secret_key), std::string::npos) << name;
  }
}

TEST(DigestTest, HashesAreThoseOfTheStandards) {
  EXPECT_EQ(sha256_hex(""), kEmptySha256);
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(md5_hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),  // RFC 4231, case 2
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(from_hex("00fF"), std::string("\0\xff", 2));
  EXPECT_EQ(from_hex("0"), "");
  EXPECT_EQ(from_hex("0g"), "");
}

}  // namespace
}  // namespace airlock::artifact
