// Which of the free GPUs a lease gets.
//
// First what is good for the job: a set in which NVLink joins all, then as few NUMA nodes as
// possible. Then what is good for the next jobs: GPUs that are together anyhow (linked, on one
// node, instances of one GPU) are kept together, so that from two half used quads the smaller rest
// is given, and a job with four finds a whole quad. Then the fewest gaps, the shortest block, the
// lowest numbers. Every set is looked at up to kSetsMax of them; beyond that one GPU after the
// other is chosen. A pure function.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace airlock::gpu {

inline constexpr std::uint64_t kSetsMax = 20'000;

struct Candidate {
  std::uint32_t place = 0;  // among all GPUs of the type, free or not; in ascending order
  std::string uuid;
  std::string parent;
  std::optional<std::uint32_t> numa_node;
  std::vector<std::string> nvlink_peers;
};

// Positions in `free`, ascending. `count` is at most as many as are free.
std::vector<std::size_t> choose_gpus(std::span<const Candidate> free, std::size_t count);

}  // namespace airlock::gpu
