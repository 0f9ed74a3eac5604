// SigV4: AWS Signature Version 4 for S3, as headers of a request.
//
// Pure functions of their arguments, time included; the rules are AWS's "Authenticating Requests
// (AWS Signature Version 4)", the tests its published examples. By hand, because libcurl's own
// signer fails on "?uploads", on unsorted queries and on "=" in keys. A secret key never leaves:
// what comes out is a signature of one request. Credentials have no way to be printed.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace airlock::artifact {

struct S3Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: of a long-lived key
};

using NameValues = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::string_view kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct SignedRequest {
  std::string method;
  std::string host;     // as it is sent: with its port, unless that is the scheme's own
  std::string path;     // begins with "/", not encoded
  NameValues query;     // not encoded, any order
  NameValues headers;   // lower-case names; all of them are signed
  std::string payload;  // SHA-256 in hexadecimal
};

using SigningTime = std::chrono::system_clock::time_point;

// The path and the query as they have to be sent: "/a%20b?uploads=".
std::string encoded_target(std::string_view path, const NameValues& query);

// The headers to be sent beside request.headers: x-amz-date, x-amz-content-sha256,
// x-amz-security-token (with a session) and authorization. Host is the client's to send.
NameValues sign_headers(const SignedRequest& request, const S3Credentials& credentials,
                        std::string_view region, SigningTime now);

}  // namespace airlock::artifact
