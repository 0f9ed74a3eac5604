#include "gpu/gpu_type.h"

#include <algorithm>
#include <array>

namespace airlock::gpu {
namespace {

constexpr std::string_view kMig = " MIG ";
constexpr std::size_t kTypeBytesMax = 32;  // of a weight class (model/job.h)
// What stands before the part of a name that tells GPUs apart.
constexpr std::array<std::string_view, 7> kMakers = {"NVIDIA ", "Tesla ",    "Quadro ", "GeForce ",
                                                     "HGX ",    "Graphics ", "DGX "};

// Only what a weight class can hold.
std::string as_type(std::string_view text) {
  std::string type;
  for (const char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    type += plain || c == '_' ? c : '-';
  }
  return type.substr(0, kTypeBytesMax);
}

// "H200" of "NVIDIA H200", "A100" of "NVIDIA A100-SXM4-80GB", "RTX-6000" of "NVIDIA RTX 6000 Ada".
std::string type_of_whole(std::string_view name) {
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view maker : kMakers) {
      if (!name.starts_with(maker)) continue;
      name.remove_prefix(maker.size());
      again = true;
    }
  }
  std::size_t end = name.find_first_of(" -");
  if (name.substr(0, end) == "RTX" && end != std::string_view::npos) {
    end = name.find_first_of(" -", end + 1);
  }
  return as_type(name.substr(0, end));
}

}  // namespace

std::string type_of_gpu(std::string_view name, const TypeNames& names) {
  const std::size_t mig = name.find(kMig);
  std::string type =
      names.override_type.empty() ? type_of_whole(name.substr(0, mig)) : names.override_type;
  if (type.empty()) type = names.fallback;
  if (mig == std::string_view::npos) return type;
  return as_type(type + "-" + std::string(name.substr(mig + kMig.size())));
}

}  // namespace airlock::gpu
