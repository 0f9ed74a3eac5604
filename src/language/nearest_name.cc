#include "language/nearest_name.h"

#include <algorithm>
#include <vector>

namespace airlock::language {
namespace {

constexpr std::size_t kEditsMax = 2;
constexpr std::size_t kNameBytesMax = 64;  // longer names are no typing mistakes; bounds the work

// Optimal string alignment distance; three rows are enough to see swaps.
std::size_t count_edits(std::string_view from, std::string_view to) {
  std::vector<std::size_t> before_last(to.size() + 1);
  std::vector<std::size_t> last(to.size() + 1);
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t j = 0; j <= to.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= from.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[to.size()];
}

}  // namespace

std::optional<std::string> find_nearest_name(std::string_view name,
                                             std::span<const std::string> candidates) {
  if (name.empty() || name.size() > kNameBytesMax) return std::nullopt;
  const std::size_t allowed = std::min(kEditsMax, (name.size() - 1) / 2);
  std::optional<std::string> nearest;
  std::size_t fewest = allowed + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kNameBytesMax) continue;
    const std::size_t edits = count_edits(name, candidate);
    if (edits < fewest) {
      fewest = edits;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string did_you_mean(std::string_view name, std::span<const std::string> candidates) {
  const auto nearest = find_nearest_name(name, candidates);
  return nearest ? "; did you mean \"" + *nearest + "\"?" : "";
}

}  // namespace airlock::language
