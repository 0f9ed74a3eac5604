// The value of a Server-Timing header (a recommendation of the W3C): where the time of a run went.
//
// "parse;dur=0.021, wait;dur=0.004, ..., answer;dur=0.08": the steps of model::RunTimings in their
// order, between reading the request and making the answer; in milliseconds, one digit for each
// microsecond. Steps that took no time at all are left out. A pure function.
#pragma once

#include <string>

#include "model/run_timings.h"

namespace airlock::http {

struct ServiceTimings {
  model::RunTimings::Duration parse{0};  // the request read and checked, its files laid out
  model::RunTimings run;
  model::RunTimings::Duration answer{0};  // the result handed over and put into words
};

std::string server_timing(const ServiceTimings& timings);

}  // namespace airlock::http
