#include "artifact/s3_upload.h"

#include <gtest/gtest.h>

#include "artifact/digest.h"
#include "artifact/s3_store_fixture.h"
#include "artifact/scripted_server.h"

namespace airlock::artifact {
namespace {

TEST_F(S3StoreTest, AnUploadIsSentAgainWholeWhenTheConnectionBroke) {
  serve([](const SeenRequest& request, std::size_t number) -> ScriptedAnswer {
    EXPECT_EQ(request.body, "content");
    EXPECT_EQ(request.headers.at("x-amz-content-sha256"), sha256_hex("content"));
    EXPECT_EQ(request.headers.at("x-amz-security-token"), "the-token");
    if (number < 2) return {.bytes = "", .closes = true};
    return answer(200, etag_of("content"), "");
  });
  const auto done = put("content");
  ASSERT_TRUE(done.has_value()) << done.error().to_string();
  EXPECT_EQ(done->sha256, sha256_hex("content"));
  EXPECT_EQ(request_count(), 3U);
}

TEST_F(S3StoreTest, AnEmptyFileIsUploaded) {
  serve([](const SeenRequest& request, std::size_t) {
    EXPECT_EQ(request.headers.at("content-length"), "0");
    return answer(200, "", "");
  });
  const auto done = put("");
  ASSERT_TRUE(done.has_value()) << done.error().to_string();
  EXPECT_EQ(done->sha256, kEmptySha256);
}

TEST_F(S3StoreTest, AFileThatBecameShorterIsNotUploaded) {
  serve([](const SeenRequest&, std::size_t) { return answer(200, "", ""); });
  file_ = make_file("abc");
  const auto done =
      store_->put({.key = "key", .fd = file_.get(), .size = base::ByteCount(4)}, control_);
  ASSERT_FALSE(done.has_value());
  EXPECT_NE(done.error().message.find("became shorter"), std::string::npos);
  EXPECT_EQ(request_count(), 0U);
}

// --- uploads in parts ----------------------------------------------------------------------------
constexpr const char* kBegun = "<R><UploadId>id/+1</UploadId></R>";

ScriptedAnswer part_answer(const SeenRequest& request) {
  return answer(200, etag_of(request.body), "");
}

class MultipartTest : public S3StoreTest {
 protected:
  std::string content_ = std::string(11u << 20, 'x');  // three parts

  std::string etag_of_all() const {
    std::string all;
    const std::size_t part = kPartSizeMin.count();
    for (std::size_t at = 0; at < content_.size(); at += part) {
      all += from_hex(md5_hex(content_.substr(at, part)));
    }
    return "ETag: \"" + md5_hex(all) + "-3\"\r\n";
  }
};

TEST_F(MultipartTest, PartsAreSentInOrderAndCompleted) {
  serve([](const SeenRequest& request, std::size_t) {
    return request.method == "PUT" ? part_answer(request) : answer(200, "", kBegun);
  });
  const auto done = put(content_);
  ASSERT_TRUE(done.has_value()) << done.error().to_string();
  EXPECT_EQ(done->sha256, sha256_hex(content_));
  const auto requests = server_->requests();
  ASSERT_EQ(requests.size(), 5U);
  EXPECT_EQ(requests[0].target, "/bucket/key?uploads=");
  EXPECT_EQ(requests[1].target, "/bucket/key?partNumber=1&uploadId=id%2F%2B1");
  EXPECT_EQ(requests[3].body.size(), 1u << 20);
  EXPECT_EQ(requests[4].method, "POST");
  EXPECT_NE(requests[4].body.find("<PartNumber>3</PartNumber>"), std::string::npos);
}

TEST_F(MultipartTest, AFailedPartAbortsTheUpload) {
  serve([](const SeenRequest& request, std::size_t) {
    if (request.method == "DELETE") return answer(204, "", "");
    if (request.method == "POST") return answer(200, "", kBegun);
    const bool is_second = request.target.find("partNumber=2") != std::string::npos;
    return is_second ? refusal(500, "InternalError") : part_answer(request);
  });
  ASSERT_FALSE(put(content_).has_value());
  const auto requests = server_->requests();
  ASSERT_EQ(requests.size(), 6U);  // begin, 1, three times 2, abort
  EXPECT_EQ(requests.back().method, "DELETE");
  EXPECT_EQ(requests.back().target, "/bucket/key?uploadId=id%2F%2B1");
}

TEST_F(MultipartTest, WhatCannotBeAbortedIsSaid) {
  serve([](const SeenRequest& request, std::size_t) {
    return request.method == "POST" ? answer(200, "", kBegun) : refusal(403, "AccessDenied");
  });
  const auto done = put(content_);
  ASSERT_FALSE(done.has_value());
  EXPECT_NE(done.error().message.find("could not be taken away"), std::string::npos);
}

TEST_F(MultipartTest, CancelAbortsTheUploadToo) {
  std::atomic<bool> cancelled = false;
  control_.cancelled = &cancelled;
  serve([&cancelled](const SeenRequest& request, std::size_t) {
    if (request.method == "PUT") cancelled = true;
    return request.method == "PUT" ? part_answer(request) : answer(200, "", kBegun);
  });
  const auto done = put(content_);
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, base::ErrorCode::kCancelled);
  EXPECT_EQ(server_->requests().back().method, "DELETE");
}

TEST_F(MultipartTest, AnErrorInA200IsOne) {
  serve([](const SeenRequest& request, std::size_t number) {
    if (request.method == "PUT") return part_answer(request);
    if (number == 4) return refusal(200, "InternalError");
    return answer(200, "", kBegun);
  });
  ASSERT_TRUE(put(content_).has_value());
  EXPECT_EQ(request_count(), 6U);
}

TEST_F(MultipartTest, ALostAnswerToTheLastRequestIsLookedUp) {
  for (const bool is_there : {true, false}) {
    serve([this, is_there](const SeenRequest& request, std::size_t number) -> ScriptedAnswer {
      if (request.method == "PUT") return part_answer(request);
      if (request.method == "HEAD") {
        return {"HTTP/1.1 200 OK\r\n" + (is_there ? etag_of_all() : etag_of("other")) +
                "Content-Length: " + std::to_string(content_.size()) + "\r\n\r\n"};
      }
      if (number == 4) return {.bytes = "", .closes = true};
      return number == 5 ? refusal(404, "NoSuchUpload") : answer(200, "", kBegun);
    });
    EXPECT_EQ(put(content_).has_value(), is_there);
  }
}

TEST(PartSizeTest, GrowsSoThatTenThousandAreEnough) {
  const base::ByteCount usual = base::mebibytes(16);
  EXPECT_EQ(choose_part_size(base::gibibytes(5), usual), usual);
  EXPECT_EQ(choose_part_size(base::gibibytes(5), base::ByteCount(1)), kPartSizeMin);
  for (const base::ByteCount size :
       {base::gibibytes(157), base::gibibytes(1'024), kObjectSizeMax}) {
    const std::uint64_t part = choose_part_size(size, usual).count();
    EXPECT_LE((size.count() + part - 1) / part, kPartsMax);
    EXPECT_LE(part, kPutSizeMax.count());
  }
}

}  // namespace
}  // namespace airlock::artifact
