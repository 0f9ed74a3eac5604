// The modes of `execution.mode`, and which backends each of them stands for.
//
// Names and order only, the same for the service, the command line and doctor; whether a backend
// can be had on this host is not known here.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/isolation.h"

namespace airlock::backend {

inline constexpr std::string_view kDirect = "direct";
inline constexpr std::string_view kGvisor = "gvisor";
inline constexpr std::string_view kDocker = "docker";
inline constexpr std::string_view kDockerGvisor = "docker+gvisor";
inline constexpr std::string_view kAuto = "auto";  // direct

// In the order of --help.
std::span<const std::string_view> mode_names();

// What a backend holds against at best; "direct" may turn out to be less (Backend::level).
model::IsolationLevel level_of_backend(std::string_view name);

// Whether its sandboxes have an image for their root (SandboxSpec::image).
bool has_images(std::string_view name);

// The backends that are tried, one after the other where one is not available: the one that the
// mode names and, with `fallback`, those that can stand in for it. None of them is below `least`;
// empty if the mode's own is. `mode` is one of mode_names().
std::vector<std::string> backend_chain(std::string_view mode, bool fallback,
                                       model::IsolationLevel least);

// A name or digest of an image that can be part of a path of the Engine API: "debian:12",
// "registry.example.com/tools@sha256:..."; at most kImageNameMax bytes.
inline constexpr std::size_t kImageNameMax = 512;
bool is_image_name(std::string_view text);

}  // namespace airlock::backend
