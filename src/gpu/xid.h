// Xids: errors that NVIDIA's driver reports of a GPU, and which of them the GPU survives.
//
// A program may cause some of them by a mistake, or wilfully, and the GPU is as good as before:
// these are listed. After any other, known or not, the GPU is not given to anybody before a person
// has looked at it. Sources: NVIDIA, "XID Errors" (docs.nvidia.com/deploy/xid-errors), and what
// NVIDIA's own device plugin for Kubernetes ignores as errors of applications.
#pragma once

#include <cstdint>
#include <string>

namespace airlock::gpu {

bool is_xid_of_program(std::uint64_t code);

// "Xid 79: the GPU has fallen off the bus"
std::string describe_xid(std::uint64_t code);

}  // namespace airlock::gpu
