#include "queue/simulation/simulation.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <queue>
#include <utility>

#include "queue/resources.h"
#include "queue/waiting_queue.h"

namespace airlock::queue {
namespace {

constexpr std::string_view kIdPrefix = "job_";
constexpr std::size_t kIdDigits = 12;

class Lanes {
 public:
  explicit Lanes(std::uint32_t gpus) : is_taken_(gpus, false) {}

  std::vector<std::uint32_t> take(std::uint32_t count) {
    std::vector<std::uint32_t> gpus = neighbours(count);
    for (std::uint32_t gpu = 0; gpu < is_taken_.size() && gpus.size() < count; ++gpu) {
      if (!is_taken_[gpu]) gpus.push_back(gpu);
    }
    for (const std::uint32_t gpu : gpus) is_taken_[gpu] = true;
    return gpus;
  }

  void give_back(std::span<const std::uint32_t> gpus) {
    for (const std::uint32_t gpu : gpus) is_taken_[gpu] = false;
  }

 private:
  std::vector<std::uint32_t> neighbours(std::uint32_t count) const {
    std::vector<std::uint32_t> run;
    for (std::uint32_t gpu = 0; gpu < is_taken_.size() && run.size() < count; ++gpu) {
      if (is_taken_[gpu]) {
        run.clear();
      } else {
        run.push_back(gpu);
      }
    }
    if (run.size() < count) run.clear();
    return run;
  }

  std::vector<bool> is_taken_;
};

class Simulation {
 public:
  explicit Simulation(const SimulationInput& input)
      : input_(input),
        host_{.total = input.host, .free = input.host, .gpu_type = {}},
        queue_(input.knobs),
        lanes_(input.host.gpus),
        schedule_(input.jobs.size()) {}

  base::Result<std::vector<ScheduledJob>> run() && {
    while (arrived_ < input_.jobs.size() || !ends_.empty()) {
      advance();
      AIRLOCK_TRY(decide());
    }
    if (queue_.size() > 0) {
      return complain("left " + std::to_string(queue_.size()) + " jobs waiting, the first is " +
                      queue_.first(1).front()->id);
    }
    return std::move(schedule_);
  }

 private:
  struct End {
    WallTime at{};
    std::size_t job = 0;
    bool operator>(const End& other) const {
      return at != other.at ? at > other.at : job > other.job;
    }
  };

  std::unexpected<base::Error> complain(const std::string& what) const {
    return base::fail(base::ErrorCode::kProtocol,
                      "the policy " + std::string(input_.policy.name()) + " " + what);
  }

  // To the next moment at which something happens; everything that happens then.
  void advance() {
    const WallTime arrival =
        arrived_ < input_.jobs.size() ? WallTime(input_.jobs[arrived_].arrival) : WallTime::max();
    now_ = ends_.empty() ? arrival : std::min(arrival, ends_.top().at);
    while (!ends_.empty() && ends_.top().at <= now_) {
      end(ends_.top().job);
      ends_.pop();
    }
    while (arrived_ < input_.jobs.size() && WallTime(input_.jobs[arrived_].arrival) <= now_) {
      arrive(arrived_++);
    }
  }

  void arrive(std::size_t index) {
    const TraceJob& job = input_.jobs[index];
    queue_.add({.id = simulated_id(index),
                .tenant = job.tenant,
                .gpu_type = {},
                .ask = job.ask,
                .priority = job.priority,
                .submitted_at = now_,
                .bound = job.bound});
  }

  void end(std::size_t index) {
    const std::string id = simulated_id(index);
    const auto found = std::ranges::find(running_, id, &RunningJob::id);
    host_.free = plus(host_.free, found->held);
    running_.erase(found);
    lanes_.give_back(schedule_[index].gpus);
    if (input_.observer != nullptr) input_.observer->ended(index, now_);
  }

  base::Status decide() {
    if (queue_.size() == 0) return {};
    const std::vector<const WaitingJob*> waiting =
        input_.policy.wants_everything() ? queue_.all() : queue_.window(reserved_);
    const Snapshot snapshot{.now = now_,
                            .host = host_,
                            .running = running_,
                            .waiting = waiting,
                            .reserved = reserved_,
                            .knobs = input_.knobs,
                            .last_started = &last_started_};
    const Decision decision = input_.policy.decide(snapshot);
    if (input_.observer != nullptr) input_.observer->decided(snapshot, decision);
    if (!decision.impossible.empty()) {
      return complain("can never run " + decision.impossible[0].id + ": " +
                      decision.impossible[0].reason);
    }
    for (const std::string& id : decision.start) AIRLOCK_TRY(start(id));
    reserved_ = decision.reservation ? decision.reservation->id : std::string();
    return {};
  }

  base::Status start(const std::string& id) {
    const WaitingJob* const waiting = queue_.find(id);
    if (waiting == nullptr) return complain("started " + id + ", which does not wait");
    if (!fits(waiting->ask, host_.free)) {
      return complain("started " + id + ", which does not fit: it asks for " +
                      std::to_string(waiting->ask.gpus) + " GPUs of " +
                      std::to_string(host_.free.gpus) + " that are free");
    }
    const std::size_t index = simulated_index(id);
    const TraceJob& job = input_.jobs[index];
    host_.free = minus(host_.free, waiting->ask);
    running_.push_back({.id = id,
                        .tenant = waiting->tenant,
                        .held = waiting->ask,
                        .latest_end = latest_end(*waiting, now_)});
    last_started_[waiting->tenant] = now_;
    ends_.push({.at = now_ + job.duration, .job = index});
    schedule_[index] = {.start = now_.time_since_epoch(), .gpus = lanes_.take(job.ask.gpus)};
    queue_.remove(id);
    if (input_.observer != nullptr) input_.observer->started(index, now_, schedule_[index].gpus);
    return {};
  }

  const SimulationInput& input_;
  Host host_;
  WaitingQueue queue_;
  Lanes lanes_;
  std::vector<RunningJob> running_;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
  std::map<std::string, WallTime> last_started_;
  std::string reserved_;
  std::vector<ScheduledJob> schedule_;
  WallTime now_{};
  std::size_t arrived_ = 0;
};

}  // namespace

std::string simulated_id(std::size_t index) {
  std::string digits(kIdDigits, '0');
  for (std::size_t at = kIdDigits; index > 0 && at > 0; index >>= 4) {
    digits[--at] = "0123456789abcdef"[index & 15];
  }
  return std::string(kIdPrefix) + digits;
}

std::size_t simulated_index(std::string_view id) {
  std::size_t index = 0;
  id.remove_prefix(std::min(id.size(), kIdPrefix.size()));
  (void)std::from_chars(id.data(), id.data() + id.size(), index, 16);
  return index;
}

base::Result<std::vector<ScheduledJob>> simulate(const SimulationInput& input) {
  return Simulation(input).run();
}

}  // namespace airlock::queue
