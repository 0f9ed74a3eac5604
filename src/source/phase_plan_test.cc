#include "source/phase_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace airlock::source {
namespace {

model::JobRecord record() {
  model::JobRecord made;
  made.id = "job_0123456789ab";
  made.spec.input_uri = "s3://bucket/in";
  made.spec.output_uri = "s3://bucket/out";
  made.gpus = {{4, "GPU-4"}, {6, "GPU-6"}};
  return made;
}

bool has(const PhasePlan& plan, const std::string& entry) {
  return std::ranges::find(plan.env, entry) != plan.env.end();
}

TEST(PhasePlanTest, TheDefaultIsTheContract) {
  const PhasePlan plan = make_phase_plan(Phase::kInference, record(), {}, std::nullopt);
  EXPECT_EQ(plan.argv, (Command{"python3", "inference.py", "--phase", "inference", "--input",
                                "/input", "--output", "/output"}));
  EXPECT_EQ(plan.cwd, "/workspace");
  for (const char* entry :
       {"PHASE=inference", "JOB_ID=job_0123456789ab", "INPUT_S3_PATH=s3://bucket/in",
        "OUTPUT_S3_PATH=s3://bucket/out", "CUDA_VISIBLE_DEVICES=0,1"}) {
    EXPECT_TRUE(has(plan, entry)) << entry;
  }
  EXPECT_EQ(make_phase_plan(Phase::kPrep, record(), {}, std::nullopt).argv[3], "prep");
}

TEST(PhasePlanTest, WithoutGpusTheListIsEmpty) {
  model::JobRecord none = record();
  none.gpus.clear();
  EXPECT_TRUE(has(make_phase_plan(Phase::kPrep, none, {}, std::nullopt), "CUDA_VISIBLE_DEVICES="));
}

TEST(PhasePlanTest, WhatTheBuildMadeComesFirst) {
  BuildPlan build;
  build.run_path = {"/build/venv/bin"};
  build.run_env = {"VIRTUAL_ENV=/build/venv"};
  const PhasePlan plan = make_phase_plan(Phase::kPrep, record(), build, std::nullopt);
  EXPECT_TRUE(has(plan, "PATH=/build/venv/bin:/usr/local/bin:/usr/bin:/bin"));
  EXPECT_TRUE(has(plan, "VIRTUAL_ENV=/build/venv"));
}

TEST(PhasePlanTest, OwnVariablesWinButForTheProxies) {
  model::JobRecord job = record();
  job.spec.env = {{"PHASE", "mine"}, {"https_proxy", "http://evil"}, {"X", "1"}};
  const PhasePlan plan = make_phase_plan(Phase::kPrep, job, {}, std::nullopt);
  EXPECT_TRUE(has(plan, "PHASE=mine"));
  EXPECT_FALSE(has(plan, "PHASE=prep"));
  EXPECT_TRUE(has(plan, "X=1"));
  EXPECT_FALSE(has(plan, "https_proxy=http://evil"));
}

TEST(PhasePlanTest, AJobFileSaysSomethingElse) {
  JobFile file;
  file.inference = {"./solve"};
  model::JobRecord job = record();
  job.spec.repo_path = "solutions/a/";
  const PhasePlan plan = make_phase_plan(Phase::kInference, job, {}, file);
  EXPECT_EQ(plan.argv, Command{"./solve"});
  EXPECT_EQ(plan.cwd, "/workspace/solutions/a");
  EXPECT_TRUE(make_phase_plan(Phase::kPrep, job, {}, file).argv.empty());
}

TEST(CustomEnvTest, NamesAreThoseOfVariables) {
  EXPECT_TRUE(check_custom_env({{"A_1", "any\nvalue"}, {"_x", ""}}).has_value());
  for (const char* name : {"", "1A", "A-B", "A=B", "A B", "Ä"}) {
    EXPECT_FALSE(check_custom_env({{name, "x"}}).has_value()) << name;
  }
  for (const char* name : {"HTTP_PROXY", "https_proxy", "All_Proxy", "no_proxy", "AIRLOCK_X"}) {
    EXPECT_NE(check_custom_env({{name, "x"}}).error().message.find(name), std::string::npos);
  }
  EXPECT_FALSE(check_custom_env({{"A", std::string("a\0b", 3)}}).has_value());
}

TEST(CustomEnvTest, IsBounded) {
  std::map<std::string, std::string> many;
  for (std::size_t i = 0; i <= model::kJobEnvMax; ++i) many["V" + std::to_string(i)] = "";
  EXPECT_EQ(check_custom_env(many).error().code, base::ErrorCode::kLimitExceeded);
  EXPECT_EQ(check_custom_env({{"A", std::string(70'000, 'a')}}).error().code,
            base::ErrorCode::kLimitExceeded);
}

}  // namespace
}  // namespace airlock::source
