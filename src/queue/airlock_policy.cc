#include "queue/airlock_policy.h"

#include <cmath>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "queue/releases.h"
#include "queue/resources.h"

namespace airlock::queue {
namespace {

constexpr std::size_t kHoldsNothing = 0;

struct Candidate {
  const WaitingJob* job = nullptr;
  WallTime key{};
  std::size_t holder = kHoldsNothing;
};

struct Holder {
  Resources held;
  Duration handicap{0};
};

// One decision in the making.
class Round {
 public:
  explicit Round(const Snapshot& snapshot)
      : snapshot_(snapshot), free_(snapshot.host.free), releases_(snapshot.running, snapshot.now) {
    for (const RunningJob& job : snapshot.running) {
      charge(holders_[add_holder(job.tenant)], job.held);
    }
    add_candidates();
  }

  Decision decide() && {
    while (!promise_ && serve_first()) {}
    while (const auto next = first([&](const Candidate& one) { return may_start(one); })) {
      start(*next);
    }
    return std::move(decision_);
  }

 private:
  void add_candidates() {
    candidates_.reserve(snapshot_.waiting.size());
    for (const WaitingJob* const job : snapshot_.waiting) {
      if (!fits(job->ask, snapshot_.host.total) || !job->gpu_type.empty()) {
        if (std::string reason = why_impossible(*job, snapshot_.host); !reason.empty()) {
          decision_.impossible.push_back({.id = job->id, .reason = std::move(reason)});
          continue;
        }
      }
      candidates_.push_back({.job = job,
                             .key = order_key(*job, snapshot_.knobs),
                             .holder = holder_index(job->tenant)});
    }
  }

  // Only tenants that hold something are told apart: the others have no handicap. Jobs of one
  // tenant come one after the other in a window, so that most look-ups end at once.
  std::size_t holder_index(const std::string& tenant) const {
    if (!candidates_.empty() && candidates_.back().job->tenant == tenant) {
      return candidates_.back().holder;
    }
    const auto found = holder_indices_.find(tenant);
    return found == holder_indices_.end() ? kHoldsNothing : found->second;
  }

  std::size_t add_holder(std::string_view tenant) {
    const auto [place, is_new] = holder_indices_.try_emplace(tenant, holders_.size());
    if (is_new) {
      holders_.emplace_back();
      for (Candidate& one : candidates_) {
        if (one.job->tenant == tenant) one.holder = place->second;
      }
    }
    return place->second;
  }

  void charge(Holder& holder, const Resources& held) const {
    holder.held = plus(holder.held, held);
    const double share = dominant_share(holder.held, snapshot_.host.total);
    const double span = static_cast<double>(snapshot_.knobs.fairness_span.count());
    holder.handicap = Duration(std::llround(share * span));
  }

  // The first in the order of those that `is_eligible`; an index, as candidates move.
  template <typename Predicate>
  std::optional<std::size_t> first(const Predicate& is_eligible) const {
    std::optional<std::size_t> best;
    WallTime best_key{};
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const Candidate& one = candidates_[i];
      const WallTime key = one.key + holders_[one.holder].handicap;
      const bool is_before =
          !best || key < best_key || (key == best_key && one.job->id < candidates_[*best].job->id);
      if (is_before && is_eligible(one)) {
        best = i;
        best_key = key;
      }
    }
    return best;
  }

  // Whoever has the reservation; then all in order, up to the first that does not fit and has
  // waited for too long: what it needs is kept for it. False: there is none.
  bool serve_first() {
    auto next = first([&](const Candidate& one) { return one.job->id == snapshot_.reserved; });
    if (!next) {
      const WallTime limit = snapshot_.now - snapshot_.knobs.starvation_threshold;
      next = first([&](const Candidate& one) {
        return one.job->submitted_at <= limit || fits(one.job->ask, free_);
      });
    }
    if (!next) return false;
    const WaitingJob& job = *candidates_[*next].job;
    if (fits(job.ask, free_)) {
      start(*next);
      return true;
    }
    promise_ = releases_.promise(job.ask, free_);
    decision_.reservation = Reservation{.id = job.id, .at = promise_->at};
    remove(*next);
    return true;
  }

  bool may_start(const Candidate& one) const {
    return fits(one.job->ask, free_) &&
           (!promise_ || promise_->allows(one.job->ask, latest_end(*one.job, snapshot_.now)));
  }

  void start(std::size_t index) {
    const Candidate one = candidates_[index];
    const WallTime end = latest_end(*one.job, snapshot_.now);
    free_ = minus(free_, one.job->ask);
    if (promise_) {
      promise_->take(one.job->ask, end);
    } else {
      releases_.add(one.job->ask, end);
    }
    decision_.start.push_back(one.job->id);
    remove(index);
    charge(holders_[add_holder(one.job->tenant)], one.job->ask);
  }

  void remove(std::size_t index) {
    candidates_[index] = candidates_.back();
    candidates_.pop_back();
  }

  const Snapshot& snapshot_;
  Resources free_;
  Releases releases_;
  std::vector<Candidate> candidates_;
  std::vector<Holder> holders_ = {Holder()};  // the first is nobody
  std::unordered_map<std::string_view, std::size_t> holder_indices_;
  std::optional<Promise> promise_;
  Decision decision_;
};

}  // namespace

Decision AirlockPolicy::decide(const Snapshot& snapshot) const { return Round(snapshot).decide(); }

}  // namespace airlock::queue
