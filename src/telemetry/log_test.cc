#include "telemetry/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <boost/json/parse.hpp>

namespace airlock::telemetry {
namespace {

class LogTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::pipe(pipe_.data()), 0); }
  void TearDown() override {
    ::close(pipe_[0]);
    ::close(pipe_[1]);
  }
  std::string read_all() {
    std::array<char, 4096> buffer;
    const ssize_t count = ::read(pipe_[0], buffer.data(), buffer.size());
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
  }
  std::array<int, 2> pipe_{};
};

TEST_F(LogTest, ALineIsOneObjectWhateverIsInIt) {
  Log(pipe_[1]).info("run.finish", {{"text", "two\nlines \"quoted\" \x01"}, {"ms", 1.5}});
  const std::string line = read_all();
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto value = boost::json::parse(line).as_object();
  EXPECT_EQ(value.at("event"), "run.finish");
  EXPECT_EQ(value.at("level"), "info");
  EXPECT_EQ(value.at("text"), "two\nlines \"quoted\" \x01");
  EXPECT_EQ(value.at("ts").as_string().size(), 24u);
}

TEST_F(LogTest, WhatIsBelowTheLevelIsLeftOut) {
  const Log log(pipe_[1], Level::kWarning);
  log.info("left.out");
  log.warning("kept");
  const std::string lines = read_all();
  EXPECT_NE(lines.find("\"kept\""), std::string::npos);
  EXPECT_EQ(lines.find("left.out"), std::string::npos);
}

TEST_F(LogTest, AReaderThatDoesNotReadStopsNobody) {
  const Log log(pipe_[1]);
  const std::string much(1'000, 'x');
  for (int line = 0; line < 1'000; ++line) log.info("much", {{"text", much}});  // or hangs
  EXPECT_FALSE(read_all().empty());
}

}  // namespace
}  // namespace airlock::telemetry
