#include "runner/jobs/job_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

namespace airlock::runner {
namespace {

namespace fs = std::filesystem;

std::string record(std::uint64_t time, char stream, const std::string& bytes) {
  std::string text(kLogHeaderBytes, '\0');
  const auto length = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(text.data(), &time, sizeof time);
  text[8] = stream;
  std::memcpy(text.data() + 12, &length, sizeof length);
  return text + bytes;
}

class JobLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("job_log." + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path file() const { return folder_ / "a.log"; }
  void append(const std::string& text) const {
    std::ofstream(file(), std::ios::binary | std::ios::app) << text;
  }

  fs::path folder_;
};

TEST_F(JobLogTest, RecordsAreReadFromWhereOneIs) {
  append(record(5, 1, "one\n") + record(6, 2, "two\n"));
  auto piece = read_log(file(), 0, 1);
  ASSERT_TRUE(piece.has_value());
  ASSERT_EQ(piece->records.size(), 1u);
  EXPECT_EQ(piece->records[0].bytes, "one\n");
  EXPECT_EQ(piece->records[0].time.time_since_epoch().count(), 5);
  piece = read_log(file(), piece->next, 1'000);
  ASSERT_EQ(piece->records.size(), 1u);
  EXPECT_EQ(piece->records[0].stream, LogStream::kStderr);
  piece = read_log(file(), piece->next, 1'000);
  EXPECT_TRUE(piece->records.empty());
}

TEST_F(JobLogTest, ARecordThatIsNotWholeIsNotThereYet) {
  const std::string whole = record(5, 1, "hello");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    fs::remove(file());
    append(whole.substr(0, size));
    const auto piece = read_log(file(), 0, 1'000);
    ASSERT_TRUE(piece.has_value()) << size;
    EXPECT_TRUE(piece->records.empty()) << size;
    EXPECT_EQ(piece->next, 0u);
  }
}

TEST_F(JobLogTest, WhatIsNoRecordIsAnError) {
  append(record(5, 9, "x"));
  EXPECT_FALSE(read_log(file(), 0, 1'000).has_value());
  fs::remove(file());
  std::string huge = record(5, 1, "x");
  huge[15] = 0x7f;  // a length of 2 GiB
  append(huge);
  EXPECT_FALSE(read_log(file(), 0, 1'000).has_value());
}

TEST_F(JobLogTest, AFileThatIsMissingIsEmpty) {
  const auto piece = read_log(file(), 0, 1'000);
  ASSERT_TRUE(piece.has_value());
  EXPECT_TRUE(piece->records.empty());
}

TEST_F(JobLogTest, NoticesAreNoLinesOfTheProgram) {
  append(record(1, 2, "fatal: it broke\n"));
  ASSERT_TRUE(append_notice(file(), model::WallTime(std::chrono::microseconds(2)), "our word"));
  EXPECT_EQ(last_line(file(), 100), "fatal: it broke");
  EXPECT_EQ(read_text(file(), 100).value(), "fatal: it broke\n");
  const auto piece = read_log(file(), 0, 1'000);
  ASSERT_EQ(piece->records.size(), 2u);
  EXPECT_EQ(piece->records[1].stream, LogStream::kNotice);
  EXPECT_EQ(piece->records[1].bytes, "our word");
}

TEST_F(JobLogTest, TheLastLineIsTheLastThatSaysSomething) {
  append(record(1, 1, "first\nsec") + record(2, 1, "ond\n\n\r\n"));
  EXPECT_EQ(last_line(file(), 100), "second");
  append(record(3, 1, "0123456789"));
  EXPECT_EQ(last_line(file(), 4), "0123");
}

TEST_F(JobLogTest, StreamsAreBoundedAndApart) {
  append(record(1, 1, "out") + record(2, 2, "err") + record(3, 1, "put"));
  EXPECT_EQ(read_stream(file(), LogStream::kStdout, 100).value(), "output");
  EXPECT_EQ(read_stream(file(), LogStream::kStdout, 4).value(), "outp");
  EXPECT_EQ(read_text(file(), 100).value(), "outerrput");
}

}  // namespace
}  // namespace airlock::runner
