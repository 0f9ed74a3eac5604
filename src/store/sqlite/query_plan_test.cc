// Every statement of the store is answered by an index, however many jobs there are.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "store/sqlite/claims.h"
#include "store/sqlite/job_rows.h"
#include "store/sqlite/listing.h"
#include "store/sqlite/prune.h"
#include "store/sqlite/reads.h"
#include "store/sqlite/state_files.h"
#include "store/sqlite/submit.h"
#include "store/sqlite/test_folder.h"
#include "store/sqlite/waiting.h"
#include "store/sqlite/write_context.h"

namespace airlock::store::sqlite {
namespace {

class QueryPlanTest : public ::testing::Test {
 protected:
  QueryPlanTest() {
    auto opened = open_for_writing(folder_.path(), std::chrono::seconds(1));
    AIRLOCK_CHECK(opened.has_value());
    database_ = std::move(*opened);
  }

  // One of everything, so that every statement has been prepared.
  void do_everything() {
    WriteContext context{.database = *database_,
                         .random = random_,
                         .idempotency_age = std::chrono::hours(1),
                         .priority_step = std::chrono::minutes(10),
                         .changes_kept = 1,
                         .now = model::WallTime(std::chrono::seconds(1'000))};
    const Submission submission{make_spec(), "owner", "key"};
    const std::string first = submit(context, submission)->id;
    context.now += std::chrono::hours(2);
    const std::string second = submit(context, submission)->id;
    const std::string third = submit(context, Submission{make_spec(), "owner", {}})->id;
    EXPECT_EQ(waiting(*database_, {})->jobs.size(), 3U);
    run(context, first);
    const JobClaim held{second, claim(context, {second, "runner", {}})->fencing_token};
    EXPECT_TRUE(request_cancel(context, second).has_value());
    EXPECT_TRUE(release(context, held, "reason").has_value());
    EXPECT_TRUE(request_cancel(context, third).has_value());
    for (int i = 0; i < 300; ++i) EXPECT_TRUE(append_change(context, 1).has_value());
    look(first);
    EXPECT_EQ(prune(context, {.ended_before = std::nullopt, .keep_at_most = 0})->ids.size(), 3U);
  }

  void run(WriteContext& context, const std::string& id) {
    const JobClaim held{id, claim(context, {id, "runner", {}})->fencing_token};
    JobChange change;
    change.state = model::JobState::kInference;
    change.phases = {make_phase("prep")};
    EXPECT_TRUE(update(context, held, change).has_value());
    change.state = model::JobState::kCompleted;
    change.receipt = ReceiptLink{"", "hash"};
    EXPECT_TRUE(update(context, held, change).has_value());
  }

  void look(const std::string& id) {
    EXPECT_TRUE(find_job(*database_, id).has_value());
    EXPECT_TRUE(count(*database_, std::nullopt).has_value());
    EXPECT_TRUE(count(*database_, "owner").has_value());
    EXPECT_TRUE(waiting(*database_, {}).has_value());
    EXPECT_TRUE(unfinished(*database_, "runner").has_value());
    EXPECT_TRUE(unfinished(*database_, "").has_value());
    EXPECT_TRUE(changes_since(*database_, {}).has_value());
    EXPECT_TRUE(changes_since(*database_, {.since = 0, .owner = "owner"}).has_value());
    EXPECT_TRUE(find_runner(*database_, "runner").has_value());
    list_everything();
  }

  // Every combination of filters.
  void list_everything() {
    for (unsigned bits = 0; bits < 256; ++bits) {
      JobFilter filter;
      if (bits & 1) filter.owner = "owner";
      if (bits & 2) filter.validator_hotkey = "validator";
      if (bits & 4) filter.miner_hotkey = "miner";
      if (bits & 8) filter.weight_class = "1xH200";
      if (bits & 16) filter.text = "some";
      if (bits & 32) filter.states = {model::JobState::kPending, model::JobState::kCompleted};
      if (bits & 64) filter.submitted_from = model::WallTime();
      if (bits & 128) filter.submitted_before = model::WallTime::max();
      const auto page = list(*database_, filter);
      ASSERT_TRUE(page.has_value()) << bits << ": " << page.error().to_string();
      EXPECT_EQ(page->jobs.size(), bits & 32 ? 1U : 3U) << bits;
    }
  }

  std::vector<std::string> plan_of(const std::string& sql) {
    std::vector<std::string> steps;
    auto rows = database_->prepare("EXPLAIN QUERY PLAN " + sql);
    EXPECT_TRUE(rows.has_value()) << sql;
    while (rows && rows->step().value_or(false)) steps.push_back(rows->text(3));
    return steps;
  }

  // Whether it looks at rows of `jobs`, and not at an index alone: what a plan does not tell.
  bool reads_jobs(const std::string& sql) {
    const auto root =
        database_->find_integer("SELECT rootpage FROM sqlite_schema WHERE name = 'jobs'");
    EXPECT_TRUE(root && *root);
    auto steps = database_->prepare("EXPLAIN " + sql);
    EXPECT_TRUE(steps.has_value()) << sql;
    std::int64_t table = -1;
    bool reads = false;
    while (steps && steps->step().value_or(false)) {
      const std::string code = steps->text(1);
      const std::int64_t cursor = steps->integer(2);
      if (code == "OpenRead" && steps->integer(3) == **root) table = cursor;
      reads |= cursor == table && (code == "Column" || code == "FinishSeek" || code == "SeekRowid");
    }
    return reads;
  }

  TestFolder folder_;
  base::SystemRandom random_;
  std::unique_ptr<Database> database_;
};

// Tables of a few rows, which may be read whole, and a sort of what a few runners are doing now.
bool may_be(const std::string& step, const std::string& sql) {
  return step.starts_with("SCAN job_totals") || step == "SCAN CONSTANT ROW" ||
         (step.find("TEMP B-TREE") != std::string::npos && sql.find("jobs_running") != sql.npos) ||
         (step.starts_with("SCAN jobs USING") && sql.find("jobs_running") != sql.npos);
}

TEST_F(QueryPlanTest, EveryStatementSearchesAnIndexAndSortsNothing) {
  do_everything();
  int searches = 0;
  for (const std::string& sql : database_->prepared_texts()) {
    if (sql.starts_with("PRAGMA") || sql.find("sqlite_schema") != sql.npos) continue;
    for (const std::string& step : plan_of(sql)) {
      const bool is_search = step.starts_with("SEARCH");
      searches += is_search;
      EXPECT_TRUE(is_search || may_be(step, sql)) << step << "\n  in " << sql;
    }
  }
  EXPECT_GT(searches, 60);
}

TEST_F(QueryPlanTest, ALookAtTheQueuesReadsNoRows) {
  do_everything();
  int looks = 0;
  for (const std::string& sql : database_->prepared_texts()) {
    if (sql.find("jobs_queue") == std::string::npos) continue;
    ++looks;
    EXPECT_FALSE(reads_jobs(sql)) << sql;
  }
  EXPECT_EQ(looks, 3);
  EXPECT_TRUE(reads_jobs(
      "SELECT id, error_code FROM jobs INDEXED BY jobs_queue "
      "WHERE state = 'pending' AND weight_class = ?1 AND owner = ?2 ORDER BY queue_key, seq"));
}

TEST_F(QueryPlanTest, TheTestSeesAScan) {
  const auto steps = plan_of("SELECT id FROM jobs WHERE error_code = ?1 ORDER BY id");
  ASSERT_FALSE(steps.empty());
  EXPECT_FALSE(steps[0].starts_with("SEARCH"));
  EXPECT_FALSE(may_be(steps[0], ""));
}

}  // namespace
}  // namespace airlock::store::sqlite
