#include "http/job_request.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

std::string with(const std::string& member) {
  std::string text = R"({"repo_url":"https://github.com/a/b","weight_class":"1xH200")";
  if (!member.empty()) text += "," + member;
  return text + "}";
}

TEST(JobRequestTest, EveryFieldOfTheContractIsTaken) {
  const auto spec = parse_job_request(
      R"({"repo_url":"https://github.com/a/b","repo_branch":"dev","repo_commit":"abc1234",)"
      R"("repo_path":"solver","weight_class":"8xH200","input_data_s3_path":"s3://b/in/",)"
      R"("output_data_s3_path":"s3://b/out/","priority":10,"validator_hotkey":"5V",)"
      R"("miner_hotkey":"5M","custom_env_vars":{"A":"1","B_2":""},"use_vllm":false})");
  ASSERT_TRUE(spec.has_value()) << spec.error().message;
  EXPECT_EQ(spec->repo_url, "https://github.com/a/b");
  EXPECT_EQ(spec->repo_branch, "dev");
  EXPECT_EQ(spec->repo_commit, "abc1234");
  EXPECT_EQ(spec->repo_path, "solver");
  EXPECT_EQ(spec->weight_class.to_string(), "8xH200");
  EXPECT_EQ(spec->input_uri, "s3://b/in/");
  EXPECT_EQ(spec->output_uri, "s3://b/out/");
  EXPECT_EQ(spec->priority, 10u);
  EXPECT_EQ(spec->validator_hotkey, "5V");
  EXPECT_EQ(spec->miner_hotkey, "5M");
  EXPECT_EQ(spec->env, (std::map<std::string, std::string>{{"A", "1"}, {"B_2", ""}}));
}

TEST(JobRequestTest, WhatIsLeftOutHasTheDefaultsOfTheContract) {
  const auto spec = parse_job_request(with(R"("repo_commit":null,"validator_hotkey":null)"));
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(spec->repo_branch, "main");
  EXPECT_TRUE(spec->repo_commit.empty());
  EXPECT_EQ(spec->priority, 0u);
  EXPECT_FALSE(spec->memory.has_value());
}

TEST(JobRequestTest, WishesAreReadInTheUnitOfTheirNames) {
  const auto spec = parse_job_request(
      with(R"("cpu_cores":1.5,"memory_gb":0.5,"disk_quota_gb":2,"prep_timeout_seconds":60,)"
           R"("inference_timeout_seconds":61,"min_isolation":"kernel","challenge":"abc")"));
  ASSERT_TRUE(spec.has_value()) << spec.error().message;
  EXPECT_EQ(spec->cpu_millis, 1'500u);
  EXPECT_EQ(spec->memory, base::mebibytes(512));
  EXPECT_EQ(spec->disk, base::gibibytes(2));
  EXPECT_EQ(spec->prep_timeout, std::chrono::seconds(60));
  EXPECT_EQ(spec->inference_timeout, std::chrono::seconds(61));
  EXPECT_EQ(spec->min_isolation, model::IsolationLevel::kKernel);
  EXPECT_EQ(spec->challenge, "abc");
}

struct Refused {
  const char* member;
  const char* field;
};

class JobRequestRefusal : public ::testing::TestWithParam<Refused> {};

TEST_P(JobRequestRefusal, NamesTheFieldWithStatus422) {
  const auto spec = parse_job_request(with(GetParam().member));
  ASSERT_FALSE(spec.has_value());
  EXPECT_EQ(spec.error().status, 422);
  EXPECT_EQ(spec.error().field, GetParam().field) << spec.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Fields, JobRequestRefusal,
    ::testing::Values(
        Refused{R"("priority":11)", "priority"}, Refused{R"("priority":-1)", "priority"},
        Refused{R"("repo_branch":7)", "repo_branch"},
        Refused{R"("repo_branch":"a\nb")", "repo_branch"},
        Refused{R"("custom_env_vars":{"A=B":"x"})", "custom_env_vars"},
        Refused{R"("custom_env_vars":{"":"x"})", "custom_env_vars"},
        Refused{R"("custom_env_vars":{"1A":"x"})", "custom_env_vars"},
        Refused{R"("custom_env_vars":{"A":"a\u0000b"})", "custom_env_vars"},
        Refused{R"("custom_env_vars":{"A":1})", "custom_env_vars.A"},
        Refused{R"("use_vllm":true)", "use_vllm"}, Refused{R"("vllm_config":{})", "use_vllm"},
        Refused{R"("cpu_cores":0)", "cpu_cores"}, Refused{R"("memory_gb":1e300)", "memory_gb"},
        Refused{R"("prep_timeout_seconds":0)", "prep_timeout_seconds"},
        Refused{R"("min_isolation":"none")", "min_isolation"},
        Refused{R"("repo_brunch":"x")", "repo_brunch"}));

TEST(JobRequestTest, WhatIsRequiredIsNamed) {
  const auto no_url = parse_job_request(R"({"weight_class":"0x"})");
  ASSERT_FALSE(no_url.has_value());
  EXPECT_EQ(no_url.error().field, "repo_url");
  const auto no_class = parse_job_request(R"({"repo_url":"https://github.com/a/b"})");
  ASSERT_FALSE(no_class.has_value());
  EXPECT_EQ(no_class.error().field, "weight_class");
  const auto wrong = parse_job_request(R"({"repo_url":"x","weight_class":"3xH200"})");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().status, 422);
}

TEST(JobRequestTest, WhatIsTooLargeIsNotRead) {
  const auto large = parse_job_request(std::string(kJobBodyBytesMax + 1, ' '));
  ASSERT_FALSE(large.has_value());
  EXPECT_EQ(large.error().status, 413);
  const auto broken = parse_job_request("{");
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().status, 422);
}

TEST(JobRequestTest, BoundsHold) {
  const auto long_url = parse_job_request(R"({"weight_class":"0x","repo_url":")" +
                                          std::string(model::kJobUrlBytesMax + 1, 'a') + "\"}");
  ASSERT_FALSE(long_url.has_value());
  EXPECT_EQ(long_url.error().field, "repo_url");
  std::string many = R"("custom_env_vars":{)";
  for (std::size_t i = 0; i <= model::kJobEnvMax; ++i) {
    many += (i == 0 ? "" : ",") + ("\"V" + std::to_string(i) + "\":\"\"");
  }
  EXPECT_FALSE(parse_job_request(with(many + "}")).has_value());
}

}  // namespace
}  // namespace airlock::http
