#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>

#include "base/ids.h"
#include "queue/simulation/trace.h"

namespace airlock::queue {
namespace {

constexpr Duration kShortest = std::chrono::seconds(5);
constexpr Duration kLongest = std::chrono::hours(24);
constexpr double kMedianSeconds = 600;  // of a log-normal distribution
constexpr double kSpread = 1.6;         // its sigma

struct Share {
  std::uint32_t gpus;
  double of_jobs;
};
constexpr std::array<Share, 4> kShares = {{{1, 0.50}, {2, 0.20}, {4, 0.15}, {8, 0.15}}};

// Numbers that are the same on every machine: of the standard library's only the engines are.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}

  double uniform() {  // 0 to 1, never 0
    std::array<std::byte, 8> bytes{};
    random_.fill(bytes);
    return (static_cast<double>(std::bit_cast<std::uint64_t>(bytes) >> 11) + 1) * 0x1p-53;
  }
  double exponential() { return -std::log(uniform()); }
  double normal() {
    return std::sqrt(2 * exponential()) * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  base::SeededRandom random_;
};

std::uint32_t draw_gpus(Dice& dice, std::uint32_t gpus_max) {
  double at = dice.uniform();
  std::uint32_t largest = 1;
  for (const Share& share : kShares) {
    if (share.gpus > gpus_max) break;
    largest = share.gpus;
    if (at <= share.of_jobs) break;
    at -= share.of_jobs;
  }
  return largest;
}

Duration draw_duration(Dice& dice) {
  const double seconds = kMedianSeconds * std::exp(kSpread * dice.normal());
  return std::clamp(Duration(std::llround(seconds) * 1'000'000), kShortest, kLongest);
}

}  // namespace

std::vector<TraceJob> make_mix(const MixOptions& options) {
  Dice dice(options.seed);
  std::vector<TraceJob> jobs(options.jobs);
  double gpu_seconds = 0;
  for (TraceJob& job : jobs) {
    job.ask.gpus = draw_gpus(dice, options.gpus);
    job.duration = draw_duration(dice);
    job.bound = job.duration;
    const auto tenant =
        static_cast<std::size_t>(dice.uniform() * 0.999'999 * static_cast<double>(options.tenants));
    job.tenant = "tenant-" + std::to_string(tenant + 1);
    gpu_seconds += job.ask.gpus * std::chrono::duration<double>(job.duration).count();
  }
  const double span = gpu_seconds / (options.load * std::max(options.gpus, 1U));
  const double gap = span / static_cast<double>(std::max<std::size_t>(options.jobs, 1));
  double now = 0;
  for (TraceJob& job : jobs) {
    job.arrival = Duration(std::llround(now * 1e6));
    now += gap * dice.exponential();
  }
  return jobs;
}

}  // namespace airlock::queue
