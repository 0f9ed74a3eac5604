// The type of a GPU as weight classes name it: "H200", and "H200-1g-18gb" for a part of one.
//
// Made of the name that the driver gives; whatever that is, the type fits into a weight class. A
// pure function.
#pragma once

#include <string>
#include <string_view>

namespace airlock::gpu {

// Of NVML's name: "NVIDIA H200" is H200, "NVIDIA A100-SXM4-80GB" is A100, "NVIDIA H200 MIG 1g.18gb"
// is H200-1g-18gb. `override_type`, if not empty, is what every whole GPU is called, and
// `fallback` one whose name says nothing; either is also the first part of the type of an instance.
struct TypeNames {
  std::string override_type;
  std::string fallback = "GPU";
};
std::string type_of_gpu(std::string_view name, const TypeNames& names);

}  // namespace airlock::gpu
