// Location: where inputs come from or outputs go, parsed from what a caller wrote.
//
//   s3://bucket/key     bucket/key     https://bucket.any.host/key     file:///absolute/path
//
// A value; parsing touches neither files nor network. The host of the third form is not used:
// requests go to the operator's endpoint, so that nobody who submits a job can choose where
// credentials are shown. Keys are taken as written, but for https and file, which are URLs: %NN
// is decoded.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace airlock::artifact {

inline constexpr std::size_t kLocationBytesMax = 4'096;

struct Location {
  enum class Kind { kS3, kFile };
  Kind kind = Kind::kS3;
  std::string bucket;  // kS3
  std::string key;     // kS3: never empty; a prefix if it ends with "/"
  std::string path;    // kFile: absolute, without "." or ".." or "//"; may end with "/"

  bool operator==(const Location&) const = default;
  std::string to_string() const;  // "s3://bucket/key", "file:///path"
};

// kInvalidArgument names the text and the accepted forms.
base::Result<Location> parse_location(std::string_view text);

}  // namespace airlock::artifact
