#include "names.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace airlock::policygen {
namespace {

// Levenshtein's distance, one row at a time.
std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string suggest_name(std::string_view name, std::span<const std::string_view> valid) {
  std::size_t best_distance = name.size() / 3 + 2;
  std::string_view best;
  for (const std::string_view candidate : valid) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  if (best.empty()) return "";
  return ", did you mean '" + std::string(best) + "'?";
}

}  // namespace airlock::policygen
