#include "jail/log_writer.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>

namespace airlock::jail {
namespace {

using base::UniqueFd;

struct Record {
  LogRecord head;
  std::string bytes;
};

class LogWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/log-writer-test-XXXXXX";
    file_.reset(mkostemp(path, O_APPEND | O_CLOEXEC));
    ASSERT_TRUE(file_.valid());
    unlink(path);
  }

  LogWriter make(std::uint64_t bytes_max) {
    LogWriter writer(UniqueFd(dup(file_.get())), bytes_max);
    EXPECT_EQ(writer.open(ends_, -1), 0);
    return writer;
  }
  void say(std::size_t stream, std::string_view text) {
    ASSERT_EQ(write(ends_[stream].get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
  std::uint64_t file_size() const {
    struct stat status{};
    EXPECT_EQ(fstat(file_.get(), &status), 0);
    return static_cast<std::uint64_t>(status.st_size);
  }
  // All of the file, which must be whole records.
  std::vector<Record> records() const {
    std::vector<Record> found;
    std::string bytes(file_size(), '\0');
    EXPECT_EQ(pread(file_.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
    std::string_view rest = bytes;
    while (rest.size() >= sizeof(LogRecord)) {
      Record record;
      std::memcpy(&record.head, rest.data(), sizeof record.head);
      rest.remove_prefix(sizeof record.head);
      EXPECT_LE(record.head.length, rest.size());
      record.bytes = rest.substr(0, record.head.length);
      rest.remove_prefix(record.bytes.size());
      found.push_back(std::move(record));
    }
    EXPECT_TRUE(rest.empty());
    return found;
  }

  UniqueFd file_;
  UniqueFd ends_[LogWriter::kStreams];
};

TEST_F(LogWriterTest, ARecordBearsStreamTimeAndBytes) {
  LogWriter writer = make(1'000);
  say(0, "out");
  say(1, "error");
  writer.read_some(1);
  writer.read_some(0);
  const auto found = records();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].head.stream, 2);
  EXPECT_EQ(found[0].bytes, "error");
  EXPECT_EQ(found[1].head.stream, 1);
  EXPECT_EQ(found[1].bytes, "out");
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  EXPECT_LE(found[1].head.unix_us / 1'000'000, static_cast<std::uint64_t>(now.tv_sec));
  EXPECT_GE(found[1].head.unix_us / 1'000'000 + 60, static_cast<std::uint64_t>(now.tv_sec));
  EXPECT_EQ(writer.counts().written, 8u);
}

TEST_F(LogWriterTest, OneCallReadsOnceAndNothingIsNoEnd) {
  LogWriter writer = make(1u << 20);
  writer.read_some(0);
  EXPECT_GE(writer.poll_fd(0), 0);
  ASSERT_EQ(fcntl(ends_[0].get(), F_SETPIPE_SZ, 256 * 1024), 256 * 1024);
  say(0, std::string(200'000, 'x'));
  writer.read_some(0);
  EXPECT_EQ(writer.counts().written, kLogBytesPerRead);
  ends_[0].reset();
  writer.drain();
  EXPECT_EQ(writer.counts().written, 200'000u);
  EXPECT_EQ(writer.poll_fd(0), -1);
}

TEST_F(LogWriterTest, TheLastRecordIsCutAtTheBoundAndANoteFollows) {
  LogWriter writer = make(100);
  say(0, std::string(60, 'a'));
  writer.read_some(0);
  say(1, std::string(60, 'b'));
  writer.read_some(1);
  say(0, "lost");
  writer.read_some(0);
  const auto found = records();
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[1].bytes, std::string(100 - 60 - 2 * sizeof(LogRecord), 'b'));
  EXPECT_EQ(found[2].head.stream, 0);
  EXPECT_TRUE(writer.counts().truncated);
  EXPECT_EQ(writer.counts().written + writer.counts().dropped, 124u);
}

TEST_F(LogWriterTest, WhoDropsPausesAndThenGoesOn) {
  LogWriter writer = make(20);
  say(0, std::string(100, 'a'));
  writer.read_some(0);
  EXPECT_EQ(writer.poll_fd(0), -1);
  ASSERT_TRUE(writer.next_check_ns().has_value());
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_GE(writer.poll_fd(0), 0);
  EXPECT_FALSE(writer.next_check_ns().has_value());
}

// A file that takes nothing beyond `bytes`, as on a full disk: the last write may be in part.
class FullAt {
 public:
  explicit FullAt(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullAt() { setrlimit(RLIMIT_FSIZE, &before_); }
  FullAt(const FullAt&) = delete;
  FullAt& operator=(const FullAt&) = delete;

 private:
  rlimit before_{};
};

TEST_F(LogWriterTest, WhatDoesNotFitOnTheDiskLeavesNoPartAndAGapThatIsTold) {
  LogWriter writer = make(1'000'000);
  say(0, "first");
  writer.read_some(0);
  {
    const FullAt full(50);  // the head of the next record, and some of its bytes
    say(0, std::string(40, 'x'));
    writer.read_some(0);
    say(1, std::string(40, 'y'));
    writer.read_some(1);
  }
  EXPECT_EQ(records().size(), 1u);
  EXPECT_EQ(writer.counts().os_errno, EFBIG);
  EXPECT_EQ(writer.counts().dropped, 80u);
  say(0, "last");
  writer.read_some(0);
  const auto found = records();
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[1].head.stream, 0);
  EXPECT_EQ(found[1].bytes.substr(0, 9), "80 bytes ");
  EXPECT_EQ(found[2].bytes, "last");
  EXPECT_FALSE(writer.counts().truncated);
}

TEST_F(LogWriterTest, AWriterThatLivesOnIsNotWaitedFor) {
  LogWriter writer = make(1'000'000);
  say(0, "said");
  writer.drain();  // the guest's end is open
  EXPECT_EQ(writer.counts().written, 4u);
  signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(write(ends_[0].get(), "x", 1), -1) << "and cannot write any more";
}

TEST_F(LogWriterTest, OnlyAFileToAppendToIsALogFile) {
  EXPECT_TRUE(is_log_file(file_.get()));
  EXPECT_FALSE(is_log_file(-1));
  int pipe_ends[2];
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  const UniqueFd read_end(pipe_ends[0]);
  const UniqueFd write_end(pipe_ends[1]);
  EXPECT_FALSE(is_log_file(write_end.get()));
  const std::pair<const char*, int> others[] = {
      {"/tmp", O_RDONLY | O_DIRECTORY},       {"/dev/null", O_WRONLY | O_APPEND},
      {"/proc/self/exe", O_RDONLY},           {"/proc/self/oom_score_adj", O_WRONLY | O_APPEND},
      {"/proc/self/comm", O_RDWR | O_APPEND}, {"/proc/self/exe", O_PATH}};
  for (const auto& [path, flags] : others) {
    const UniqueFd fd(open(path, flags | O_CLOEXEC));
    ASSERT_TRUE(fd.valid()) << path;
    EXPECT_FALSE(is_log_file(fd.get())) << path;
  }
}

}  // namespace
}  // namespace airlock::jail
