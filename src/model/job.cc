#include "model/job.h"

#include <algorithm>
#include <array>

namespace airlock::model {
namespace {

constexpr std::array<std::string_view, kJobStates> kStateNames = {
    "pending",   "cloning", "building", "prep",     "inference",
    "completed", "failed",  "timeout",  "cancelled"};
constexpr std::array<std::uint32_t, 5> kGpuCounts = {0, 1, 2, 4, 8};
constexpr std::size_t kGpuTypeBytesMax = 32;

bool is_type_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

}  // namespace

std::string_view job_state_name(JobState state) {
  return kStateNames[static_cast<std::size_t>(state)];
}

std::optional<JobState> find_job_state(std::string_view name) {
  const auto found = std::ranges::find(kStateNames, name);
  if (found == kStateNames.end()) return std::nullopt;
  return static_cast<JobState>(found - kStateNames.begin());
}

std::string WeightClass::to_string() const { return std::to_string(gpus) + "x" + gpu_type; }

base::Result<WeightClass> parse_weight_class(std::string_view text) {
  const auto refuse = [&] {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "\"" + std::string(text.substr(0, 64)) + "\" is no weight class",
                      "0x is a job without GPUs; 1x, 2x, 4x or 8x come with a type: 1xH200");
  };
  if (text.size() < 2 || text[1] != 'x') return refuse();
  const auto gpus = static_cast<std::uint32_t>(text[0] - '0');
  if (std::ranges::find(kGpuCounts, gpus) == kGpuCounts.end()) return refuse();
  const std::string_view type = text.substr(2);
  const bool has_type =
      !type.empty() && type.size() <= kGpuTypeBytesMax && std::ranges::all_of(type, is_type_char);
  if ((gpus == 0) != type.empty() || (gpus != 0 && !has_type)) return refuse();
  return WeightClass{gpus, std::string(type)};
}

}  // namespace airlock::model
