#include "http/path_pattern.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

using Values = std::vector<std::string>;

TEST(PathPatternTest, AWordInBracesIsOneSegment) {
  EXPECT_EQ(match_path("/v1/jobs/{id}", "/v1/jobs/job_1"), Values{"job_1"});
  EXPECT_EQ(match_path("/v1/jobs/{id}/logs", "/v1/jobs/job_1/logs"), Values{"job_1"});
  EXPECT_EQ(match_path("/health", "/health"), Values{});
}

TEST(PathPatternTest, TheRestOfAPathIsOneValue) {
  EXPECT_EQ(match_path("/v1/jobs/{id}/outputs/{path...}", "/v1/jobs/j/outputs/a/b%20c.txt"),
            (Values{"j", "a/b c.txt"}));
}

TEST(PathPatternTest, NothingElseMatches) {
  for (const char* path :
       {"/v1/jobs", "/v1/jobs/", "/v1/jobs/a/", "/v1/jobs/a/b", "/v1/jobs/a%2fb", "/v1/jobs/a%00",
        "/v1/jobs/%", "/v1/jobs/%4", "/v1/jobs/%zz", "", "/v1//jobs/a", "v1/jobs/a"}) {
    EXPECT_EQ(match_path("/v1/jobs/{id}", path), std::nullopt) << path;
  }
  EXPECT_EQ(match_path("/v1/jobs/{id}/outputs/{path...}", "/v1/jobs/j/outputs/"), std::nullopt);
  EXPECT_EQ(match_path("/v1/jobs/{id}/outputs/{path...}", "/v1/jobs/j/outputs"), std::nullopt);
}

}  // namespace
}  // namespace airlock::http
