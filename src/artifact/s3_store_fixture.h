// S3StoreTest: an S3Store against a server that does what a script says.
//
// Used by the tests of the store and of its uploads. Attempts follow one another within
// milliseconds, and files are uploaded in parts from 6 MiB.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "artifact/digest.h"
#include "artifact/s3_store.h"
#include "artifact/s3_upload.h"
#include "artifact/scripted_server.h"

namespace airlock::artifact {

inline constexpr base::ByteCount kRoom = base::mebibytes(64);

inline base::UniqueFd make_file(std::string_view content = {}) {
  base::UniqueFd fd(::memfd_create("content", MFD_CLOEXEC));
  EXPECT_EQ(::pwrite(fd.get(), content.data(), content.size(), 0),
            static_cast<ssize_t>(content.size()));
  return fd;
}

inline std::string content_of(const base::UniqueFd& fd) {
  std::string text(static_cast<std::size_t>(::lseek(fd.get(), 0, SEEK_END)), '\0');
  EXPECT_EQ(::pread(fd.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  return text;
}

inline std::string etag_of(std::string_view content) {
  return "ETag: \"" + md5_hex(content) + "\"\r\n";
}

class S3StoreTest : public testing::Test {
 protected:
  S3StoreTest() { ::signal(SIGPIPE, SIG_IGN); }

  void serve(ScriptedServer::Script script) {
    server_ = std::make_unique<ScriptedServer>(std::move(script));
    S3Config config;
    config.endpoint = parse_endpoint(server_->url()).value();
    config.style = AddressingStyle::kPath;
    config.credentials = {"AK", "the-secret-key", "the-token"};
    config.retry.first_wait = std::chrono::milliseconds(1);
    config.multipart_from = base::mebibytes(6);
    config.part_size = kPartSizeMin;
    adjust_(config);
    store_ = std::make_unique<S3Store>("bucket", std::move(config), clock_);
  }

  base::Result<ContentDigest> get(std::string key = "key", base::ByteCount size_max = kRoom) {
    file_ = make_file();
    return store_->get(key, file_.get(), size_max, control_);
  }

  base::Result<ContentDigest> put(std::string_view content) {
    file_ = make_file(content);
    return store_->put({.key = "key", .fd = file_.get(), .size = base::ByteCount(content.size())},
                       control_);
  }

  std::size_t request_count() const { return server_->requests().size(); }

  base::SystemClock clock_;
  Control control_;
  std::function<void(S3Config&)> adjust_ = [](S3Config&) {};
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<S3Store> store_;
  base::UniqueFd file_;
};

}  // namespace airlock::artifact
