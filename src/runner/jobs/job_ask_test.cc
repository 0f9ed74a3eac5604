#include "runner/jobs/job_ask.h"

#include <gtest/gtest.h>

namespace airlock::runner {
namespace {

JobSettings large_host() {
  JobSettings settings;
  settings.host = {.gpus = 0,
                   .cpu_millis = 96'000,
                   .memory = base::gibibytes(1'024),
                   .disk = base::gibibytes(8'000)};
  return settings;
}

model::JobSpec of_class(const char* text) {
  model::JobSpec spec;
  spec.weight_class = model::parse_weight_class(text).value();
  return spec;
}

TEST(JobAskTest, AJobGetsThePartOfTheHostThatItsGpusAre) {
  const auto one = resources_of(of_class("1xH200"), large_host(), 8);
  EXPECT_EQ(one.gpus, 1u);
  EXPECT_EQ(one.cpu_millis, 12'000u);
  EXPECT_EQ(one.memory, base::gibibytes(128));
  const auto two = resources_of(of_class("2xH200"), large_host(), 8);
  EXPECT_EQ(two.cpu_millis, 24'000u);
  EXPECT_EQ(two.memory, base::gibibytes(256));
}

TEST(JobAskTest, EightOfEightFitAtOnceAndNeverMoreThanTheLimits) {
  const auto whole = resources_of(of_class("8xH200"), large_host(), 8);
  EXPECT_EQ(whole.cpu_millis, 32'000u);
  EXPECT_EQ(whole.memory, base::gibibytes(256));
  const auto one = resources_of(of_class("1xH200"), large_host(), 8);
  EXPECT_LE(one.cpu_millis * 8, large_host().host.cpu_millis);
  EXPECT_LE(one.memory.count() * 8, large_host().host.memory.count());
}

TEST(JobAskTest, ASmallHostIsNeverAskedForMoreThanItHas) {
  JobSettings settings;
  settings.host = {
      .gpus = 0, .cpu_millis = 2'000, .memory = base::mebibytes(200), .disk = base::gibibytes(1)};
  const auto ask = resources_of(of_class("0x"), settings, 0);
  EXPECT_EQ(ask.gpus, 0u);
  EXPECT_EQ(ask.cpu_millis, 500u);
  EXPECT_EQ(ask.memory, base::mebibytes(200));
  EXPECT_EQ(ask.disk, base::mebibytes(256));
}

TEST(JobAskTest, WhoAsksGetsWhatIsAskedForUpToTheLimits) {
  model::JobSpec spec = of_class("0x");
  spec.cpu_millis = 1'500;
  spec.memory = base::gibibytes(2);
  spec.disk = base::gibibytes(3);
  EXPECT_TRUE(check_wishes(spec, large_host()));
  const auto ask = resources_of(spec, large_host(), 8);
  EXPECT_EQ(ask.cpu_millis, 1'500u);
  EXPECT_EQ(ask.memory, base::gibibytes(2));
  EXPECT_EQ(ask.disk, base::gibibytes(3));
  spec.memory = base::gibibytes(257);
  const auto refused = check_wishes(spec, large_host());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("256 GiB"), std::string::npos) << refused.error().message;
}

TEST(JobAskTest, AlmostNothingOfACoreIsNoWayToAllOfThem) {
  model::JobSpec spec = of_class("0x");
  spec.cpu_millis = kCpuMillisMin - 1;
  EXPECT_FALSE(check_wishes(spec, large_host()));
  spec.cpu_millis = kCpuMillisMin;
  EXPECT_TRUE(check_wishes(spec, large_host()));
  EXPECT_EQ(cpu_rate_percent(0), 1u);
  EXPECT_EQ(cpu_rate_percent(kCpuMillisMin), 1u);
  EXPECT_EQ(cpu_rate_percent(2'500), 250u);
}

TEST(JobAskTest, FoldersAreTheOperatorsAndTheRefusalSaysHowToNameOne) {
  JobSettings settings = large_host();
  settings.file_roots = {"/srv/files"};
  model::JobSpec spec = of_class("0x");
  spec.input_uri = "file:///srv/files/in.csv";
  spec.output_uri = "s3://bucket/out/";
  EXPECT_TRUE(check_wishes(spec, settings));
  for (std::string model::JobSpec::* const uri :
       {&model::JobSpec::input_uri, &model::JobSpec::output_uri}) {
    model::JobSpec outside = spec;
    outside.*uri = "file:///etc/passwd";
    const auto refused = check_wishes(outside, settings);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("/etc/passwd"), std::string::npos);
    for (const char* const part :
         {"storage.file_roots names \"/srv/files\"", "AIRLOCK_STORAGE_FILE_ROOTS"}) {
      EXPECT_NE(refused.error().hint.find(part), std::string::npos) << refused.error().hint;
    }
  }
}

TEST(JobAskTest, TimeoutsAreTheOperatorsOrLess) {
  model::JobSpec spec = of_class("0x");
  spec.prep_timeout = std::chrono::seconds(10);
  const JobTimeouts timeouts = timeouts_of(spec, large_host());
  EXPECT_EQ(timeouts.prep, std::chrono::seconds(10));
  EXPECT_EQ(timeouts.inference, std::chrono::seconds(3'600));
  spec.prep_timeout = std::chrono::hours(3);
  EXPECT_FALSE(check_wishes(spec, large_host()));
}

}  // namespace
}  // namespace airlock::runner
