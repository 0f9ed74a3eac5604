// ServeOptions: what `airlock serve` was asked for, by flags, environment and defaults.
//
// Flag over environment over default. The names of the drop-in contracts (AMON_SANDBOX_*, and with
// --compat swissbrain PORT, HOST and so on) are aliases below our own. What cannot be obeyed is
// refused with its name. Reads no file but the one that --api-key-file names.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "apps/airlock/listen_address.h"
#include "base/result.h"
#include "http/service.h"

namespace airlock::apps {

struct ServeOptions {
  std::vector<ListenAddress> listen;
  std::string state_directory;  // empty: the default
  std::string api_key;          // empty: none
  std::string user;             // whom the daemon becomes; empty: an id of its own
  std::uint32_t slots = 0;      // runs at once; 0: by the number of processors
  std::uint32_t waiting_max = 256;
  std::chrono::milliseconds wait_max{10'000};
  std::uint32_t parked_max = 0;  // sandboxes ready; 0: as many as slots
  http::RunLimitsPolicy limits;
  http::AmonLimits amon;
};

inline constexpr std::uint32_t kSlotsMax = 4'096;
inline constexpr std::size_t kApiKeyBytesMin = 16;
inline constexpr std::size_t kApiKeyBytesMax = 512;

struct ServeHelp {
  std::string text;
};

// Where a service listens whose flags say nothing: by the variables, or the default.
base::Result<ListenAddress> default_listen_address();

base::Result<std::variant<ServeOptions, ServeHelp>> parse_serve_options(
    std::vector<std::string> words);

}  // namespace airlock::apps
