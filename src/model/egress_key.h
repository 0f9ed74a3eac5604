// What is counted in one EgressEntry: the phase, the destination and the verdict.
//
// Entries that are equal in it are the same line of the record, whatever their counts. A view: the
// entry outlives it.
#pragma once

#include <tuple>

#include "model/network.h"

namespace airlock::model {

inline auto egress_key(const EgressEntry& entry) {
  return std::tie(entry.phase, entry.host, entry.port, entry.allowed, entry.reason);
}

}  // namespace airlock::model
