// S3Store: a bucket of any server that speaks S3, as a Store.
//
// Retries, signing and refusals as S3Session; integrity as s3_download and s3_upload.
// Connections are kept between calls. A write to a connection that broke may raise SIGPIPE: the
// process ignores it. `clock` outlives the store. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "artifact/s3_session.h"
#include "artifact/store.h"

namespace airlock::artifact {

class S3Store final : public Store {
 public:
  S3Store(std::string bucket, S3Config config, const base::Clock& clock)
      : session_(std::move(bucket), std::move(config), clock) {}

  std::string describe(std::string_view key) const override { return session_.describe(key); }
  base::Result<std::vector<ObjectInfo>> list(const std::string& prefix, std::size_t objects_max,
                                             const Control& control) override;
  base::Result<ContentDigest> get(const std::string& key, int fd, base::ByteCount size_max,
                                  const Control& control) override;
  base::Result<ContentDigest> put(const Upload& upload, const Control& control) override;
  base::Result<std::size_t> sweep(const SweepRequest& request, const Control& control) override;

 private:
  S3Session session_;
};

}  // namespace airlock::artifact
