// How long the queue takes to decide with 10,000 jobs waiting: window and decision together.
//
//   bench-queue [ROUNDS]
//
// One JSON object: for each shape of the queue the p50 and p99 in microseconds. Each round one
// running job has ended and another has come, so that something can start.
#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/ids.h"
#include "queue/airlock_policy.h"
#include "queue/resources.h"
#include "queue/waiting_queue.h"

namespace airlock::queue {
namespace {

using std::chrono::minutes;
using std::chrono::steady_clock;

constexpr std::size_t kRoundsDefault = 2'000;
constexpr std::array kGpus = {0U, 1U, 1U, 1U, 2U, 4U, 8U};

class Bench {
 public:
  Bench(std::size_t queued, std::size_t tenants) : tenants_(tenants), queue_(knobs_) {
    host_.total = host_.free = {.gpus = 8,
                                .cpu_millis = 96'000,
                                .memory = base::gibibytes(1'024),
                                .disk = base::gibibytes(4'000)};
    for (std::size_t i = 0; i < queued; ++i) submit();
    (void)round();
  }

  // Microseconds of the decision after one job has ended and another has come.
  double round() {
    now_ += std::chrono::seconds(30);
    if (!running_.empty()) {
      const std::size_t gone = below(running_.size());
      host_.free = plus(host_.free, running_[gone].held);
      running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(gone));
    }
    const steady_clock::time_point begin = steady_clock::now();
    const std::vector<const WaitingJob*> window = queue_.window(reserved_);
    const Decision decision = policy_.decide({.now = now_,
                                              .host = host_,
                                              .running = running_,
                                              .waiting = window,
                                              .reserved = reserved_,
                                              .knobs = knobs_});
    const steady_clock::time_point end = steady_clock::now();
    for (const std::string& id : decision.start) start(id);
    reserved_ = decision.reservation ? decision.reservation->id : std::string();
    return std::chrono::duration<double, std::micro>(end - begin).count();
  }

 private:
  std::uint64_t below(std::uint64_t limit) {
    std::array<std::byte, 8> bytes{};
    random_.fill(bytes);
    return std::bit_cast<std::uint64_t>(bytes) % limit;
  }

  void submit() {
    const std::uint32_t gpus = kGpus.at(below(kGpus.size()));
    queue_.add({.id = make_hex_id(),
                .tenant = "tenant-" + std::to_string(below(tenants_)),
                .gpu_type = {},
                .ask = {.gpus = gpus,
                        .cpu_millis = 4'000,
                        .memory = base::gibibytes(1 + below(64)),
                        .disk = base::gibibytes(10)},
                .priority = static_cast<std::uint32_t>(below(11)),
                .submitted_at = now_ - std::chrono::seconds(below(100'000)),
                .bound = minutes(1 + below(600))});
  }

  std::string make_hex_id() { return "job_" + base::make_hex(6, random_); }

  void start(const std::string& id) {
    const WaitingJob& job = *queue_.find(id);
    host_.free = minus(host_.free, job.ask);
    running_.push_back(
        {.id = id, .tenant = job.tenant, .held = job.ask, .latest_end = latest_end(job, now_)});
    queue_.remove(id);
    submit();
  }

  std::size_t tenants_;
  Knobs knobs_;
  WaitingQueue queue_;
  AirlockPolicy policy_;
  Host host_;
  std::vector<RunningJob> running_;
  std::string reserved_;
  WallTime now_ = WallTime(std::chrono::hours(10'000));
  base::SeededRandom random_{1};
};

void measure(const char* name, std::size_t queued, std::size_t tenants, std::size_t rounds,
             const char* separator) {
  Bench bench(queued, tenants);
  std::vector<double> times(rounds);
  for (double& time : times) time = bench.round();
  std::ranges::sort(times);
  std::printf(
      "  \"%s\": {\"queued\": %zu, \"tenants\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f}%s\n", name,
      queued, tenants, times[rounds / 2], times[rounds * 99 / 100], separator);
}

}  // namespace
}  // namespace airlock::queue

int main(int argc, char** argv) {
  using airlock::queue::measure;
  const std::size_t given = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
  const std::size_t rounds = given > 0 ? given : airlock::queue::kRoundsDefault;
  std::printf("{\n");
  measure("one_tenant", 10'000, 1, rounds, ",");
  measure("ten_tenants", 10'000, 10, rounds, ",");
  measure("a_tenant_each", 10'000, 10'000, rounds, ",");
  measure("short_queue", 100, 10, rounds, ",");
  measure("long_queue", 200'000, 10, rounds, "");
  std::printf("}\n");
  return 0;
}
