#include "queue/resources.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/units.h"

namespace airlock::queue {
namespace {

using base::ByteCount;

template <typename T>
T less(T a, T b) {
  return a > b ? a - b : T{0};
}

ByteCount less(ByteCount a, ByteCount b) { return ByteCount(less(a.count(), b.count())); }

double part(double held, double total) { return total > 0 ? held / total : 0; }

std::string cores(std::uint32_t millis) {
  std::string text = std::to_string(millis / 1'000);
  if (millis % 1'000 != 0) text += "." + std::to_string(1'000 + millis % 1'000).substr(1);
  return text + " cores";
}

std::string sentence(const std::string& asked, const std::string& there) {
  return "it asks for " + asked + ", the host has " + there;
}

}  // namespace

bool fits(const Resources& ask, const Resources& free) {
  return ask.gpus <= free.gpus && ask.cpu_millis <= free.cpu_millis && ask.memory <= free.memory &&
         ask.disk <= free.disk;
}

Resources plus(const Resources& a, const Resources& b) {
  return {.gpus = a.gpus + b.gpus,
          .cpu_millis = a.cpu_millis + b.cpu_millis,
          .memory = ByteCount(a.memory.count() + b.memory.count()),
          .disk = ByteCount(a.disk.count() + b.disk.count())};
}

Resources minus(const Resources& a, const Resources& b) {
  return {.gpus = less(a.gpus, b.gpus),
          .cpu_millis = less(a.cpu_millis, b.cpu_millis),
          .memory = less(a.memory, b.memory),
          .disk = less(a.disk, b.disk)};
}

double dominant_share(const Resources& held, const Resources& total) {
  const std::array parts = {
      part(held.gpus, total.gpus), part(held.cpu_millis, total.cpu_millis),
      part(static_cast<double>(held.memory.count()), static_cast<double>(total.memory.count())),
      part(static_cast<double>(held.disk.count()), static_cast<double>(total.disk.count()))};
  return std::min(std::ranges::max(parts), 1.0);
}

std::string why_impossible(const WaitingJob& job, const Host& host) {
  const Resources& ask = job.ask;
  const Resources& total = host.total;
  if (ask.gpus > total.gpus) {
    return sentence(std::to_string(ask.gpus) + (ask.gpus == 1 ? " GPU" : " GPUs"),
                    total.gpus == 0 ? "none" : std::to_string(total.gpus));
  }
  if (ask.gpus > 0 && !job.gpu_type.empty() && !host.gpu_type.empty() &&
      job.gpu_type != host.gpu_type) {
    return sentence("GPUs of type " + job.gpu_type, host.gpu_type);
  }
  if (ask.cpu_millis > total.cpu_millis) {
    return sentence(cores(ask.cpu_millis), cores(total.cpu_millis));
  }
  if (ask.memory > total.memory) {
    return sentence(base::format_byte_count(ask.memory) + " of memory",
                    base::format_byte_count(total.memory));
  }
  if (ask.disk > total.disk) {
    return sentence(base::format_byte_count(ask.disk) + " of disk",
                    base::format_byte_count(total.disk));
  }
  return {};
}

}  // namespace airlock::queue
