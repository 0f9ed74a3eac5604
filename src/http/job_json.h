// Jobs as JSON: the answers of the job routes.
//
// Keys, types and times (UTC without a zone, microseconds) are those of the contract that clients
// of the evaluation host know; what is ours stands beside them. Text of guests is made printable.
// One line each, without a newline at its end. docs/http-api.md has them all.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>

#include "http/api_error.h"
#include "model/job.h"

namespace airlock::http {

// "2025-01-30T12:00:00.000000"
std::string naive_time(model::WallTime time);
boost::json::value naive_time_or_null(const std::optional<model::WallTime>& time);

// {"detail": ...} as the contract has it: a list for 422, else a text.
std::string job_error_json(const ApiError& error);

// Of POST /v1/jobs/submit. No estimate for the job that is next.
std::string submitted_json(const model::JobRecord& record, std::uint32_t position,
                           const std::optional<model::WallTime>& estimated_start);
// Of GET /v1/jobs/{id}.
boost::json::object job_json(const model::JobRecord& record);
// A line of GET /v1/jobs and of the dashboard.
boost::json::object job_summary_json(const model::JobRecord& record);
// Of GET /v1/jobs/{id}/results.
std::string job_results_json(const model::JobRecord& record, boost::json::value metrics);

// Seconds from the start of the attempt to the end of the job.
boost::json::value execution_seconds(const model::JobRecord& record);

}  // namespace airlock::http
