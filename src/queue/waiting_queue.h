// WaitingQueue: the waiting jobs in order, and the window that a decision looks at.
//
// Guarantees: adding, removing and `position` take logarithmic time, `window` takes time in what it
// gives, however many wait. A window shows of every class (number of GPUs) the tenants whose first
// jobs are first, and of each of them its first jobs, so that no tenant can fill it alone. What is
// not in it comes into it as those before it start. Pointers hold until their job is removed.
// One thread at a time.
#pragma once

#include <cstddef>
#include <ext/pb_ds/assoc_container.hpp>
#include <ext/pb_ds/tree_policy.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "queue/waiting_job.h"

namespace airlock::queue {

// How many wait of one class and priority.
struct Depth {
  std::uint32_t gpus = 0;
  std::string gpu_type;
  std::uint32_t priority = 0;
  std::size_t jobs = 0;

  bool operator==(const Depth&) const = default;
};

class WaitingQueue {
 public:
  explicit WaitingQueue(const Knobs& knobs) : knobs_(knobs) {}
  WaitingQueue(const WaitingQueue&) = delete;
  WaitingQueue& operator=(const WaitingQueue&) = delete;

  // False: a job of this id waits already.
  bool add(WaitingJob job);
  // False: there is no such job.
  bool remove(std::string_view id);

  std::size_t size() const { return jobs_.size(); }
  // In time of what it gives, however many wait.
  std::vector<Depth> depths() const;
  const WaitingJob* find(std::string_view id) const;
  // How many are before it, by order_key; the share of its tenant is not in it.
  std::optional<std::size_t> position(std::string_view id) const;
  // The first `count` in order.
  std::vector<const WaitingJob*> first(std::size_t count) const;
  std::vector<const WaitingJob*> all() const { return first(size()); }
  // What Policy::decide looks at. The job `reserved`, if it waits, and the one that has waited for
  // longest are always in it.
  std::vector<const WaitingJob*> window(std::string_view reserved) const;

 private:
  struct Entry {
    WallTime key{};
    const WaitingJob* job = nullptr;
    bool operator<(const Entry& other) const {
      return key != other.key ? key < other.key : job->id < other.job->id;
    }
  };
  using Order = __gnu_pbds::tree<Entry, __gnu_pbds::null_type, std::less<>, __gnu_pbds::rb_tree_tag,
                                 __gnu_pbds::tree_order_statistics_node_update>;
  using Bucket = std::set<Entry>;  // one tenant's jobs of one class
  struct ByFirst {
    bool operator()(const Bucket* a, const Bucket* b) const { return *a->begin() < *b->begin(); }
  };
  struct Class {
    std::unordered_map<std::string, std::unique_ptr<Bucket>> tenants;
    std::set<const Bucket*, ByFirst> order;
  };

  void add_window(const Class& its_class, std::vector<const WaitingJob*>& jobs) const;
  Entry entry_of(const WaitingJob& job) const { return {order_key(job, knobs_), &job}; }

  Knobs knobs_;
  std::unordered_map<std::string_view, std::unique_ptr<WaitingJob>> jobs_;  // keys: in the jobs
  Order order_;
  Bucket by_age_;  // keys: when they were submitted
  std::map<std::uint32_t, Class> classes_;
  std::map<std::tuple<std::uint32_t, std::string, std::uint32_t>, std::size_t> depths_;
};

}  // namespace airlock::queue
