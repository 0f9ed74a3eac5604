#include "http/run_limits.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

ApiResult<model::LimitsGiven> read(const std::string& limits, const RunLimitsPolicy& policy = {}) {
  const auto value = parse_json(R"({"limits":)" + limits + "}");
  EXPECT_TRUE(value.has_value());
  return read_limits(*JsonObject::from(*value, ""), policy);
}

TEST(RunLimitsTest, EveryLimitArrivesInItsField) {
  const auto given =
      read(R"({"wall_ms":1000,"cpu_ms":2e3,"memory_bytes":67108864,"pids":5,"output_bytes":0,)"
           R"("disk_bytes":1048576,"files":64,"cpus":1.5})");
  ASSERT_TRUE(given.has_value()) << given.error().message;
  EXPECT_EQ(given->wall_time, std::chrono::seconds(1));
  EXPECT_EQ(given->cpu_time, std::chrono::seconds(2));
  EXPECT_EQ(given->memory, base::mebibytes(64));
  EXPECT_EQ(given->pids, 5u);
  EXPECT_EQ(given->output, base::ByteCount(0));
  EXPECT_EQ(given->disk, base::mebibytes(1));
  EXPECT_EQ(given->inodes, 64u);
  EXPECT_EQ(given->cpu_rate_percent, 150u);
  EXPECT_EQ(given->open_files, std::nullopt);
}

TEST(RunLimitsTest, NothingAskedForGivesNothing) {
  for (const char* limits : {"{}", "null", R"({"pids":null})"}) {
    const auto given = read(limits);
    ASSERT_TRUE(given.has_value());
    EXPECT_EQ(given->over({}), model::Limits{});
  }
}

TEST(RunLimitsTest, MoreThanTheOperatorAllowsIsRefusedWithFieldValueAndMaximum) {
  RunLimitsPolicy policy;
  policy.limits_max.pids = 40;
  policy.limits_max.cpu_rate_percent = 250;
  const auto refused = read(R"({"pids":41})", policy);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().status, 400);
  EXPECT_EQ(refused.error().field, "limits.pids");
  EXPECT_EQ(refused.error().message,
            "limits.pids is 41; it must be a whole number between 1 and 40");
  EXPECT_TRUE(read(R"({"pids":40})", policy).has_value());
  EXPECT_EQ(read(R"({"cpus":2.51})", policy).error().message,
            "limits.cpus is 2.51; it must be a number of cores between 0.01 and 2.5");
  EXPECT_TRUE(read(R"({"cpus":2.5})", policy).has_value());
}

TEST(RunLimitsTest, ValuesThatMakeNoSenseAreRefusedByName) {
  for (const char* key : {"wall_ms", "cpu_ms", "memory_bytes", "pids", "output_bytes", "disk_bytes",
                          "files", "cpus"}) {
    for (const char* value : {"-1", "1e300", "\"5\"", "true", "[]", "18446744073709551616"}) {
      const auto given = read(std::string("{\"") + key + "\":" + value + "}");
      ASSERT_FALSE(given.has_value()) << key << " " << value;
      EXPECT_EQ(given.error().field, std::string("limits.") + key);
    }
  }
  EXPECT_FALSE(read(R"({"wall_ms":0})").has_value());
  EXPECT_FALSE(read(R"({"cpus":0})").has_value());
  EXPECT_EQ(read(R"({"memory":1})").error().message, "unknown key \"memory\" in limits");
  EXPECT_EQ(read(R"({"pid":1})").error().message,
            "unknown key \"pid\" in limits; did you mean \"pids\"?");
}

TEST(RunLimitsTest, ADefaultAboveTheMaximumIsLowered) {
  RunLimitsPolicy policy;
  policy.limits_max.wall_time = std::chrono::seconds(3);
  policy.limits_max.cpu_rate_percent = 100;
  const model::Limits planned;
  const model::Limits limits = capped(planned, {}, policy).over(planned);
  EXPECT_EQ(limits.wall_time, std::chrono::seconds(3));
  EXPECT_EQ(limits.cpu_rate_percent, 100u);
  EXPECT_EQ(limits.memory, planned.memory);
  EXPECT_EQ(capped(planned, {}, {}).over(planned), planned);
}

TEST(RunLimitsTest, APolicyOutsideOfWhatIsPossibleIsAnError) {
  EXPECT_TRUE(validate(RunLimitsPolicy{}).has_value());
  RunLimitsPolicy policy;
  policy.limits_max.pids = 0;
  EXPECT_FALSE(validate(policy).has_value());
  policy = {};
  policy.body_bytes_max = base::ByteCount(10);
  EXPECT_FALSE(validate(policy).has_value());
}

}  // namespace
}  // namespace airlock::http
