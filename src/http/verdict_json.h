// Parts of a result as JSON: what the result object and a job's phases have in common.
//
// Keys and types are those of the API documentation. Text of guests is made printable.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "model/isolation.h"
#include "model/network.h"
#include "model/outcome.h"
#include "model/run_result.h"

namespace airlock::http {

// "outcome", "exit_code", "signal", "detail".
boost::json::object outcome_json(const model::Outcome& outcome);
boost::json::array limits_hit_json(const model::Outcome& outcome);
boost::json::object usage_json(const model::Usage& usage);
boost::json::object isolation_json(const model::Isolation& isolation);
boost::json::array denied_json(const std::vector<model::Denial>& denials);

// A run has one phase that matters, a job several.
enum class EgressPhases { kHidden, kShown };
boost::json::array egress_json(const std::vector<model::EgressEntry>& entries, EgressPhases phases);

}  // namespace airlock::http
