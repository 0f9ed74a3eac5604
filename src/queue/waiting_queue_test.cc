#include "queue/waiting_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "queue/estimate.h"

namespace airlock::queue {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

const WallTime kNow = WallTime(hours(1'000));

WaitingJob job(std::string id, std::string tenant, std::uint32_t gpus, Duration at,
               Duration bound = hours(1)) {
  return {.id = std::move(id),
          .tenant = std::move(tenant),
          .gpu_type = {},
          .ask = {.gpus = gpus, .cpu_millis = 0, .memory = {}, .disk = {}},
          .priority = 0,
          .submitted_at = kNow + at,
          .bound = bound};
}

std::vector<std::string> ids(const std::vector<const WaitingJob*>& jobs) {
  std::vector<std::string> ids;
  for (const WaitingJob* const one : jobs) ids.push_back(one->id);
  return ids;
}

std::size_t count_of(const std::vector<const WaitingJob*>& jobs, std::string_view tenant) {
  return static_cast<std::size_t>(std::ranges::count(jobs, tenant, &WaitingJob::tenant));
}

TEST(WaitingQueue, keeps_jobs_in_order_and_each_once) {
  WaitingQueue queue{Knobs()};
  EXPECT_TRUE(queue.add(job("b", "t", 1, minutes(2))));
  EXPECT_TRUE(queue.add(job("a", "t", 8, minutes(3))));
  EXPECT_TRUE(queue.add(job("c", "u", 1, minutes(1))));
  EXPECT_FALSE(queue.add(job("c", "u", 2, minutes(9))));
  EXPECT_EQ(ids(queue.all()), (std::vector<std::string>{"c", "b", "a"}));
  EXPECT_EQ(queue.position("a"), 2U);
  EXPECT_TRUE(queue.remove("b"));
  EXPECT_FALSE(queue.remove("b"));
  EXPECT_EQ(queue.position("a"), 1U);
  EXPECT_EQ(queue.position("b"), std::nullopt);
  EXPECT_EQ(queue.find("b"), nullptr);
  EXPECT_EQ(queue.size(), 2U);
}

TEST(WaitingQueue, knows_how_many_wait_of_each_class_and_priority) {
  WaitingQueue queue{Knobs()};
  const auto add = [&](std::string id, std::uint32_t gpus, std::uint32_t priority) {
    WaitingJob one = job(std::move(id), "t", gpus, minutes(0));
    one.gpu_type = gpus > 0 ? "H200" : "";
    one.priority = priority;
    return queue.add(std::move(one));
  };
  EXPECT_TRUE(queue.depths().empty());
  add("a", 1, 0);
  add("b", 1, 0);
  add("c", 1, 7);
  add("d", 0, 0);
  EXPECT_FALSE(add("d", 8, 1));
  EXPECT_EQ(queue.depths(),
            (std::vector<Depth>{{.gpus = 0, .gpu_type = "", .priority = 0, .jobs = 1},
                                {.gpus = 1, .gpu_type = "H200", .priority = 0, .jobs = 2},
                                {.gpus = 1, .gpu_type = "H200", .priority = 7, .jobs = 1}}));
  queue.remove("a");
  queue.remove("a");
  queue.remove("c");
  EXPECT_EQ(queue.depths(),
            (std::vector<Depth>{{.gpus = 0, .gpu_type = "", .priority = 0, .jobs = 1},
                                {.gpus = 1, .gpu_type = "H200", .priority = 0, .jobs = 1}}));
}

TEST(WaitingQueue, shows_every_tenant_and_class_however_many_one_tenant_has) {
  Knobs knobs;
  WaitingQueue queue(knobs);
  for (int i = 0; i < 5'000; ++i) {
    queue.add(job("flood-" + std::to_string(i), "flooder", 1, minutes(i)));
  }
  for (int i = 0; i < 3; ++i) {
    queue.add(job("q" + std::to_string(i), "quiet", 1, minutes(9'000)));
    queue.add(job("w" + std::to_string(i), "wide", 8, minutes(9'000)));
  }
  const auto window = queue.window({});
  EXPECT_EQ(count_of(window, "flooder"), knobs.window);
  EXPECT_EQ(count_of(window, "quiet"), 3U);
  EXPECT_EQ(count_of(window, "wide"), 3U);
  EXPECT_EQ(window[0]->id, "flood-0");
}

TEST(WaitingQueue, shows_a_bounded_number_of_jobs_of_ten_thousand_tenants) {
  Knobs knobs;
  WaitingQueue queue(knobs);
  for (int i = 0; i < 10'000; ++i) {
    queue.add(job("j" + std::to_string(i), "t" + std::to_string(i), 1, minutes(i)));
  }
  EXPECT_EQ(queue.window({}).size(), knobs.class_window);
  EXPECT_EQ(queue.window({})[0]->id, "j0");
}

TEST(WaitingQueue, always_shows_the_oldest_and_the_one_with_the_reservation) {
  Knobs knobs;
  WaitingQueue queue(knobs);
  queue.add(job("oldest", "t", 1, -hours(1), hours(10)));  // late in the order for its bound
  for (int i = 0; i < 500; ++i) queue.add(job("j" + std::to_string(i), "t", 1, minutes(i)));
  const auto shown = ids(queue.window("j499"));
  EXPECT_EQ(shown.size(), knobs.window + 2);
  EXPECT_EQ(std::ranges::count(shown, "oldest"), 1);
  EXPECT_EQ(std::ranges::count(shown, "j499"), 1);
  EXPECT_EQ(queue.window("gone").size(), knobs.window + 1);
}

TEST(WaitingQueue, shows_everything_in_the_end) {
  WaitingQueue queue{Knobs()};
  std::set<std::string> left;
  for (int i = 0; i < 2'000; ++i) {
    const std::string id = "j" + std::to_string(i);
    queue.add(job(id, "t" + std::to_string(i % 7), 1U << (i % 4), minutes(i * 37 % 1'000)));
    left.insert(id);
  }
  while (queue.size() > 0) {
    const auto shown = ids(queue.window({}));
    ASSERT_FALSE(shown.empty());
    for (const std::string& id : shown) {
      ASSERT_TRUE(queue.remove(id));
      ASSERT_EQ(left.erase(id), 1U);
    }
  }
  EXPECT_TRUE(left.empty());
}

class EstimateTest : public testing::Test {
 protected:
  WaitingQueue queue_{Knobs()};
  Host host_{.total = {.gpus = 8, .cpu_millis = 0, .memory = {}, .disk = {}},
             .free = {.gpus = 2, .cpu_millis = 0, .memory = {}, .disk = {}},
             .gpu_type = {}};
  std::vector<RunningJob> running_ = {
      {.id = "r",
       .tenant = {},
       .held = {.gpus = 6, .cpu_millis = 0, .memory = {}, .disk = {}},
       .latest_end = kNow + hours(3)}};

  std::optional<Estimate> of(std::string_view id) {
    return estimate_start(queue_, id, running_, host_, kNow);
  }
};

TEST_F(EstimateTest, says_when_a_job_starts_at_the_latest_in_order) {
  queue_.add(job("now", "t", 2, minutes(0)));
  queue_.add(job("then", "t", 8, minutes(1)));
  queue_.add(job("behind", "t", 4, minutes(2)));
  EXPECT_EQ(of("now")->position, 0U);
  EXPECT_EQ(of("now")->start, kNow);
  EXPECT_EQ(of("then")->position, 1U);
  EXPECT_EQ(of("then")->start, kNow + hours(3));
  EXPECT_EQ(of("behind")->start, kNow + hours(4));
}

TEST_F(EstimateTest, says_nothing_about_what_is_unknown_or_can_never_run) {
  queue_.add(job("huge", "t", 9, minutes(0)));
  queue_.add(job("one", "t", 1, minutes(1)));
  EXPECT_FALSE(of("huge"));
  EXPECT_FALSE(of("nobody"));
  EXPECT_EQ(of("one")->start, kNow);  // it is not held up by the other
}

TEST_F(EstimateTest, follows_a_long_queue_by_what_it_asks_for) {
  for (int i = 0; i < 8'000; ++i) queue_.add(job("j" + std::to_string(i), "t", 4, minutes(i)));
  queue_.add(job("last", "t", 8, minutes(9'000)));
  const auto estimate = of("last");
  EXPECT_EQ(estimate->position, 8'000U);
  // Two at a time take 4,000 hours.
  EXPECT_GT(estimate->start, kNow + hours(3'990));
  EXPECT_LT(estimate->start, kNow + hours(4'010));
}

}  // namespace
}  // namespace airlock::queue
