#include "apps/airlock/serve_aliases.h"

#include <gtest/gtest.h>

#include "apps/airlock/serve_options.h"

namespace airlock::apps {
namespace {

using config::Environment;

ServeConfig config_of(const Environment& environment, std::vector<std::string> words = {}) {
  auto read = read_serve_config(std::move(words), environment);
  EXPECT_TRUE(read) << read.error().message;
  return std::get<ServeConfig>(std::move(*read));
}

std::string refused(const Environment& environment, std::vector<std::string> words = {}) {
  const auto read = read_serve_config(std::move(words), environment);
  EXPECT_FALSE(read);
  return read ? "" : read.error().message + " | " + read.error().hint;
}

std::string reason_of(const ServeConfig& config, std::string_view variable) {
  for (const Notice& notice : config.notices) {
    if (notice.variable == variable) return notice.reason;
  }
  return "";
}

// Every variable of that runner, with the value that it has by default.
const Environment kAmonDefaults = {{"AMON_SANDBOX_HOST", "127.0.0.1"},
                                   {"AMON_SANDBOX_PORT", "8088"},
                                   {"AMON_SANDBOX_MAX_CONCURRENCY", "4"},
                                   {"AMON_SANDBOX_API_KEY", ""},
                                   {"AMON_SANDBOX_JOBS_DIR", ".sandbox_jobs"},
                                   {"AMON_SANDBOX_MAX_CODE_BYTES", "131072"},
                                   {"AMON_SANDBOX_MAX_FILE_COUNT", "32"},
                                   {"AMON_SANDBOX_MAX_SINGLE_FILE_BYTES", "2097152"},
                                   {"AMON_SANDBOX_MAX_INPUT_TOTAL_BYTES", "8388608"},
                                   {"AMON_SANDBOX_MAX_OUTPUT_TOTAL_BYTES", "8388608"},
                                   {"AMON_SANDBOX_IMAGE", "amon-sandbox-python:latest"},
                                   {"AMON_SANDBOX_PIDS_LIMIT", "128"},
                                   {"AMON_SANDBOX_CPUS", "1.0"},
                                   {"AMON_SANDBOX_MEMORY", "512m"},
                                   {"AMON_SANDBOX_MEMORY_SWAP", "512m"},
                                   {"AMON_SANDBOX_TMPFS_SIZE", "64m"}};

TEST(ServeAliasesTest, TheDefaultsOfAmonsRunnerSimplyWork) {
  const ServeConfig config = config_of(kAmonDefaults);
  const auto options = make_serve_options(config.values);
  ASSERT_TRUE(options) << options.error().message;
  const http::AmonLimits known;
  EXPECT_EQ(options->slots, 4u);
  EXPECT_EQ(options->amon.memory, known.memory);
  EXPECT_EQ(options->amon.disk, known.disk);
  EXPECT_EQ(options->amon.body_bytes_max, known.body_bytes_max);
  EXPECT_EQ(config.notices.size(), 1u);
  EXPECT_NE(reason_of(config, "AMON_SANDBOX_JOBS_DIR"), "");
}

TEST(ServeAliasesTest, EveryVariableOfAmonsRunnerIsObeyed) {
  const ServeConfig config = config_of({{"AMON_SANDBOX_HOST", "::1"},
                                        {"AMON_SANDBOX_PORT", "9999"},
                                        {"AMON_SANDBOX_MAX_CONCURRENCY", "7"},
                                        {"AMON_SANDBOX_MAX_CODE_BYTES", "10"},
                                        {"AMON_SANDBOX_MAX_FILE_COUNT", "11"},
                                        {"AMON_SANDBOX_MAX_SINGLE_FILE_BYTES", "12"},
                                        {"AMON_SANDBOX_MAX_INPUT_TOTAL_BYTES", "13"},
                                        {"AMON_SANDBOX_MAX_OUTPUT_TOTAL_BYTES", "14"},
                                        {"AMON_SANDBOX_PIDS_LIMIT", "15"},
                                        {"AMON_SANDBOX_CPUS", "2.5"},
                                        {"AMON_SANDBOX_MEMORY", "1g"},
                                        {"AMON_SANDBOX_MEMORY_SWAP", "1024m"},
                                        {"AMON_SANDBOX_TMPFS_SIZE", "32m"}});
  const auto options = make_serve_options(config.values);
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->listen[0].host, "::1");
  EXPECT_EQ(options->listen[0].port, 9999);
  EXPECT_EQ(config.values.of("listen").origin, "AMON_SANDBOX_HOST, AMON_SANDBOX_PORT");
  EXPECT_EQ(options->slots, 7u);
  EXPECT_EQ(options->amon.code_bytes_max, 10u);
  EXPECT_EQ(options->amon.files_max, 11u);
  EXPECT_EQ(options->amon.file_bytes_max, 12u);
  EXPECT_EQ(options->amon.input_bytes_max, 13u);
  EXPECT_EQ(options->amon.output_bytes_max, 14u);
  EXPECT_EQ(options->amon.pids, 15u);
  EXPECT_EQ(options->amon.cpu_rate_percent, 250u);
  EXPECT_EQ(options->amon.memory, base::gibibytes(1));
  EXPECT_EQ(options->amon.disk, base::mebibytes(32));
  EXPECT_TRUE(config.notices.empty());
}

TEST(ServeAliasesTest, WhatAmonsRunnerCouldAndWeCannotIsRefused) {
  EXPECT_NE(refused({{"AMON_SANDBOX_IMAGE", "own:1"}}).find("/usr of this host"),
            std::string::npos);
  for (const char* const swap : {"1g", "-1", "0", "256m", "much"}) {
    EXPECT_NE(refused({{"AMON_SANDBOX_MEMORY_SWAP", swap}}).find("no swap"), std::string::npos)
        << swap;
  }
}

TEST(ServeAliasesTest, OurOwnNameWinsOverAnAlias) {
  const Environment both = {{"AIRLOCK_SLOTS", "3"}, {"AMON_SANDBOX_MAX_CONCURRENCY", "4"}};
  EXPECT_EQ(config_of(both).values.text("slots"), "3");
  EXPECT_EQ(config_of(both, {"--slots", "2"}).values.text("slots"), "2");
  EXPECT_EQ(config_of({{"AIRLOCK_LISTEN", "http://127.0.0.1:1"}, {"AMON_SANDBOX_PORT", "2"}})
                .values.text("listen"),
            "http://127.0.0.1:1");
}

// As the README and the manifests of the executor have them.
const Environment kSwissbrainDefaults = {{"PORT", "8000"},
                                         {"HOST", "0.0.0.0"},
                                         {"NODE_ENV", "production"},
                                         {"MAX_MEMORY", "2Gi"},
                                         {"MAX_CPU", "1000m"},
                                         {"MAX_EXECUTION_TIME", "300s"},
                                         {"ENABLE_NETWORK", "false"},
                                         {"ALLOWED_DOMAINS", "github.com,npmjs.com"},
                                         {"SUPABASE_URL", "https://x.supabase.co"},
                                         {"SUPABASE_SERVICE_KEY", "a-secret"},
                                         {"DEBUG", "false"},
                                         {"LOG_LEVEL", "info"},
                                         {"LOG_FORMAT", "json"},
                                         {"ENABLE_METRICS", "true"},
                                         {"ENABLE_TRACING", "false"},
                                         {"ENABLE_DEBUG", "false"},
                                         {"REQUEST_TIMEOUT", "30s"},
                                         {"CONNECTION_TIMEOUT", "10s"},
                                         {"KEEPALIVE_TIMEOUT", "60s"},
                                         {"RATE_LIMIT_ENABLED", "true"},
                                         {"RATE_LIMIT_MAX_REQUESTS", "1000"},
                                         {"RATE_LIMIT_WINDOW", "60s"},
                                         {"HEALTH_CHECK_INTERVAL", "10s"},
                                         {"HEALTH_CHECK_TIMEOUT", "5s"},
                                         {"POD_NAME", "sandbox-0"}};

TEST(ServeAliasesTest, NamesThatEveryShellExportsMeanNothingUnlessAsked) {
  const ServeConfig config = config_of(kSwissbrainDefaults);
  EXPECT_FALSE(config.values.is_set("listen"));
  EXPECT_FALSE(config.values.is_set("max_memory"));
  EXPECT_TRUE(config.notices.empty());
}

TEST(ServeAliasesTest, TheVariablesOfTheExecutorAreObeyedOrNamed) {
  Environment environment = kSwissbrainDefaults;
  environment["AIRLOCK_COMPAT"] = "swissbrain";
  const ServeConfig config = config_of(environment);
  const auto options = make_serve_options(config.values);
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->listen[0].host, "0.0.0.0");
  EXPECT_EQ(options->listen[0].port, 8000);
  EXPECT_EQ(options->limits.limits_max.memory, base::gibibytes(2));
  EXPECT_EQ(options->limits.limits_max.cpu_rate_percent, 100u);
  EXPECT_EQ(options->limits.limits_max.wall_time, std::chrono::seconds(300));
  EXPECT_EQ(options->swissbrain.maxima.memory, base::gibibytes(2));
  EXPECT_EQ(options->server.session.body_max, std::chrono::seconds(30));
  EXPECT_EQ(options->server.session.idle_max, std::chrono::seconds(60));
  EXPECT_EQ(options->log_level, telemetry::Level::kInfo);
  for (const char* const name :
       {"ALLOWED_DOMAINS", "ENABLE_METRICS", "NODE_ENV", "SUPABASE_URL", "SUPABASE_SERVICE_KEY",
        "RATE_LIMIT_ENABLED", "RATE_LIMIT_WINDOW", "HEALTH_CHECK_INTERVAL", "POD_NAME"}) {
    EXPECT_NE(reason_of(config, name), "") << name;
  }
  for (const char* const name : {"ENABLE_NETWORK", "ENABLE_TRACING", "DEBUG", "PORT"}) {
    EXPECT_EQ(reason_of(config, name), "") << name;
  }
  for (const Notice& notice : config.notices) {
    EXPECT_EQ(notice.reason.find("a-secret"), std::string::npos);
  }
}

TEST(ServeAliasesTest, DomainsOfTheExecutorAreHostsWithWhatLiesBelow) {
  const std::vector<std::string> compat = {"--compat", "swissbrain"};
  const ServeConfig config = config_of(
      {{"ENABLE_NETWORK", "true"}, {"ALLOWED_DOMAINS", "github.com, *.npmjs.com"}}, compat);
  const auto options = make_serve_options(config.values);
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_TRUE(options->swissbrain.network);
  for (const char* host : {"github.com", "api.github.com", "npmjs.com", "registry.npmjs.com"}) {
    EXPECT_TRUE(options->swissbrain.egress.judge({host, 443, false}).allowed) << host;
  }
  EXPECT_FALSE(options->swissbrain.egress.judge({"example.com", 443, false}).allowed);
  EXPECT_FALSE(make_serve_options(config_of({{"ENABLE_NETWORK", "true"}}, compat).values));
  const ServeConfig unused = config_of({{"ALLOWED_DOMAINS", "github.com"}}, compat);
  const auto off = make_serve_options(unused.values);
  ASSERT_TRUE(off);
  EXPECT_FALSE(off->swissbrain.network);
  EXPECT_TRUE(off->limits.egress.allows_nothing());
}

TEST(ServeAliasesTest, WhatTheExecutorCouldAndWeCannotIsRefused) {
  const std::vector<std::string> compat = {"--compat", "swissbrain"};
  EXPECT_NE(refused({{"ENABLE_NETWORK", "perhaps"}}, compat).find("neither"), std::string::npos);
  EXPECT_NE(refused({{"LOG_FORMAT", "text"}}, compat).find("JSON"), std::string::npos);
  EXPECT_NE(refused({{"MAX_MEMORY", "2 Gi"}}, compat).find("MAX_MEMORY"), std::string::npos);
  EXPECT_NE(refused({{"MAX_CPU", "0"}}, compat).find("MAX_CPU"), std::string::npos);
}

TEST(ServeAliasesTest, LevelsHaveTheNamesOfBoth) {
  const std::vector<std::string> compat = {"--compat", "swissbrain"};
  EXPECT_EQ(config_of({{"LOG_LEVEL", "WARN"}}, compat).values.text("log_level"), "warning");
  EXPECT_EQ(config_of({{"LOG_LEVEL", "error"}, {"DEBUG", "true"}}, compat).values.text("log_level"),
            "debug");
  EXPECT_EQ(config_of({}, compat).values.text("listen"), "http://127.0.0.1:8000");
}

TEST(ServeAliasesTest, AMistypedVariableIsNamedWithTheNearest) {
  const ServeConfig config = config_of({{"AIRLOCK_SLOTZ", "3"},
                                        {"AMON_SANDBOX_MEMRY", "1g"},
                                        {"AIRLOCK_JAIL", "/x"},
                                        {"AIRLOCK_TEST_SLOW", "2"},
                                        {"HOME", "/root"}});
  ASSERT_EQ(config.notices.size(), 2u);
  EXPECT_NE(reason_of(config, "AIRLOCK_SLOTZ").find("\"AIRLOCK_SLOTS\""), std::string::npos);
  EXPECT_NE(reason_of(config, "AMON_SANDBOX_MEMRY").find("\"AMON_SANDBOX_MEMORY\""),
            std::string::npos);
}

}  // namespace
}  // namespace airlock::apps
