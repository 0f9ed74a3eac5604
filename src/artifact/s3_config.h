// S3Config: which server, with which credentials; found in the environment or a file.
//
// Values; nothing is connected to. What is said explicitly comes before the environment, the
// environment before the file; S3_* before AWS_*. A half pair of keys is an error, none as well.
// Secrets are in `credentials` only, and no message ever holds one.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "artifact/sigv4.h"
#include "base/result.h"
#include "base/units.h"

namespace airlock::artifact {

enum class AddressingStyle {
  kAuto,         // kVirtualHost for AWS, kPath for any other endpoint
  kPath,         // https://host/bucket/key
  kVirtualHost,  // https://bucket.host/key
};

// Waits between attempts: first_wait, then twice as long each time, up to wait_max.
struct RetryPolicy {
  unsigned attempts = 3;
  std::chrono::milliseconds first_wait{1'000};
  std::chrono::milliseconds wait_max{30'000};
};

struct S3Timeouts {
  std::chrono::milliseconds connect{10'000};
  std::chrono::seconds stall{60};  // without a byte in either direction
};

struct S3Endpoint {
  bool is_https = true;
  std::string host;  // with its port, unless that is the scheme's own: "127.0.0.1:9000"

  std::string url() const { return (is_https ? "https://" : "http://") + host; }
};
// "https://host", "http://127.0.0.1:9000": no path, query or user name.
base::Result<S3Endpoint> parse_endpoint(std::string_view text);
// "auto", "path", "virtual"; "" is "auto".
base::Result<AddressingStyle> parse_style(std::string_view text);
base::Status check_region(std::string_view text);

struct S3Config {
  S3Endpoint endpoint;
  std::string region = "us-east-1";
  AddressingStyle style = AddressingStyle::kAuto;
  S3Credentials credentials;
  std::string ca_file;  // PEM; empty: the host's own
  RetryPolicy retry;
  S3Timeouts timeouts;
  base::ByteCount multipart_from = base::mebibytes(64);  // larger files go up in parts
  base::ByteCount part_size = base::mebibytes(16);       // at least; S3 wants 5 MiB or more
};

// What an operator's configuration says (contract: storage.s3_*); empty: not said.
struct S3Settings {
  std::string endpoint;
  std::string region;
  std::string access_key;
  std::string secret_key;
  std::string credentials_file;  // as of `aws configure`
  std::string style;             // "auto", "path", "virtual"
  std::string ca_file;
};

using EnvironmentLookup = std::function<std::optional<std::string>(std::string_view name)>;
EnvironmentLookup process_environment();

inline constexpr std::size_t kCredentialsFileBytesMax = 64 * 1024;

base::Result<S3Config> make_s3_config(const S3Settings& settings,
                                      const EnvironmentLookup& environment);

// The section [profile] of a file as the AWS tools write it. Errors name file and line, never a
// value.
base::Result<S3Credentials> parse_credentials_file(std::string_view text, std::string_view profile,
                                                   std::string_view file_name);

}  // namespace airlock::artifact
