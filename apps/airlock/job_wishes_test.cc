#include "apps/airlock/job_wishes.h"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

namespace airlock::apps {
namespace {

std::string request_of(std::string_view yaml) {
  const auto wishes = parse_job_yaml(yaml, "job.yaml");
  if (!wishes) return wishes.error().message;
  const auto request = make_request(*wishes);
  return request ? boost::json::serialize(*request) : request.error().message;
}

TEST(JobWishesTest, AFileSaysEverythingThatARequestHas) {
  const std::string text = request_of(
      "repo: https://github.com/a/b\nbranch: dev\ncommit: abc1234\npath: p\n"
      "weight_class: 2xH200\ninput: s3://b/i\noutput: s3://b/o/\npriority: 3\n"
      "miner_hotkey: m\nvalidator_hotkey: v\nchallenge: c\ncpu_cores: 1.5\nmemory: 1.5g\n"
      "disk: 512m\nprep_timeout: 10m\ninference_timeout: 90\nmin_isolation: container\n"
      "idempotency_key: k\nenv:\n  A: b\n  EMPTY: ''\n");
  EXPECT_EQ(text,
            R"({"repo_url":"https://github.com/a/b","repo_branch":"dev","repo_commit":"abc1234",)"
            R"("repo_path":"p","weight_class":"2xH200","input_data_s3_path":"s3://b/i",)"
            R"("output_data_s3_path":"s3://b/o/","priority":3,"miner_hotkey":"m",)"
            R"("validator_hotkey":"v","challenge":"c","cpu_cores":1.5E0,"memory_gb":1.5E0,)"
            R"("disk_quota_gb":5E-1,"prep_timeout_seconds":600,"inference_timeout_seconds":90,)"
            R"("min_isolation":"container","custom_env_vars":{"A":"b","EMPTY":""}})");
}

TEST(JobWishesTest, AJobWithoutAClassHasNoGpu) {
  EXPECT_EQ(request_of("repo: u\n"), R"({"repo_url":"u","weight_class":"0x"})");
}

TEST(JobWishesTest, WhatIsWrongIsSaidWithItsPlaceAndTheNearestName) {
  EXPECT_EQ(request_of("repo: u\nbrnach: x\n"),
            "job.yaml:2:1: unknown key \"brnach\" in a job; did you mean \"branch\"?");
  EXPECT_EQ(request_of("repo_url: u\n"), "job.yaml:1:1: \"repo_url\" is called \"repo\" here");
  EXPECT_EQ(request_of("custom_env_vars: {}\n"),
            "job.yaml:1:1: \"custom_env_vars\" is called \"env\" here");
  EXPECT_TRUE(request_of("repo: u\nmemory: lots\n").starts_with("job.yaml:2:9: \"lots\""));
  EXPECT_TRUE(request_of("repo: u\npriority: -1\n").starts_with("job.yaml:2:11: \"-1\""));
  EXPECT_TRUE(request_of("repo: u\npriority: 5000000000\n").starts_with("job.yaml:2:11"));
  EXPECT_TRUE(request_of("repo: u\ncpu_cores: inf\n").starts_with("job.yaml:2:12: \"inf\""));
  EXPECT_TRUE(request_of("repo: u\nprep_timeout: 500ms\n").starts_with("job.yaml:2:15"));
  EXPECT_TRUE(request_of("repo: [a]\n").starts_with("job.yaml:1:7: repo must be text"));
  EXPECT_NE(request_of("repo:\n").find("repo must be text"), std::string::npos);
  EXPECT_TRUE(request_of("repo: u\nenv: [A]\n").starts_with("job.yaml:2:6: env must be"));
  EXPECT_TRUE(request_of("[a]\n").starts_with("job.yaml:1:1: a job must be a mapping"));
  EXPECT_EQ(request_of("{}"), "no repository is named");
}

TEST(JobWishesTest, VariablesAreNamesAndValues) {
  JobWishes wishes;
  EXPECT_TRUE(add_variable("A=b=c", wishes));
  EXPECT_TRUE(add_variable("E=", wishes));
  EXPECT_EQ(wishes.environment.at("A").text, "b=c");
  EXPECT_EQ(wishes.environment.at("E").text, "");
  EXPECT_FALSE(add_variable("A", wishes));
  EXPECT_FALSE(add_variable("=b", wishes));
}

TEST(JobWishesTest, EveryFieldHasAFlagOfItsName) {
  for (const JobField& field : job_fields()) {
    EXPECT_TRUE(flag_of(field).starts_with("--"));
    EXPECT_EQ(flag_of(field).find('_'), std::string::npos);
    EXPECT_FALSE(field.help.empty());
  }
}

}  // namespace
}  // namespace airlock::apps
