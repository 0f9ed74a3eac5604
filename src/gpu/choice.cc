#include "gpu/choice.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

namespace airlock::gpu {
namespace {

using Positions = std::vector<std::size_t>;

// In the order of what matters; less is better.
struct Cost {
  std::size_t links_missing = 0;  // pairs
  std::size_t nodes = 0;
  std::size_t scattered = 0;  // how little of what is together stays together
  std::size_t gaps = 0;       // blocks that the rest falls into
  std::uint32_t span = 0;
  std::uint32_t first = 0;

  auto operator<=>(const Cost&) const = default;
};

class Host {
 public:
  explicit Host(std::span<const Candidate> free)
      : free_(free), linked_(free.size(), std::vector<bool>(free.size())), groups_(free.size()) {
    find_links();
    find_groups();
  }

  Cost cost(const Positions& chosen) const;

 private:
  void find_links();
  void find_groups();

  std::span<const Candidate> free_;
  std::vector<std::vector<bool>> linked_;
  std::vector<std::size_t> groups_;  // of each: those with the same number belong together
};

void Host::find_links() {
  for (std::size_t i = 0; i < free_.size(); ++i) {
    for (std::size_t j = 0; j < free_.size(); ++j) {
      linked_[i][j] =
          std::ranges::find(free_[i].nvlink_peers, free_[j].uuid) != free_[i].nvlink_peers.end();
    }
  }
}

void Host::find_groups() {
  std::vector<std::size_t> islands(free_.size());
  std::iota(islands.begin(), islands.end(), 0);
  for (std::size_t i = 0; i < free_.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (linked_[i][j]) std::ranges::replace(islands, islands[i], std::size_t{islands[j]});
    }
  }
  // Without NVLink a node or a GPU holds together what there is.
  std::map<std::tuple<std::size_t, std::uint32_t, std::string>, std::size_t> numbers;
  for (std::size_t i = 0; i < free_.size(); ++i) {
    const bool alone = std::ranges::count(islands, islands[i]) == 1;
    const auto key = std::tuple(alone ? free_.size() : islands[i],
                                free_[i].numa_node.value_or(UINT32_MAX), free_[i].parent);
    groups_[i] = numbers.try_emplace(key, numbers.size()).first->second;
  }
}

Cost Host::cost(const Positions& chosen) const {
  Cost cost;
  std::set<std::uint32_t> nodes;
  std::vector<bool> taken(free_.size());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    taken[chosen[i]] = true;
    nodes.insert(free_[chosen[i]].numa_node.value_or(UINT32_MAX));
    for (std::size_t j = 0; j < i; ++j) {
      cost.links_missing += linked_[chosen[i]][chosen[j]] ? 0 : 1;
    }
  }
  cost.nodes = nodes.size();
  std::vector<std::size_t> left(free_.size());  // of each group
  std::optional<std::size_t> previous;
  for (std::size_t i = 0; i < free_.size(); ++i) {
    if (taken[i]) continue;
    ++left[groups_[i]];
    const bool continues = previous && groups_[*previous] == groups_[i] &&
                           free_[*previous].place + 1 == free_[i].place;
    cost.gaps += continues ? 0 : 1;
    previous = i;
  }
  cost.scattered = free_.size() * free_.size();
  for (const std::size_t count : left) cost.scattered -= count * count;
  cost.span = free_[chosen.back()].place - free_[chosen.front()].place;
  cost.first = free_[chosen.front()].place;
  return cost;
}

std::uint64_t count_sets(std::size_t all, std::size_t count) {
  std::uint64_t sets = 1;
  for (std::size_t i = 0; i < count; ++i) {
    sets = sets * (all - i) / (i + 1);
    if (sets > kSetsMax) return sets;
  }
  return sets;
}

// The next set in lexical order; false after the last.
bool advance(Positions& chosen, std::size_t all) {
  const std::size_t count = chosen.size();
  for (std::size_t i = count; i-- > 0;) {
    if (chosen[i] == all - count + i) continue;
    ++chosen[i];
    for (std::size_t j = i + 1; j < count; ++j) chosen[j] = chosen[j - 1] + 1;
    return true;
  }
  return false;
}

Positions choose_best(const Host& host, std::size_t all, std::size_t count) {
  Positions chosen(count);
  std::iota(chosen.begin(), chosen.end(), 0);
  Positions best = chosen;
  Cost least = host.cost(best);
  while (advance(chosen, all)) {
    const Cost cost = host.cost(chosen);
    if (cost < least) std::tie(least, best) = std::pair(cost, chosen);
  }
  return best;
}

Positions choose_one_by_one(const Host& host, std::size_t all, std::size_t count) {
  Positions best;
  while (best.size() < count) {
    std::optional<std::pair<Cost, Positions>> next;
    for (std::size_t i = 0; i < all; ++i) {
      if (std::ranges::find(best, i) != best.end()) continue;
      Positions with = best;
      with.insert(std::ranges::upper_bound(with, i), i);
      const Cost cost = host.cost(with);
      if (!next || cost < next->first) next.emplace(cost, std::move(with));
    }
    best = std::move(next->second);
  }
  return best;
}

}  // namespace

std::vector<std::size_t> choose_gpus(std::span<const Candidate> free, std::size_t count) {
  if (count == 0 || count > free.size()) return {};
  const Host host(free);
  return count_sets(free.size(), count) <= kSetsMax ? choose_best(host, free.size(), count)
                                                    : choose_one_by_one(host, free.size(), count);
}

}  // namespace airlock::gpu
