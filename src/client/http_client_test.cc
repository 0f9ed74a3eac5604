// Against a server that says exactly what a test wants.
#include "client/http_client.h"

#include <gtest/gtest.h>

#include "artifact/scripted_server.h"
#include "client/job_client.h"
#include "client/log_follower.h"

namespace airlock::client {
namespace {

using artifact::ScriptedAnswer;
using artifact::ScriptedServer;
using artifact::SeenRequest;
using std::chrono::milliseconds;

ClientOptions options_for(const ScriptedServer& server) {
  ClientOptions options;
  options.curl = *artifact::load_curl();
  options.server = *parse_server_url(server.url());
  options.api_key = "a-key-of-sixteen-letters";
  return options;
}

ScriptedAnswer raw(std::string bytes) { return {.bytes = std::move(bytes), .closes = true}; }
ScriptedAnswer events(const std::string& text) {
  return raw(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100000\r\n\r\n" +
      text);
}

TEST(HttpClientTest, TheKeyIsSentAndTheBodyComesBack) {
  ScriptedServer server([](const SeenRequest&, std::size_t) {
    return artifact::answer(200, "Date: Thu, 01 Jan 1970 00:01:00 GMT\r\n", R"({"a":1})");
  });
  const JobClient client(options_for(server));
  const auto answer = client.status();
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->object.at("a").as_int64(), 1);
  EXPECT_EQ(answer->server_time->time_since_epoch(), std::chrono::minutes(1));
  EXPECT_EQ(server.requests()[0].headers.at("authorization"), "Bearer a-key-of-sixteen-letters");
}

TEST(HttpClientTest, NoRedirectIsFollowed) {
  ScriptedServer other(
      [](const SeenRequest&, std::size_t) { return artifact::answer(200, "", "{}"); });
  ScriptedServer server([&](const SeenRequest&, std::size_t) {
    return artifact::answer(302, "Location: " + other.url() + "/\r\n", "");
  });
  EXPECT_FALSE(JobClient(options_for(server)).status());
  EXPECT_TRUE(other.requests().empty());
}

TEST(HttpClientTest, AnswersThatLieAreRefused) {
  const std::vector<std::string> lies = {
      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",  // cut off
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\"",
      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot json!",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
      "HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x') + "\r\nContent-Length: 2\r\n\r\n{}",
      "SSH-2.0-OpenSSH\r\n",
      "",
  };
  for (const std::string& lie : lies) {
    ScriptedServer server([&](const SeenRequest&, std::size_t) { return raw(lie); });
    EXPECT_FALSE(JobClient(options_for(server)).status()) << lie.substr(0, 80);
  }
}

TEST(HttpClientTest, AnAnswerWithoutEndIsCutOff) {
  ScriptedServer server([&](const SeenRequest&, std::size_t) {
    return raw("HTTP/1.1 200 OK\r\n\r\n" + std::string(kBodyBytesMax + 1'000, ' '));
  });
  const auto answer = JobClient(options_for(server)).status();
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().message.find("more than 64 MiB"), std::string::npos);
}

TEST(HttpClientTest, NobodyThereSaysWhatWasTriedAndWhatToDo) {
  ClientOptions options;
  options.curl = *artifact::load_curl();
  options.server = *parse_server_url("http://127.0.0.1:1");
  const auto answer = JobClient(options).status();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, base::ErrorCode::kUnavailable);
  EXPECT_NE(answer.error().message.find("http://127.0.0.1:1"), std::string::npos);
  EXPECT_NE(answer.error().to_string().find("refused"), std::string::npos);
  EXPECT_NE(answer.error().hint.find("airlock serve"), std::string::npos);
}

TEST(JobClientTest, ASubmissionIsRepeatedUnderItsKeyWhereTheConnectionBreaks) {
  ScriptedServer server([](const SeenRequest&, std::size_t number) {
    if (number < 2) return raw("");
    return artifact::answer(201, "Idempotency-Replayed: true\r\n", R"({"job_id":"job_1"})");
  });
  const auto answer = JobClient(options_for(server)).submit({{"repo_url", "x"}}, "key-1");
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_TRUE(answer->replayed);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3u);
  for (const SeenRequest& request : requests) {
    EXPECT_EQ(request.headers.at("idempotency-key"), "key-1");
    EXPECT_EQ(request.body, R"({"repo_url":"x"})");
  }
}

TEST(JobClientTest, IdsAndPathsStayInTheirPlace) {
  const JobClient client(ClientOptions{});
  for (const char* const id : {"", "..", "a/b", "a?b", "a b", "a\n"}) {
    EXPECT_EQ(client.job(id).error().code, base::ErrorCode::kInvalidArgument) << id;
  }
  const auto nothing = [](std::string_view) { return base::Status(); };
  for (const char* const path : {"", "../x", "/x", "a//b", "a/./b", "a\nb"}) {
    EXPECT_FALSE(client.output("job_1", path, nothing)) << path;
  }
}

struct Followed {
  std::vector<std::string> data;
  int lost = 0;
  base::Status status;
};

Followed follow(const ClientOptions& options) {
  const base::SystemClock clock;
  LogFollower follower(options, clock, "job_1", "");
  Followed followed;
  for (int i = 0; i < 200; ++i) {
    auto log = follower.wait(milliseconds(50), -1);
    if (!log) {
      followed.status = base::fail(log.error());
      return followed;
    }
    followed.lost += log->lost ? 1 : 0;
    for (const ServerEvent& event : log->events) followed.data.push_back(event.data);
    if (log->ended) return followed;
  }
  followed.status = base::fail(base::ErrorCode::kBusy, "it never ends");
  return followed;
}

TEST(LogFollowerTest, ABrokenConnectionGoesOnBehindTheLastEntry) {
  ScriptedServer server([](const SeenRequest&, std::size_t number) {
    if (number == 0) {
      return events(
          "id: prep:16\nevent: log\ndata: 1\n\nid: prep:32\nevent: log\ndata: 2\n\nid: p");
    }
    if (number == 1) return artifact::answer(503, "", "{\"detail\":\"starting\"}");
    return events("id: prep:48\nevent: log\ndata: 3\n\nevent: end\ndata: {}\n\n");
  });
  const Followed followed = follow(options_for(server));
  ASSERT_TRUE(followed.status) << followed.status.error().to_string();
  EXPECT_EQ(followed.data, (std::vector<std::string>{"1", "2", "3", "{}"}));
  EXPECT_EQ(followed.lost, 2);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_FALSE(requests[0].headers.contains("last-event-id"));
  EXPECT_EQ(requests[1].headers.at("last-event-id"), "prep:32");
  EXPECT_EQ(requests[2].headers.at("last-event-id"), "prep:32");
}

TEST(LogFollowerTest, WithoutNamesOfEntriesNothingIsShownTwice) {
  ScriptedServer server(
      [](const SeenRequest&, std::size_t) { return events("event: log\ndata: 1\n\n"); });
  const Followed followed = follow(options_for(server));
  EXPECT_FALSE(followed.status);
  EXPECT_EQ(followed.data, (std::vector<std::string>{"1"}));
}

TEST(LogFollowerTest, ARefusalAndWhatAreNoEventsEndIt) {
  ScriptedServer refuses([](const SeenRequest&, std::size_t) {
    return artifact::answer(404, "", "{\"detail\":\"Job not found: job_1\"}");
  });
  EXPECT_EQ(follow(options_for(refuses)).status.error().code, base::ErrorCode::kNotFound);
  ScriptedServer talks([](const SeenRequest&, std::size_t) {
    return artifact::answer(200, "Content-Type: text/html\r\n", "<html>");
  });
  EXPECT_EQ(follow(options_for(talks)).status.error().code, base::ErrorCode::kProtocol);
}

}  // namespace
}  // namespace airlock::client
