#include "artifact/sigv4.h"

#include <time.h>

#include <algorithm>
#include <array>

#include "artifact/digest.h"
#include "artifact/names.h"

namespace airlock::artifact {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string utc(SigningTime now, const char* format) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

std::string canonical_query(const NameValues& query) {
  NameValues encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query) {
    encoded.emplace_back(percent_encode(name), percent_encode(value));
  }
  std::ranges::sort(encoded);
  std::string text;
  for (const auto& [name, value] : encoded) {
    if (!text.empty()) text += '&';
    text.append(name).append("=").append(value);
  }
  return text;
}

// The value without blanks at its ends, and with one where there are many.
std::string folded(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == ' ' && (text.empty() || text.back() == ' ')) continue;
    text += c;
  }
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

struct Scope {
  std::string timestamp;  // "20130524T000000Z"
  std::string text;       // "20130524/us-east-1/s3/aws4_request"
};

Scope make_scope(std::string_view region, SigningTime now) {
  return {utc(now, "%Y%m%dT%H%M%SZ"),
          utc(now, "%Y%m%d") + "/" + std::string(region) + "/s3/aws4_request"};
}

std::string signature(const std::string& canonical, const S3Credentials& credentials,
                      std::string_view region, const Scope& scope) {
  const std::string to_sign = std::string(kAlgorithm) + "\n" + scope.timestamp + "\n" + scope.text +
                              "\n" + sha256_hex(canonical);
  const std::string date = scope.timestamp.substr(0, 8);
  std::string key = hmac_sha256("AWS4" + credentials.secret_key, date);
  key = hmac_sha256(key, region);
  key = hmac_sha256(key, "s3");
  key = hmac_sha256(key, "aws4_request");
  return to_hex(hmac_sha256(key, to_sign));
}

struct Canonical {
  std::string signed_names;  // "host;range;x-amz-date"
  std::string text;
};

Canonical canonical_request(const SignedRequest& request, const NameValues& query,
                            NameValues headers, std::string_view payload) {
  headers.emplace_back("host", request.host);
  std::ranges::sort(headers);
  Canonical made;
  std::string lines;
  for (const auto& [name, value] : headers) {
    if (!made.signed_names.empty()) made.signed_names += ';';
    made.signed_names += name;
    lines.append(name).append(":").append(folded(value)).append("\n");
  }
  made.text = request.method + "\n" + percent_encode(request.path, "/") + "\n" +
              canonical_query(query) + "\n" + lines + "\n" + made.signed_names + "\n" +
              std::string(payload);
  return made;
}

}  // namespace

std::string encoded_target(std::string_view path, const NameValues& query) {
  std::string target = percent_encode(path, "/");
  if (!query.empty()) target += "?" + canonical_query(query);
  return target;
}

NameValues sign_headers(const SignedRequest& request, const S3Credentials& credentials,
                        std::string_view region, SigningTime now) {
  const Scope scope = make_scope(region, now);
  NameValues added = {{"x-amz-date", scope.timestamp}, {"x-amz-content-sha256", request.payload}};
  if (!credentials.session_token.empty()) {
    added.emplace_back("x-amz-security-token", credentials.session_token);
  }
  NameValues all = request.headers;
  all.insert(all.end(), added.begin(), added.end());
  const Canonical canonical =
      canonical_request(request, request.query, std::move(all), request.payload);
  added.emplace_back("authorization",
                     std::string(kAlgorithm) + " Credential=" + credentials.access_key + "/" +
                         scope.text + ",SignedHeaders=" + canonical.signed_names +
                         ",Signature=" + signature(canonical.text, credentials, region, scope));
  return added;
}

}  // namespace airlock::artifact
