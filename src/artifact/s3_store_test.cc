#include "artifact/s3_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "artifact/digest.h"
#include "artifact/s3_store_fixture.h"
#include "artifact/scripted_server.h"

namespace airlock::artifact {
namespace {

TEST_F(S3StoreTest, WhatMayPassIsTriedThreeTimes) {
  serve([](const SeenRequest&, std::size_t number) {
    return number < 2 ? refusal(503, "SlowDown") : answer(200, etag_of("abc"), "abc");
  });
  const auto got = get();
  ASSERT_TRUE(got.has_value()) << got.error().to_string();
  EXPECT_EQ(got->sha256, sha256_hex("abc"));
  EXPECT_EQ(content_of(file_), "abc");
  EXPECT_EQ(request_count(), 3U);
}

TEST_F(S3StoreTest, AfterTheLastAttemptTheErrorSaysHowMany) {
  serve([](const SeenRequest&, std::size_t) { return refusal(500, "InternalError"); });
  const auto got = get();
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code, base::ErrorCode::kUnavailable);
  EXPECT_NE(got.error().message.find("get s3://bucket/key"), std::string::npos);
  EXPECT_NE(got.error().message.find("InternalError"), std::string::npos);
  EXPECT_NE(got.error().message.find("after 3 attempts"), std::string::npos);
  EXPECT_EQ(request_count(), 3U);
}

TEST_F(S3StoreTest, WaitsDouble) {
  adjust_ = [](S3Config& config) {
    config.retry = {.attempts = 4, .first_wait = std::chrono::milliseconds(60)};
  };
  serve([](const SeenRequest&, std::size_t) { return refusal(500, "InternalError"); });
  ASSERT_FALSE(get().has_value());
  const auto requests = server_->requests();
  ASSERT_EQ(requests.size(), 4U);
  for (int i = 0; i < 3; ++i) {
    const auto index = static_cast<std::size_t>(i);
    EXPECT_GE(requests[index + 1].at - requests[index].at, std::chrono::milliseconds(60 << i));
  }
}

TEST_F(S3StoreTest, AServerMayAskForALongerWait) {
  serve([](const SeenRequest&, std::size_t number) {
    return number == 0 ? refusal(429, "TooManyRequests", "Retry-After: 1\r\n")
                       : answer(200, etag_of("a"), "a");
  });
  ASSERT_TRUE(get().has_value());
  const auto requests = server_->requests();
  EXPECT_GE(requests[1].at - requests[0].at, std::chrono::milliseconds(990));
}

TEST_F(S3StoreTest, ForbiddenAndMissingAreAskedOnce) {
  for (const auto& [status, code, kind] :
       {std::tuple(403, "AccessDenied", base::ErrorCode::kPermissionDenied),
        std::tuple(404, "NoSuchKey", base::ErrorCode::kNotFound),
        std::tuple(404, "NoSuchBucket", base::ErrorCode::kNotFound),
        std::tuple(403, "SlowDown", base::ErrorCode::kPermissionDenied)}) {
    serve([status, code](const SeenRequest&, std::size_t) { return refusal(status, code); });
    const auto got = get();
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code, kind) << code;
    EXPECT_EQ(request_count(), 1U) << code;
  }
}

TEST_F(S3StoreTest, EveryRefusalHasItsOwnMessageAndHint) {
  struct Case {
    int status;
    const char* code;
    const char* headers;
    const char* message;
    const char* hint;
  };
  for (const Case& each : {
           Case{403, "InvalidAccessKeyId", "", "does not know the access key", "S3_ACCESS_KEY"},
           Case{403, "SignatureDoesNotMatch", "", "secret key is not", "S3_SECRET_KEY"},
           Case{403, "RequestTimeTooSkewed", "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
                "at the server Thu, 01 Jan 1970", "clock"},
           Case{301, "PermanentRedirect", "x-amz-bucket-region: eu-west-3\r\n",
                "is in the region eu-west-3, not in us-east-1", "eu-west-3"},
           Case{307, "TemporaryRedirect", "Location: http://127.0.0.1:1/\r\n", "elsewhere",
                "not followed"},
           Case{400, "ExpiredToken", "", "has expired", "temporary"},
           Case{404, "NoSuchBucket", "", "no bucket \"bucket\"", "endpoint"},
           Case{403, "QuotaExceeded", "", "quota", "quota"},
       }) {
    serve([&each](const SeenRequest&, std::size_t) {
      return refusal(each.status, each.code, each.headers);
    });
    const auto got = get();
    ASSERT_FALSE(got.has_value());
    EXPECT_NE(got.error().message.find(each.message), std::string::npos) << got.error().message;
    EXPECT_NE(got.error().message.find(each.code), std::string::npos) << got.error().message;
    EXPECT_NE(got.error().hint.find(each.hint), std::string::npos) << got.error().hint;
    EXPECT_EQ(request_count(), 1U) << each.code;
  }
}

TEST_F(S3StoreTest, NothingSecretOrUnprintableOfARefusalIsRepeated) {
  serve([](const SeenRequest&, std::size_t) {
    return answer(403, "",
                  "<Error><Code>SignatureDoesNotMatch</Code><Message>a\x1b[31mb</Message>"
                  "<CanonicalRequest>x-amz-security-token:the-token</CanonicalRequest>"
                  "</Error>");
  });
  const std::string text = get().error().to_string();
  EXPECT_EQ(text.find("the-token"), std::string::npos);
  EXPECT_EQ(text.find("the-secret-key"), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("a\\x1b[31mb"), std::string::npos);
}

TEST_F(S3StoreTest, AnUnreadableRefusalIsStillOne) {
  serve([](const SeenRequest&, std::size_t) { return answer(500, "", std::string(300'000, '<')); });
  EXPECT_NE(get().error().message.find("answered 500"), std::string::npos);
}

TEST_F(S3StoreTest, ABrokenDownloadGoesOnWhereItBroke) {
  const std::string content(200'000, 'x');
  serve([&content](const SeenRequest& request, std::size_t number) -> ScriptedAnswer {
    if (number == 0) {
      auto broken = answer(200, etag_of(content), content);
      broken.bytes.resize(broken.bytes.size() - 150'000);
      broken.closes = true;
      return broken;
    }
    EXPECT_EQ(request.headers.at("if-match"), "\"" + md5_hex(content) + "\"");
    const auto start = std::strtoul(request.headers.at("range").c_str() + 6, nullptr, 10);
    EXPECT_EQ(start, 50'000U);
    return answer(
        206,
        etag_of(content) + "Content-Range: bytes " + std::to_string(start) + "-199999/200000\r\n",
        content.substr(start));
  });
  const auto got = get();
  ASSERT_TRUE(got.has_value()) << got.error().to_string();
  EXPECT_EQ(got->sha256, sha256_hex(content));
  EXPECT_EQ(content_of(file_), content);
  EXPECT_EQ(request_count(), 2U);
}

TEST_F(S3StoreTest, AServerThatKnowsNoRangesSendsAllAgain) {
  const std::string content(10'000, 'x');
  serve([&content](const SeenRequest&, std::size_t number) {
    auto reply = answer(200, etag_of(content), content);
    if (number == 0) {
      reply.bytes.resize(reply.bytes.size() - 4'000);
      reply.closes = true;
    }
    return reply;
  });
  ASSERT_TRUE(get().has_value());
  EXPECT_EQ(content_of(file_), content);
}

TEST_F(S3StoreTest, TwoVersionsOfAnObjectAreNeverMixed) {
  for (const bool uses_412 : {true, false}) {
    serve([uses_412](const SeenRequest&, std::size_t number) {
      auto reply = answer(200, "ETag: \"first\"\r\n", "0123456789");
      if (number == 0) {
        reply.bytes.resize(reply.bytes.size() - 4);
        reply.closes = true;
        return reply;
      }
      return uses_412 ? refusal(412, "PreconditionFailed")
                      : answer(200, "ETag: \"second\"\r\n", "abcdefghij");
    });
    const auto got = get();
    ASSERT_FALSE(got.has_value());
    EXPECT_NE(got.error().message.find("changed while it was read"), std::string::npos);
    EXPECT_EQ(request_count(), 2U);
  }
}

TEST_F(S3StoreTest, ContentThatIsNotWhatTheETagSaysIsRefused) {
  serve([](const SeenRequest&, std::size_t) { return answer(200, etag_of("abc"), "abd"); });
  const auto got = get();
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code, base::ErrorCode::kIo);
  EXPECT_EQ(request_count(), 1U);
}

TEST_F(S3StoreTest, AnETagThatIsNoMd5IsNotTakenForOne) {
  for (const std::string& headers :
       {"ETag: \"" + md5_hex("x") + "-2\"\r\n",
        "ETag: \"" + md5_hex("x") + "\"\r\nx-amz-server-side-encryption: aws:kms\r\n",
        std::string()}) {
    serve([&headers](const SeenRequest&, std::size_t) { return answer(200, headers, "abc"); });
    EXPECT_TRUE(get().has_value()) << headers;
  }
}

TEST_F(S3StoreTest, MoreThanTheLimitIsRefusedBeforeOrWhileItComes) {
  for (const bool says_length : {true, false}) {
    serve([says_length](const SeenRequest&, std::size_t) {
      ScriptedAnswer reply = answer(200, "", std::string(1'000, 'x'));
      if (says_length) return reply;
      reply.bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + std::string(1'000, 'x');
      reply.closes = true;
      return reply;
    });
    const auto got = get("key", base::ByteCount(999));
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code, base::ErrorCode::kLimitExceeded);
    EXPECT_LE(content_of(file_).size(), 999U);
    EXPECT_EQ(request_count(), 1U);
  }
}

TEST_F(S3StoreTest, AFullSinkIsAnErrorOfOursAndNotTriedAgain) {
  serve([](const SeenRequest&, std::size_t) { return answer(200, etag_of("abc"), "abc"); });
  const base::UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const auto got = store_->get("key", full.get(), kRoom, control_);
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().os_errno, ENOSPC);
  EXPECT_EQ(request_count(), 1U);
}

// --- lists ---------------------------------------------------------------------------------------
std::string page(const std::string& keys, const std::string& rest = {}) {
  return "<ListBucketResult><EncodingType>url</EncodingType>" + keys + rest + "</ListBucketResult>";
}
std::string listed(const std::string& key) {
  return "<Contents><Key>" + key + "</Key><Size>1</Size></Contents>";
}

TEST_F(S3StoreTest, AListIsReadPageByPage) {
  serve([](const SeenRequest& request, std::size_t number) {
    const bool asks_next = request.target.find("continuation-token=t%2F1") != std::string::npos;
    EXPECT_EQ(asks_next, number == 1);
    return answer(200, "",
                  number == 0 ? page(listed("in/b%2Bc+d"),
                                     "<IsTruncated>true</IsTruncated>"
                                     "<NextContinuationToken>t/1</NextContinuationToken>")
                              : page(listed("in/a")));
  });
  const auto objects = store_->list("in/", 10, control_);
  ASSERT_TRUE(objects.has_value()) << objects.error().to_string();
  ASSERT_EQ(objects->size(), 2U);
  EXPECT_EQ((*objects)[0].key, "in/a");
  EXPECT_EQ((*objects)[1].key, "in/b+c d");
}

TEST_F(S3StoreTest, AListThatCannotBeBelievedIsRefused) {
  for (const std::string& body :
       {page(listed("elsewhere/a")), page(listed("in/a"), "<IsTruncated>true</IsTruncated>"),
        page("", "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"),
        page("<Contents><Key>in/a</Key><Size>-1</Size></Contents>"), page(listed("in/%zz")),
        std::string("<!DOCTYPE a>" + page("")), std::string("no XML"),
        std::string(9u << 20, ' ')}) {
    serve([&body](const SeenRequest&, std::size_t) { return answer(200, "", body); });
    const auto objects = store_->list("in/", 10, control_);
    ASSERT_FALSE(objects.has_value()) << body.substr(0, 100);
    EXPECT_EQ(objects.error().code, base::ErrorCode::kProtocol);
  }
}

TEST_F(S3StoreTest, AnEndlessListEndsAtTheLimit) {
  serve([](const SeenRequest&, std::size_t number) {
    return answer(200, "",
                  page(listed("in/" + std::to_string(number)),
                       "<IsTruncated>true</IsTruncated>"
                       "<NextContinuationToken>t</NextContinuationToken>"));
  });
  const auto objects = store_->list("in/", 20, control_);
  ASSERT_FALSE(objects.has_value());
  EXPECT_EQ(objects.error().code, base::ErrorCode::kLimitExceeded);
  EXPECT_EQ(request_count(), 21U);
}

TEST_F(S3StoreTest, TooManyHeadersAreRefused) {
  serve([](const SeenRequest&, std::size_t) {
    std::string headers;
    for (int i = 0; i < 1'000; ++i) headers += "x-" + std::to_string(i) + ": 1\r\n";
    return answer(200, headers, "a");
  });
  EXPECT_EQ(get().error().code, base::ErrorCode::kProtocol);
}

// --- ends ----------------------------------------------------------------------------------------
TEST_F(S3StoreTest, AHangingServerIsLeftAtTheDeadline) {
  serve([](const SeenRequest&, std::size_t) { return ScriptedAnswer{.bytes = "", .hangs = true}; });
  const auto start = std::chrono::steady_clock::now();
  control_.deadline = start + std::chrono::milliseconds(300);
  const auto got = get();
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code, base::ErrorCode::kLimitExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(request_count(), 1U);
}

TEST_F(S3StoreTest, AHangingServerIsLeftWhenItStalls) {
  adjust_ = [](S3Config& config) {
    config.timeouts.stall = std::chrono::seconds(1);
    config.retry.attempts = 1;
  };
  serve([](const SeenRequest&, std::size_t) { return ScriptedAnswer{.bytes = "", .hangs = true}; });
  const auto got = get();
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code, base::ErrorCode::kUnavailable);
  EXPECT_NE(got.error().message.find("did not answer in time"), std::string::npos);
}

TEST_F(S3StoreTest, CancelEndsAHangingTransferAndAWait) {
  for (const bool hangs : {true, false}) {
    adjust_ = [](S3Config& config) { config.retry.first_wait = std::chrono::seconds(30); };
    serve([hangs](const SeenRequest&, std::size_t) {
      return hangs ? ScriptedAnswer{.bytes = "", .hangs = true} : refusal(500, "InternalError");
    });
    std::atomic<bool> cancelled = false;
    control_.cancelled = &cancelled;
    std::thread canceller([&cancelled] {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      cancelled = true;
    });
    const auto start = std::chrono::steady_clock::now();
    const auto got = get();
    canceller.join();
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code, base::ErrorCode::kCancelled);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  }
}

TEST_F(S3StoreTest, ProgressIsToldInBytesOfTheObject) {
  std::uint64_t last = 0;
  control_.on_bytes = [&last](std::uint64_t bytes) { last = bytes; };
  serve([](const SeenRequest&, std::size_t) { return answer(200, etag_of("abc"), "abc"); });
  ASSERT_TRUE(get().has_value());
  EXPECT_EQ(last, 3U);
  last = 0;
  ASSERT_TRUE(put("12345").has_value());
  EXPECT_EQ(last, 5U);
}

TEST_F(S3StoreTest, KeysArriveAsTheyAre) {
  const std::string key = "a b/ü+=&%25?#~';.txt";
  serve([](const SeenRequest&, std::size_t) { return answer(200, "", ""); });
  ASSERT_TRUE(get(key).has_value());
  EXPECT_EQ(server_->requests()[0].target, "/bucket/a%20b/%C3%BC%2B%3D%26%2525%3F%23~%27%3B.txt");
}

}  // namespace
}  // namespace airlock::artifact
