#include "artifact/s3_errors.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "artifact/names.h"
#include "artifact/xml.h"

namespace airlock::artifact {
namespace {

using base::ErrorCode;

constexpr int kMovedPermanently = 301;
constexpr int kTemporaryRedirect = 307;
constexpr int kForbidden = 403;
constexpr int kNotFound = 404;
constexpr int kRequestTimeout = 408;
constexpr int kTooManyRequests = 429;
constexpr int kServerErrors = 500;
constexpr std::chrono::seconds kRetryAfterMax{60};

// Which code of S3 (docs: "Error responses") is what; `message` follows "get s3://b/k: ".
struct KnownCode {
  std::string_view code;
  ErrorCode kind;
  std::string_view message;
  std::string_view hint;
};
constexpr std::array kKnownCodes = {
    KnownCode{"NoSuchKey", ErrorCode::kNotFound, "there is no such key", "look at its spelling"},
    KnownCode{"NoSuchUpload", ErrorCode::kNotFound, "the multipart upload is gone",
              "it was aborted or completed by somebody else"},
    KnownCode{"InvalidAccessKeyId", ErrorCode::kPermissionDenied,
              "the server does not know the access key", "look at S3_ACCESS_KEY and the endpoint"},
    KnownCode{"SignatureDoesNotMatch", ErrorCode::kPermissionDenied,
              "the secret key is not the one of the access key",
              "look at S3_SECRET_KEY, and that region and endpoint are the server's own"},
    KnownCode{"AccessDenied", ErrorCode::kPermissionDenied, "the credentials do not allow this",
              "the user needs GetObject and ListBucket for inputs; PutObject, AbortMultipartUpload "
              "and ListBucketMultipartUploads for outputs"},
    KnownCode{"AllAccessDisabled", ErrorCode::kPermissionDenied, "the bucket is disabled", ""},
    KnownCode{"AccountProblem", ErrorCode::kPermissionDenied, "the account has a problem", ""},
    KnownCode{"ExpiredToken", ErrorCode::kPermissionDenied, "the session token has expired",
              "get new temporary credentials"},
    KnownCode{"InvalidToken", ErrorCode::kPermissionDenied, "the session token is not valid",
              "key, secret and token have to come from the same session"},
    KnownCode{"InvalidObjectState", ErrorCode::kUnavailable, "the object is archived",
              "restore it first"},
    KnownCode{"QuotaExceeded", ErrorCode::kLimitExceeded, "the quota is used up",
              "make room, or raise the quota of the user or bucket"},
    KnownCode{"EntityTooLarge", ErrorCode::kLimitExceeded, "the object is too large", ""},
    KnownCode{
        "XAmzContentSHA256Mismatch", ErrorCode::kIo, "what arrived is not what was sent",
        "the file was changed while it was uploaded, or something on the way changes content"},
    KnownCode{
        "BadDigest", ErrorCode::kIo, "what arrived is not what was sent",
        "the file was changed while it was uploaded, or something on the way changes content"},
};

std::string utc_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> text;
  return {text.data(),
          std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

// The text without its quotes, so that it can stand in a sentence.
std::string printable(std::string_view text) {
  const std::string in_quotes = quoted(text);
  return in_quotes.substr(1, in_quotes.size() - 2);
}

struct Refusal {
  std::string code;
  std::string message;
  std::string region;
  std::string endpoint;
  std::string request_id;
};

Refusal read_refusal(const HttpAnswer& answer) {
  Refusal refusal;
  if (const auto parsed = parse_xml(answer.body); parsed && parsed->name == "Error") {
    refusal = {printable(parsed->text_of("Code")), printable(parsed->text_of("Message")),
               printable(parsed->text_of("Region")), printable(parsed->text_of("Endpoint")),
               printable(parsed->text_of("RequestId"))};
  }
  if (refusal.region.empty()) refusal.region = printable(answer.header("x-amz-bucket-region"));
  if (refusal.code.empty() && answer.status == kNotFound) refusal.code = "NoSuchKey";
  return refusal;
}

std::chrono::seconds retry_after(const HttpAnswer& answer) {
  const std::string text = answer.header("retry-after");
  int seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return std::clamp(std::chrono::seconds(seconds), std::chrono::seconds(0), kRetryAfterMax);
}

bool may_pass(int status, const std::string& code) {
  if (status == kForbidden || status == kNotFound) return false;
  return status >= kServerErrors || status == kTooManyRequests || status == kRequestTimeout ||
         code == "RequestTimeout" || code == "InternalError" || code == "SlowDown" ||
         code == "ServiceUnavailable" || code == "OperationAborted";
}

base::Error redirect_error(const Refusal& refusal, const RefusalContext& context) {
  if (!refusal.region.empty() && refusal.region != context.region) {
    return {ErrorCode::kInvalidArgument, 0,
            "the bucket " + quoted(context.bucket) + " is in the region " + refusal.region +
                ", not in " + context.region,
            "set storage.s3_region or S3_REGION to " + refusal.region};
  }
  return {ErrorCode::kInvalidArgument, 0,
          "the server sends requests for the bucket " + quoted(context.bucket) + " elsewhere" +
              (refusal.endpoint.empty() ? std::string() : ": to " + refusal.endpoint),
          "set region and endpoint to those of the bucket; redirects are not followed"};
}

base::Error error_of(const HttpAnswer& answer, const Refusal& refusal,
                     const RefusalContext& context) {
  const bool is_elsewhere = answer.status == kMovedPermanently ||
                            answer.status == kTemporaryRedirect ||
                            ((refusal.code == "AuthorizationHeaderMalformed" ||
                              refusal.code == "IllegalLocationConstraintException") &&
                             !refusal.region.empty());
  if (is_elsewhere) return redirect_error(refusal, context);
  if (refusal.code == "NoSuchBucket") {
    return {ErrorCode::kNotFound, 0, "there is no bucket " + quoted(context.bucket),
            "look at its spelling, and that the endpoint is the right one"};
  }
  if (refusal.code == "RequestTimeTooSkewed" || refusal.code == "RequestExpired") {
    return {ErrorCode::kPermissionDenied, 0,
            "the clocks differ too much: here it is " + utc_text(context.now) + ", at the server " +
                printable(answer.header("date")),
            "set this host's clock (S3 allows 15 minutes)"};
  }
  for (const KnownCode& known : kKnownCodes) {
    if (known.code == refusal.code) {
      return {known.kind, 0, std::string(known.message), std::string(known.hint)};
    }
  }
  const bool is_theirs = answer.status >= kServerErrors || answer.status == kTooManyRequests;
  const std::string text = "the server answered " + std::to_string(answer.status);
  return {answer.status == kForbidden ? ErrorCode::kPermissionDenied
          : is_theirs                 ? ErrorCode::kUnavailable
                                      : ErrorCode::kProtocol,
          0, text, is_theirs ? "the server is overloaded or broken; the same may work later" : ""};
}

}  // namespace

Failure failure_of(const HttpAnswer& answer, const RefusalContext& context) {
  const Refusal refusal = read_refusal(answer);
  Failure failure{.error = error_of(answer, refusal, context),
                  .may_pass = may_pass(answer.status, refusal.code),
                  .code = refusal.code,
                  .retry_after = retry_after(answer)};
  std::string said = refusal.code;
  if (!refusal.message.empty() && refusal.message != refusal.code) {
    said += (said.empty() ? "" : ": ") + refusal.message;
  }
  if (!refusal.request_id.empty()) said += ", request " + refusal.request_id;
  failure.error.message =
      context.what + ": " + failure.error.message + (said.empty() ? "" : " (" + said + ")");
  return failure;
}

}  // namespace airlock::artifact
