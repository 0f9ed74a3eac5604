// Numbers as operators write them: counts, cores, switches, and the quantities of Kubernetes.
//
// Pure functions; sizes and durations of our own notation are base/units.h's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"

namespace airlock::config {

// Decimal digits only.
base::Result<std::uint32_t> parse_count(std::string_view text);

// Cores of a processor as percent of one: "1.5" is 150; between 0.01 and 1024.
base::Result<std::uint32_t> parse_cores(std::string_view text);

// "true", "1", "yes", "on" and their opposites, in any case.
base::Result<bool> parse_switch(std::string_view text);

// "2Gi" and "512Mi" are powers of 1024, "2G" and "512M" powers of 1000, "1000" is bytes.
base::Result<base::ByteCount> parse_kubernetes_bytes(std::string_view text);
// "1000m" is one core, as "1" is; the result is in percent of one.
base::Result<std::uint32_t> parse_kubernetes_cores(std::string_view text);

}  // namespace airlock::config
