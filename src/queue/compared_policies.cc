// The policies that ours is compared with.
#include <algorithm>
#include <functional>

#include "queue/airlock_policy.h"
#include "queue/policy.h"
#include "queue/resources.h"

namespace airlock::queue {
namespace {

constexpr std::uint32_t kSeedLargeGpus = 4;  // 4x and 8x: what the seed takes first after an hour
constexpr double kSeedFairnessMax = 10;
constexpr double kSeedWaitHoursMax = 5;

using Waiting = std::vector<const WaitingJob*>;
using Seconds = std::chrono::duration<double>;

// Chooses one job after the other from those that can run at all, until `choose` gives none.
class Greedy {
 public:
  explicit Greedy(const Snapshot& snapshot) : free_(snapshot.host.free) {
    for (const WaitingJob* const job : snapshot.waiting) {
      if (std::string reason = why_impossible(*job, snapshot.host); !reason.empty()) {
        decision_.impossible.push_back({.id = job->id, .reason = std::move(reason)});
      } else {
        waiting_.push_back(job);
      }
    }
  }

  template <typename Choose>
  Decision run(const Choose& choose) && {
    while (true) {
      const auto next = choose(waiting_, free_);
      if (next == waiting_.end() || !fits((*next)->ask, free_)) return std::move(decision_);
      free_ = minus(free_, (*next)->ask);
      decision_.start.push_back((*next)->id);
      waiting_.erase(next);
    }
  }

 private:
  Resources free_;
  Waiting waiting_;
  Decision decision_;
};

bool came_before(const WaitingJob* a, const WaitingJob* b) {
  return a->submitted_at != b->submitted_at ? a->submitted_at < b->submitted_at : a->id < b->id;
}

// In order of arrival; the first one that does not fit holds up all behind it.
class FifoPolicy final : public Policy {
 public:
  std::string_view name() const override { return "fifo"; }
  Decision decide(const Snapshot& snapshot) const override {
    return Greedy(snapshot).run([](Waiting& waiting, const Resources&) {
      return std::ranges::min_element(waiting, came_before);
    });
  }
};

// The largest one that fits; of equal ones the first.
class BestFitPolicy final : public Policy {
 public:
  std::string_view name() const override { return "best-fit"; }
  Decision decide(const Snapshot& snapshot) const override {
    return Greedy(snapshot).run([](Waiting& waiting, const Resources& free) {
      return std::ranges::min_element(waiting, [&](const WaitingJob* a, const WaitingJob* b) {
        const bool a_fits = fits(a->ask, free);
        const bool b_fits = fits(b->ask, free);
        if (a_fits != b_fits) return a_fits;
        return a->ask.gpus != b->ask.gpus ? a->ask.gpus > b->ask.gpus : came_before(a, b);
      });
    });
  }
};

// A score of how much of what is free a job takes, its priority, its wait and its tenant's; large
// jobs that have waited for the threshold come first where they fit, and get no reservation.
class SeedPolicy final : public Policy {
 public:
  std::string_view name() const override { return "seed"; }
  Decision decide(const Snapshot& snapshot) const override {
    return Greedy(snapshot).run([&](Waiting& waiting, const Resources& free) {
      return std::ranges::min_element(waiting, [&](const WaitingJob* a, const WaitingJob* b) {
        return rank(snapshot, *a, free) > rank(snapshot, *b, free) ||
               (rank(snapshot, *a, free) == rank(snapshot, *b, free) && is_ahead(a, b));
      });
    });
  }

 private:
  static bool is_ahead(const WaitingJob* a, const WaitingJob* b) {
    return a->priority != b->priority ? a->priority > b->priority : came_before(a, b);
  }

  static double rank(const Snapshot& snapshot, const WaitingJob& job, const Resources& free) {
    constexpr double kStarving = 1'000;  // above every score
    if (!fits(job.ask, free)) return -1;
    const Duration wait = snapshot.now - job.submitted_at;
    if (job.ask.gpus >= kSeedLargeGpus && wait >= snapshot.knobs.starvation_threshold) {
      return kStarving;
    }
    const double use = free.gpus == 0 ? 0 : 100.0 * job.ask.gpus / free.gpus;
    return use + job.priority + std::min(Seconds(wait).count() / 3'600, kSeedWaitHoursMax) +
           fairness(snapshot, job.tenant);
  }

  static double fairness(const Snapshot& snapshot, const std::string& tenant) {
    if (tenant.empty() || snapshot.last_started == nullptr) return 0;
    const auto last = snapshot.last_started->find(tenant);
    if (last == snapshot.last_started->end()) return kSeedFairnessMax;
    return std::min(Seconds(snapshot.now - last->second).count() / 600, kSeedFairnessMax);
  }
};

}  // namespace

std::unique_ptr<Policy> make_policy(std::string_view name) {
  if (name == "fifo") return std::make_unique<FifoPolicy>();
  if (name == "best-fit") return std::make_unique<BestFitPolicy>();
  if (name == "seed") return std::make_unique<SeedPolicy>();
  if (name == "airlock") return std::make_unique<AirlockPolicy>();
  return nullptr;
}

}  // namespace airlock::queue
