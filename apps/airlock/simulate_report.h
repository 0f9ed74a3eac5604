// What `airlock simulate` prints: a summary or a comparison, as text or as JSON.
//
// One simulation is one JSON object of its figures; several are an object `policies` of such
// objects by name. Durations are seconds in JSON, and in text whatever unit is easy to read.
#pragma once

#include <span>
#include <string>

#include "queue/simulation/summary.h"

namespace airlock::apps {

struct Simulated {
  std::string policy;
  queue::Summary summary;
};

// What was simulated: the same for all policies.
struct SimulationHead {
  std::string trace;  // its name; empty: a mix
  double load = 0;    // of the mix, 0 to 1
  std::uint64_t seed = 0;
  std::uint32_t gpus = 0;
  std::size_t jobs = 0;
  std::string estimate;
};

std::string simulation_json(const SimulationHead& head, std::span<const Simulated> simulated);
std::string simulation_text(const SimulationHead& head, std::span<const Simulated> simulated);

}  // namespace airlock::apps
