#include "artifact/s3_config.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>

#include "artifact/names.h"
#include "base/ascii.h"
#include "base/files.h"
#include "base/host_port.h"

namespace airlock::artifact {
namespace {

constexpr std::size_t kRegionBytesMax = 64;
constexpr std::string_view kWhere =
    "set S3_ACCESS_KEY and S3_SECRET_KEY (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), or name "
    "a credentials file";

// The first that is there and not empty.
std::string first_of(const EnvironmentLookup& environment,
                     std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (auto value = environment(name); value && !value->empty()) return *value;
  }
  return {};
}

bool is_header_safe(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

base::Result<S3Credentials> checked(S3Credentials found, const std::string& source) {
  if (found.access_key.empty() || found.secret_key.empty()) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      source + " has only one of the access key and the secret key of S3",
                      std::string(kWhere));
  }
  if (!is_header_safe(found.access_key) || !is_header_safe(found.secret_key) ||
      !is_header_safe(found.session_token)) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "a key of S3 from " + source + " holds a blank or control character",
                      "look for a line break or quotes that were copied with it");
  }
  return found;
}

base::Result<S3Credentials> find_credentials(const S3Settings& settings,
                                             const EnvironmentLookup& environment) {
  S3Credentials found{settings.access_key, settings.secret_key, {}};
  if (!found.access_key.empty() || !found.secret_key.empty()) {
    return checked(std::move(found), "the configuration");
  }
  found = {first_of(environment, {"S3_ACCESS_KEY"}), first_of(environment, {"S3_SECRET_KEY"}),
           first_of(environment, {"S3_SESSION_TOKEN"})};
  if (!found.access_key.empty() || !found.secret_key.empty()) {
    return checked(std::move(found), "the environment (S3_*)");
  }
  found = {first_of(environment, {"AWS_ACCESS_KEY_ID"}),
           first_of(environment, {"AWS_SECRET_ACCESS_KEY"}),
           first_of(environment, {"AWS_SESSION_TOKEN"})};
  if (!found.access_key.empty() || !found.secret_key.empty()) {
    return checked(std::move(found), "the environment (AWS_*)");
  }
  std::string file = settings.credentials_file;
  if (file.empty()) {
    file = first_of(environment, {"S3_CREDENTIALS_FILE", "AWS_SHARED_CREDENTIALS_FILE"});
  }
  if (file.empty()) {
    return base::fail(base::ErrorCode::kUnavailable, "there are no credentials for S3",
                      std::string(kWhere));
  }
  std::string profile = first_of(environment, {"AWS_PROFILE"});
  if (profile.empty()) profile = "default";
  AIRLOCK_ASSIGN(const std::string text, base::read_regular(file, kCredentialsFileBytesMax)
                                             .with_context("the credentials file of S3"));
  return parse_credentials_file(text, profile, file);
}

std::string aws_endpoint(const std::string& region) {
  const std::string suffix = region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com";
  return "https://s3." + region + suffix;
}

}  // namespace

EnvironmentLookup process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* const value = std::getenv(std::string(name).c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

base::Result<S3Endpoint> parse_endpoint(std::string_view text) {
  const auto refuse = [text](std::string_view why) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      quoted(text) + " is no S3 endpoint: " + std::string(why),
                      "write https://host or http://host:port");
  };
  S3Endpoint endpoint;
  std::string_view rest = text;
  endpoint.is_https = rest.starts_with("https://");
  if (!endpoint.is_https && !rest.starts_with("http://")) return refuse("it has no http(s)://");
  rest.remove_prefix(endpoint.is_https ? 8 : 7);
  // A password could stand before the "@": the text is not repeated.
  if (rest.find('@') != std::string_view::npos) {
    return base::fail(base::ErrorCode::kInvalidArgument, "the S3 endpoint has a user name",
                      "credentials are set apart from it");
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#\\") != std::string_view::npos) return refuse("it has a path");
  const base::HostPort parts = base::split_host_port(rest);
  if (parts.host.empty() || !is_header_safe(rest)) return refuse("it has no host");
  if (parts.port) {
    const auto port = base::parse_port(*parts.port);
    if (!port) return refuse("its port is no number from 1 to 65535");
    if (port == (endpoint.is_https ? 443 : 80)) rest = parts.host;
  }
  endpoint.host = std::string(rest);
  return endpoint;
}

base::Result<AddressingStyle> parse_style(std::string_view text) {
  if (text.empty() || text == "auto") return AddressingStyle::kAuto;
  if (text == "path") return AddressingStyle::kPath;
  if (text == "virtual") return AddressingStyle::kVirtualHost;
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "the S3 addressing style " + quoted(text) + " is not known",
                    "auto, path or virtual");
}

base::Status check_region(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (text.size() <= kRegionBytesMax && std::ranges::all_of(text, fits)) return {};
  return base::fail(base::ErrorCode::kInvalidArgument, quoted(text) + " is no region of S3",
                    "for example us-east-1");
}

base::Result<S3Credentials> parse_credentials_file(std::string_view text, std::string_view profile,
                                                   std::string_view file_name) {
  S3Credentials found;
  bool is_in_profile = false;
  bool was_found = false;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = base::trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      is_in_profile =
          line.ends_with(']') && base::trimmed(line.substr(1, line.size() - 2)) == profile;
      was_found = was_found || is_in_profile;
      continue;
    }
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) {
      return base::fail(base::ErrorCode::kInvalidArgument,
                        quoted(file_name) + " line " + std::to_string(number) +
                            " is neither [profile] nor name = value");
    }
    if (!is_in_profile) continue;
    const std::string_view name = base::trimmed(line.substr(0, equals));
    const std::string value(base::trimmed(line.substr(equals + 1)));
    if (name == "aws_access_key_id") found.access_key = value;
    if (name == "aws_secret_access_key") found.secret_key = value;
    if (name == "aws_session_token") found.session_token = value;
  }
  if (!was_found) {
    return base::fail(base::ErrorCode::kNotFound,
                      quoted(file_name) + " has no profile " + quoted(profile),
                      "AWS_PROFILE chooses another");
  }
  return checked(std::move(found), quoted(file_name));
}

base::Result<S3Config> make_s3_config(const S3Settings& settings,
                                      const EnvironmentLookup& environment) {
  S3Config config;
  AIRLOCK_ASSIGN(config.credentials, find_credentials(settings, environment));
  std::string region = settings.region;
  if (region.empty()) {
    region = first_of(environment, {"S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"});
  }
  if (!region.empty()) config.region = region;
  AIRLOCK_TRY(check_region(config.region));
  std::string endpoint = settings.endpoint;
  if (endpoint.empty()) {
    endpoint = first_of(environment, {"S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  }
  const bool is_aws = endpoint.empty();
  AIRLOCK_ASSIGN(config.endpoint, parse_endpoint(is_aws ? aws_endpoint(config.region) : endpoint));
  AIRLOCK_ASSIGN(
      config.style,
      parse_style(settings.style.empty() ? first_of(environment, {"S3_STYLE"}) : settings.style));
  if (config.style == AddressingStyle::kAuto) {
    config.style = is_aws ? AddressingStyle::kVirtualHost : AddressingStyle::kPath;
  }
  config.ca_file = settings.ca_file.empty() ? first_of(environment, {"S3_CA_FILE", "AWS_CA_BUNDLE"})
                                            : settings.ca_file;
  return config;
}

}  // namespace airlock::artifact
