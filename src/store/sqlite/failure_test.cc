// What the world does to the store: kills, full and read-only disks, locks, damage, a second owner.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include "store/sqlite/child.h"
#include "store/sqlite/database.h"
#include "store/sqlite/test_folder.h"

namespace airlock::store::sqlite {
namespace {

using base::ErrorCode;
using model::JobState;
using std::chrono::milliseconds;

base::Result<Submitted> submit_to(JobStore& store, model::JobSpec spec = make_spec()) {
  return wait_for(&JobStore::submit, store, {std::move(spec), "owner", {}});
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The first column of every row, one a line.
std::string answer_of(const TestFolder& folder, std::string_view sql) {
  auto database = Database::open(folder.database(), milliseconds(1'000));
  if (!database) return database.error().to_string();
  auto rows = (*database)->prepare(sql);
  std::string text;
  while (rows && rows->step().value_or(false)) text += rows->text(0) + "\n";
  return rows ? text : rows.error().to_string();
}

// Every job is whole, and everything that is kept beside the jobs fits them.
void expect_whole(const TestFolder& folder) {
  EXPECT_EQ(answer_of(folder, "PRAGMA integrity_check"), "ok\n");
  EXPECT_EQ(answer_of(folder,
                      "SELECT count(*) FROM jobs LEFT JOIN job_specs USING (seq) "
                      "WHERE spec IS NULL"),
            "0\n");
  EXPECT_EQ(answer_of(folder,
                      "SELECT count(*) FROM job_specs LEFT JOIN jobs USING (seq) "
                      "WHERE id IS NULL"),
            "0\n");
  EXPECT_EQ(answer_of(folder,
                      "SELECT count(*) FROM job_totals AS t WHERE jobs <> "
                      "(SELECT count(*) FROM jobs WHERE state = t.state)"),
            "0\n");
  EXPECT_EQ(answer_of(folder, "SELECT sum(jobs) - (SELECT count(*) FROM jobs) FROM job_counts"),
            "0\n");
}

// --- kill -9 -------------------------------------------------------------------------------------
// Submits without end, 64 at a time; every second job is claimed and ended. Says what was answered.
std::string submit_for_ever(const TestFolder& folder, Child& child) {
  SystemStore opened(folder);
  if (!opened.opened) return opened.opened.error().to_string();
  JobStore& store = **opened.opened;
  std::function<void(int)> next = [&](int i) {
    store.submit({make_spec(), "owner", {}}, [&, i](base::Result<Submitted> submitted) {
      if (!submitted) return;
      child.to_parent.say("+" + submitted->id + "\n");
      next(i + 1);
      if (i % 2 != 0) return;
      store.claim({submitted->id, "r", {}}, [&](base::Result<model::JobRecord> job) {
        JobChange change;
        change.state = JobState::kFailed;
        change.phases = {make_phase("clone")};
        store.update(
            {job->id, job->fencing_token}, change,
            [&, id = job->id](base::Result<JobHead>) { child.to_parent.say("-" + id + "\n"); });
      });
    });
  };
  for (int i = 0; i < 64; ++i) next(i);
  child.to_child.hear();
  return {};
}

TEST(StoreFailureTest, EverythingAnsweredOutlivesKillsAtRandomMoments) {
  const TestFolder folder;
  const auto seed = std::random_device()();
  RecordProperty("seed", static_cast<int>(seed));
  std::minstd_rand random(seed);
  std::vector<std::string> answered;
  for (int round = 0; round < 20; ++round) {
    Child child([&](Child& self) { return submit_for_ever(folder, self); });
    // Every fourth dies while it opens the store, perhaps; the others after their first answer.
    if (round % 4 != 0) answered.push_back(child.to_parent.hear());
    std::thread killer([&, delay = milliseconds(random() % 100)] {
      std::this_thread::sleep_for(delay);
      ::kill(child.pid(), SIGKILL);
    });
    for (std::string line = child.to_parent.hear(); !line.empty(); line = child.to_parent.hear()) {
      answered.push_back(line);
    }
    killer.join();
  }
  EXPECT_GE(answered.size(), 15U);
  SystemStore store(folder);
  ASSERT_TRUE(store.opened.has_value()) << store.opened.error().to_string();
  for (const std::string& line : answered) {
    ASSERT_TRUE(line.starts_with('+') || line.starts_with('-')) << line << ", seed " << seed;
    const auto job = wait_for(&JobStore::find, **store.opened, line.substr(1));
    ASSERT_TRUE(job.has_value() && job->has_value()) << line << ", seed " << seed;
    if (line.starts_with('-')) {
      EXPECT_EQ((*job)->state, JobState::kFailed) << line << ", seed " << seed;
      EXPECT_EQ((*job)->phases.size(), 1U);
    }
  }
  store.opened = base::fail(ErrorCode::kIo, "closed");
  expect_whole(folder);
}

// --- disk full -----------------------------------------------------------------------------------
// A file system of 3 MiB in a mount namespace of its own.
std::string mount_small_disk(const std::string& path) {
  const int flags = ::geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER;
  if (::unshare(flags) != 0) return base::errno_error("unshare").to_string();
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("small", path.c_str(), "tmpfs", 0, "size=3m") != 0) {
    return base::errno_error("mount").to_string();
  }
  return {};
}

std::string fill_the_disk(const TestFolder& folder) {
  if (std::string wrong = mount_small_disk(folder.path()); !wrong.empty()) return wrong;
  std::ofstream(folder.path() + "/ballast") << std::string(1 << 20, 'x');
  model::JobSpec large = make_spec();
  large.env = {{"LARGE", std::string(100'000, 'x')}};
  std::vector<std::string> ids;
  base::Error error;
  {
    SystemStore store(folder);
    if (!store.opened) return store.opened.error().to_string();
    while (true) {
      auto submitted = submit_to(**store.opened, large);
      if (!submitted) {
        error = submitted.error();
        break;
      }
      ids.push_back(submitted->id);
      if (ids.size() > 100) return "the disk is never full";
    }
    if (error.code != ErrorCode::kUnavailable) return "wrong code: " + error.to_string();
    if (error.message.find("jobs.db: the disk is full") == std::string::npos) return error.message;
    // Still answers, and goes on as soon as there is room.
    if (!wait_for(&JobStore::find, **store.opened, ids.front())->has_value()) return "gone";
    std::filesystem::remove(folder.path() + "/ballast");
    auto submitted = submit_to(**store.opened);
    if (!submitted) return "does not recover: " + submitted.error().to_string();
    ids.push_back(submitted->id);
  }
  SystemStore store(folder);
  if (!store.opened) return store.opened.error().to_string();
  for (const std::string& id : ids) {
    const auto job = wait_for(&JobStore::find, **store.opened, id);
    if (!job || !job->has_value()) return id + " is lost";
  }
  const auto page = wait_for(&JobStore::list, **store.opened, JobFilter{});
  return page->jobs.size() == ids.size() ? "" : "a job that nobody was told of";
}

TEST(StoreFailureTest, AFullDiskIsSaidAndLosesNothing) {
  const TestFolder folder;
  Child child([&](Child&) { return fill_the_disk(folder); });
  EXPECT_EQ(child.to_parent.hear(), "");
}

// --- read-only -----------------------------------------------------------------------------------
std::string open_as_nobody(const TestFolder& folder) {
  if (::geteuid() == 0 && ::setuid(65'534) != 0) return "cannot become nobody";
  SystemStore store(folder);
  if (store.opened) return "opened";
  const base::Error& error = store.opened.error();
  if (error.code != ErrorCode::kPermissionDenied || error.hint.empty()) return error.to_string();
  return error.message.find(folder.path()) != std::string::npos ? "" : error.to_string();
}

TEST(StoreFailureTest, AStateDirectoryThatCannotBeWrittenIsRefusedByName) {
  const TestFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0555), 0);
  {
    Child child([&](Child&) { return open_as_nobody(folder); });
    EXPECT_EQ(child.to_parent.hear(), "");
  }
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  {
    SystemStore store(folder);
    ASSERT_TRUE(submit_to(**store.opened).has_value());
  }
  ASSERT_EQ(::chmod(folder.path().c_str(), 0555), 0);
  ASSERT_EQ(::chmod(folder.database().c_str(), 0444), 0);
  ASSERT_EQ(::chmod((folder.path() + "/jobs.lock").c_str(), 0444), 0);
  {
    Child child([&](Child&) { return open_as_nobody(folder); });
    EXPECT_EQ(child.to_parent.hear(), "");
  }
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(folder.database().c_str(), 0600), 0);
  ASSERT_EQ(::chmod((folder.path() + "/jobs.lock").c_str(), 0600), 0);
  SystemStore store(folder);
  ASSERT_TRUE(store.opened.has_value()) << store.opened.error().to_string();
  EXPECT_EQ(wait_for(&JobStore::list, **store.opened, JobFilter{})->jobs.size(), 1U);
}

// kPermissionDenied says that a claim is not held, and whoever hears that lets go of the job.
TEST(StoreFailureTest, ADiskThatHasBecomeReadOnlyIsNotAClaimThatIsLost) {
  const TestFolder folder;
  { SystemStore store(folder); }
  auto database = Database::open(folder.database(), milliseconds(1'000));
  ASSERT_TRUE(database.has_value());
  ASSERT_TRUE((*database)->run_script("PRAGMA query_only = 1").has_value());
  const base::Status written = (*database)->run_script("DELETE FROM jobs");
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().code, ErrorCode::kUnavailable) << written.error().to_string();
}

TEST(StoreFailureTest, TheFilesAreForTheirUserAlone) {
  const TestFolder folder;
  SystemStore store(folder);
  ASSERT_TRUE(submit_to(**store.opened).has_value());
  for (const char* const name : {"jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.lock"}) {
    struct stat info{};
    ASSERT_EQ(::stat((folder.path() + "/" + name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << name;
  }
}

// --- locks ---------------------------------------------------------------------------------------
// Locks the database when it is told to, until it is told again.
std::string lock_when_told(const TestFolder& folder, Child& child) {
  child.to_child.hear();
  auto database = Database::open(folder.database(), milliseconds(5'000));
  if (!database) return database.error().to_string();
  if (base::Status begun = (*database)->run_script("BEGIN EXCLUSIVE"); !begun) {
    return begun.error().to_string();
  }
  child.to_parent.say("locked\n");
  child.to_child.hear();
  return {};
}

TEST(StoreFailureTest, ADatabaseLockedByAnotherProcessIsBusyUntilItIsFree) {
  const TestFolder folder;
  Child child([&](Child& self) { return lock_when_told(folder, self); });
  SystemStore opened(folder, milliseconds(100));
  JobStore& store = **opened.opened;
  const std::string id = submit_to(store)->id;
  child.to_child.say("\n");
  ASSERT_EQ(child.to_parent.hear(), "locked");
  const auto refused = submit_to(store);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(refused.error().message.find("jobs.db: another process has it locked"),
            std::string::npos);
  EXPECT_FALSE(refused.error().hint.empty());
  // Who only reads is not held up.
  EXPECT_TRUE(wait_for(&JobStore::find, store, id)->has_value());
  child.to_child.say("\n");
  ASSERT_EQ(child.to_parent.hear(), "");
  EXPECT_TRUE(submit_to(store).has_value());
  EXPECT_EQ(wait_for(&JobStore::list, store, JobFilter{})->jobs.size(), 2U);
}

TEST(StoreFailureTest, WhatTheStoreCannotHoldIsRefusedAtOnceAndTheRestIsKept) {
  const TestFolder folder;
  Child child([&](Child& self) { return lock_when_told(folder, self); });
  SystemStore opened(folder, std::chrono::minutes(1));
  JobStore& store = **opened.opened;
  child.to_child.say("\n");
  ASSERT_EQ(child.to_parent.hear(), "locked");
  constexpr int kSubmits = 10'000;
  std::atomic<int> kept{0};
  std::atomic<int> refused{0};
  for (int i = 0; i < kSubmits; ++i) {
    store.submit({make_spec(), "owner", {}}, [&](base::Result<Submitted> submitted) {
      if (submitted) ++kept;
      if (!submitted && submitted.error().code == ErrorCode::kBusy) ++refused;
    });
  }
  EXPECT_GT(refused, 0);
  EXPECT_EQ(kept, 0);
  child.to_child.say("\n");
  opened.opened = base::fail(ErrorCode::kIo, "closed");
  EXPECT_EQ(kept + refused, kSubmits);
  EXPECT_EQ(answer_of(folder, "SELECT count(*) FROM jobs"), std::to_string(kept) + "\n");
}

std::string hold_the_store(const TestFolder& folder, Child& child) {
  SystemStore store(folder);
  if (!store.opened) return store.opened.error().to_string();
  child.to_parent.say("open\n");
  child.to_child.hear();
  return {};
}

TEST(StoreFailureTest, ASecondProcessIsRefusedWithThePidOfTheFirst) {
  const TestFolder folder;
  Child child([&](Child& self) { return hold_the_store(folder, self); });
  ASSERT_EQ(child.to_parent.hear(), "open");
  {
    SystemStore second(folder);
    ASSERT_FALSE(second.opened.has_value());
    EXPECT_EQ(second.opened.error().code, ErrorCode::kBusy);
    EXPECT_EQ(second.opened.error().message, "the state directory " + folder.path() +
                                                 " is in use by process " +
                                                 std::to_string(child.pid()));
  }
  child.kill();
  SystemStore third(folder);
  EXPECT_TRUE(third.opened.has_value());
}

// --- damage --------------------------------------------------------------------------------------
void expect_damage(const base::Error& error, const TestFolder& folder) {
  EXPECT_EQ(error.code, ErrorCode::kIo) << error.to_string();
  EXPECT_NE(error.message.find(folder.database()), std::string::npos) << error.message;
  EXPECT_NE(error.message.find("damaged"), std::string::npos) << error.message;
  EXPECT_NE(error.hint.find(".recover"), std::string::npos) << error.hint;
}

TEST(StoreFailureTest, AFileThatIsNoDatabaseIsLeftAsItIs) {
  const TestFolder folder;
  std::ofstream(folder.database()) << std::string(10'000, 'x');
  const std::string before = content_of(folder.database());
  SystemStore store(folder);
  ASSERT_FALSE(store.opened.has_value());
  expect_damage(store.opened.error(), folder);
  EXPECT_EQ(content_of(folder.database()), before);
}

// A store of 500 jobs in one file.
void fill(const TestFolder& folder) {
  SystemStore store(folder);
  for (int i = 0; i < 500; ++i) {
    (*store.opened)->submit({make_spec(), "owner", {}}, [](base::Result<Submitted>) {});
  }
}

TEST(StoreFailureTest, DamagedPagesAreSaidAndNotMadeWorse) {
  const TestFolder folder;
  fill(folder);
  std::string content = content_of(folder.database());
  ASSERT_GT(content.size(), 100'000U);
  // All but the first page, which has the schema, and those behind it.
  std::fill(content.begin() + 40'960, content.end(), '\x5a');
  std::ofstream(folder.database(), std::ios::binary) << content;
  SystemStore store(folder);
  if (!store.opened) {
    expect_damage(store.opened.error(), folder);
  } else {
    JobFilter filter;
    filter.limit = kListMax;
    const auto page = wait_for(&JobStore::list, **store.opened, filter);
    ASSERT_FALSE(page.has_value());
    expect_damage(page.error(), folder);
  }
  EXPECT_EQ(content_of(folder.database()), content);
}

TEST(StoreFailureTest, AFileThatWasCutOffIsSaid) {
  const TestFolder folder;
  fill(folder);
  const auto size = std::filesystem::file_size(folder.database());
  std::filesystem::resize_file(folder.database(), size / 2);
  SystemStore store(folder);
  base::Error error;
  if (!store.opened) {
    error = store.opened.error();
  } else {
    JobFilter filter;
    filter.limit = kListMax;
    const auto page = wait_for(&JobStore::list, **store.opened, filter);
    ASSERT_FALSE(page.has_value());
    error = page.error();
  }
  expect_damage(error, folder);
}

TEST(StoreFailureTest, ARecordThatCannotBeReadIsNamed) {
  const TestFolder folder;
  std::string id;
  {
    SystemStore store(folder);
    id = submit_to(**store.opened)->id;
  }
  answer_of(folder, "UPDATE job_specs SET spec = '{\"priority\":\"high\"}'");
  SystemStore store(folder);
  const auto job = wait_for(&JobStore::find, **store.opened, id);
  ASSERT_FALSE(job.has_value());
  EXPECT_EQ(job.error().message,
            folder.database() + ": " + id + ": spec: spec.priority: no whole number");
}

// --- randomness ----------------------------------------------------------------------------------
// Gives every value twice, one after the other.
class StutteringRandom final : public base::RandomSource {
 public:
  void fill(std::span<std::byte> bytes) override {
    std::ranges::fill(bytes, std::byte(calls_++ / 2));
  }

 private:
  int calls_ = 0;
};

TEST(StoreFailureTest, AnIdThatIsTakenIsNotGivenAgain) {
  const TestFolder folder;
  const base::SystemClock clock;
  StutteringRandom random;
  auto store = open_store({.folder = folder.path()}, clock, random);
  const auto first = submit_to(**store);
  const auto second = submit_to(**store);
  const auto third = submit_to(**store);
  ASSERT_TRUE(first && second && third);
  EXPECT_NE(first->id, second->id);
  EXPECT_NE(second->id, third->id);
}

}  // namespace
}  // namespace airlock::store::sqlite
