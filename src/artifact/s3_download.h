// S3 download: one object of a bucket into a descriptor, through a connection that may break.
//
// After a break the next request asks for what is missing (Range), and for the same content only
// (If-Match), so the descriptor may be a pipe. The length is checked, and, where the ETag is
// one, the MD5. One thread.
#pragma once

#include <string>

#include "artifact/s3_session.h"

namespace airlock::artifact {

// After that many new bytes an attempt counts as progress, and attempts are counted anew.
inline constexpr std::uint64_t kProgressBytes = 8u << 20;

struct Download {
  std::string key;
  int fd = -1;
  base::ByteCount size_max;
};

base::Result<ContentDigest> s3_download(S3Session& session, const Download& download,
                                        const Control& control);

}  // namespace airlock::artifact
