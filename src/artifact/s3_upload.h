// S3 upload: one file into a bucket, in one request or in parts.
//
// What the server verifies is the SHA-256 of each request's content, which is part of its
// signature: every piece is read twice, hashed and then sent, and a file that changes in between
// is refused. Parts grow with the file, so that at most 10,000 are needed up to 5 TiB. A multipart
// upload that fails is aborted; one whose process dies is found by s3_sweep. One thread.
#pragma once

#include <cstdint>

#include "artifact/s3_session.h"

namespace airlock::artifact {

// S3: "Amazon S3 multipart upload limits".
inline constexpr std::uint64_t kPartsMax = 10'000;
inline constexpr base::ByteCount kPartSizeMin = base::mebibytes(5);
inline constexpr base::ByteCount kPutSizeMax = base::gibibytes(5);  // of one request
inline constexpr base::ByteCount kObjectSizeMax = base::gibibytes(5 * 1024);

// `wanted`, or as much more, in whole MiB, as `size` needs.
base::ByteCount choose_part_size(base::ByteCount size, base::ByteCount wanted);

base::Result<ContentDigest> s3_upload(S3Session& session, const Upload& upload,
                                      const Control& control);

base::Result<std::size_t> s3_sweep(S3Session& session, const SweepRequest& request,
                                   const Control& control);

}  // namespace airlock::artifact
