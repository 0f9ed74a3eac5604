// Jobs and runners in words, from what a service says about them in JSON.
//
// Nothing in it is trusted to be there, and every text is escaped. Lines end with a newline. Times
// are those of the service, `now` among them.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "model/job.h"

namespace airlock::apps {

// "inference, 75 %", "completed"
std::string job_phase(const boost::json::object& job);
// "3 min 05 s": from start to end, or to now while it runs; "-" before.
std::string job_duration(const boost::json::object& job, model::WallTime now);
// "3 min 05 s", "2 d 5 h" since it was submitted; "-" if nobody knows.
std::string job_age(const boost::json::object& job, model::WallTime now);

// Everything about one job, for `airlock status JOB`. `server` as same_server() has it.
std::string describe_job(const boost::json::object& job, model::WallTime now,
                         std::string_view server);
// GET /v1/status, for `airlock status`.
std::string describe_runner(const boost::json::object& status);
// How it ended, and what to do next: the last words of --follow.
std::string describe_end(const boost::json::object& job, model::WallTime now,
                         std::string_view server);

}  // namespace airlock::apps
