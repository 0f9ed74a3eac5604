// ServeOptions: what `airlock serve` was asked for, by flags, environment and defaults.
//
// Flag over environment over default. AMON_SANDBOX_HOST, _PORT, _API_KEY and _MAX_CONCURRENCY are
// aliases below our own. What cannot be obeyed is refused with its name. Reads no file but the one
// that --api-key-file names.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
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
  std::string allow_tier;       // "process", or empty
  std::uint32_t slots = 0;      // runs at once; 0: by the number of processors
  std::uint32_t waiting_max = 256;
  std::chrono::milliseconds wait_max{10'000};
  std::optional<std::uint32_t> parked_max;  // sandboxes ready; as many as slots if not said
  http::RunLimitsPolicy limits;
  http::AmonLimits amon;
};

// What runs, what is parked and what is ending share the 1,024 slots of jail::kSlotsMax.
inline constexpr std::uint32_t kSlotsMax = 256;
inline constexpr std::uint32_t kWaitingMax = 1'000'000;
inline constexpr std::size_t kApiKeyBytesMin = 16;
inline constexpr std::size_t kApiKeyBytesMax = 512;

struct ServeHelp {
  std::string text;
};

// Where a service listens whose flags say nothing: by the variables, or the default.
base::Result<ListenAddress> default_listen_address();

// The daemon takes the key that its supervisor has found.
enum class KeyFrom { kAnywhere, kVariable };

base::Result<std::variant<ServeOptions, ServeHelp>> parse_serve_options(
    std::vector<std::string> words, KeyFrom key_from = KeyFrom::kAnywhere);

// A key that a client could send, without the newline at its end. `where` is for errors.
base::Result<std::string> read_key_from(int fd, const std::string& where);

}  // namespace airlock::apps
