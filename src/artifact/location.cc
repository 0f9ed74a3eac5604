#include "artifact/location.h"

#include <algorithm>

#include "artifact/names.h"

namespace airlock::artifact {
namespace {

constexpr std::string_view kForms =
    "write s3://bucket/key, bucket/key, https://bucket.host/key or file:///absolute/path";
constexpr std::string_view kScheme = "://";
constexpr std::size_t kBucketBytesMin = 3;  // S3: general purpose bucket naming rules
constexpr std::size_t kBucketBytesMax = 63;
constexpr std::size_t kFilePathBytesMax = 4'095;  // PATH_MAX with its final zero

std::unexpected<base::Error> refuse(std::string_view text, std::string_view why) {
  return base::fail(base::ErrorCode::kInvalidArgument,
                    quoted(text) + " is no location of artifacts: " + std::string(why),
                    std::string(kForms));
}

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool looks_like_address(std::string_view host) {
  return std::ranges::all_of(host, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

bool is_bucket(std::string_view name) {
  if (name.size() < kBucketBytesMin || name.size() > kBucketBytesMax) return false;
  if (!is_lower_or_digit(name.front()) || !is_lower_or_digit(name.back())) return false;
  const bool fits = std::ranges::all_of(
      name, [](char c) { return is_lower_or_digit(c) || c == '-' || c == '.'; });
  return fits && name.find("..") == std::string_view::npos &&
         !(looks_like_address(name) && name.find('.') != std::string_view::npos);
}

// A key as S3 takes it, less what a folder could not hold: a trailing "/" makes it a prefix.
base::Result<Location> make_s3(std::string_view text, std::string_view bucket,
                               std::string_view key) {
  if (!is_bucket(bucket)) {
    return refuse(text,
                  "its bucket " + quoted(bucket) + " is not 3 to 63 of a-z, 0-9, \"-\" and \".\"");
  }
  const std::string_view path = key.ends_with('/') ? key.substr(0, key.size() - 1) : key;
  if (path.empty()) return refuse(text, "it names no key in the bucket");
  if (auto checked = check_relative_path(path); !checked) {
    return refuse(text, checked.error().message);
  }
  return Location{.kind = Location::Kind::kS3,
                  .bucket = std::string(bucket),
                  .key = std::string(key),
                  .path = {}};
}

base::Result<Location> parse_https(std::string_view text, std::string_view rest) {
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return refuse(text.substr(0, text.find_first_of("?#")),
                  "it has a query or a fragment (presigned URLs are not taken)");
  }
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view authority = rest.substr(0, slash);
  if (authority.find('@') != std::string_view::npos) {
    return refuse(text.substr(0, text.find("://") + 3), "it has a user name");
  }
  const std::string_view host = authority.substr(0, authority.find(':'));
  const std::size_t dot = host.find('.');
  if (dot == std::string_view::npos || looks_like_address(host) || host.starts_with('[')) {
    return refuse(text, "its host does not begin with a bucket");
  }
  const auto key = percent_decode(rest.substr(std::min(slash + 1, rest.size())));
  if (!key) return refuse(text, "a \"%\" stands without two hexadecimal digits");
  return make_s3(text, host.substr(0, dot), *key);
}

base::Result<Location> parse_file(std::string_view text, std::string_view rest) {
  if (rest.starts_with("localhost/")) rest.remove_prefix(std::string_view("localhost").size());
  if (!rest.starts_with('/')) return refuse(text, "a path of this host begins with \"/\"");
  const auto decoded = percent_decode(rest);
  if (!decoded) return refuse(text, "a \"%\" stands without two hexadecimal digits");
  if (decoded->size() > kFilePathBytesMax) return refuse(text, "its path is too long");
  if (has_unprintable(*decoded)) return refuse(text, "it holds a control character, or no UTF-8");
  std::string path;
  for (std::size_t start = 1; start <= decoded->size();) {
    const std::size_t end = std::min(decoded->find('/', start), decoded->size());
    const std::string part = decoded->substr(start, end - start);
    if (part == "..") return refuse(text, "a part of it is \"..\"");
    if (!part.empty() && part != ".") path.append("/").append(part);
    start = end + 1;
  }
  if (path.empty() || decoded->ends_with('/')) path += '/';
  return Location{.kind = Location::Kind::kFile, .bucket = {}, .key = {}, .path = std::move(path)};
}

}  // namespace

std::string Location::to_string() const {
  return kind == Kind::kS3 ? "s3://" + bucket + "/" + key
                           : "file://" + percent_encode(path, "/+=,:@!$&'()*; ");
}

base::Result<Location> parse_location(std::string_view text) {
  if (text.empty()) return refuse(text, "it is empty");
  if (text.size() > kLocationBytesMax) return refuse(text, "it has more than 4,096 bytes");
  const std::size_t colon = text.find(kScheme);
  const std::size_t slash = text.find('/');
  if (colon == std::string_view::npos || slash < colon) {
    if (slash == std::string_view::npos) return refuse(text, "it names no key in the bucket");
    return make_s3(text, text.substr(0, slash), text.substr(slash + 1));
  }
  const std::string_view scheme = text.substr(0, colon);
  const std::string_view rest = text.substr(colon + kScheme.size());
  if (scheme == "file") return parse_file(text, rest);
  if (scheme == "https") return parse_https(text, rest);
  if (scheme != "s3") return refuse(text, "the scheme " + quoted(scheme) + " is not known");
  const std::size_t end = std::min(rest.find('/'), rest.size());
  return make_s3(text, rest.substr(0, end), rest.substr(std::min(end + 1, rest.size())));
}

}  // namespace airlock::artifact
