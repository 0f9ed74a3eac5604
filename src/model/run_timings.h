// RunTimings: where the time of a run went, as whoever drove it saw it.
//
// The steps follow one another; their sum is the time from submission to result, but for what a
// service needs to hand it on. A step that did not take place is zero. For measuring only: no
// verdict depends on it.
#pragma once

#include <chrono>

namespace airlock::model {

struct RunTimings {
  using Duration = std::chrono::nanoseconds;

  Duration wait{0};     // for a slot; runner::run alone has none
  Duration sandbox{0};  // one taken or asked for, files sent to it
  Duration compile{0};  // the whole phase
  Duration start{0};    // the program's streams made and its exec asked for, until it was executed
  Duration program{0};  // until its whole process tree was gone; Usage::wall
  Duration report{0};   // until that was told and its last byte had been read
  Duration collect{0};  // output files found and read
  Duration close{0};    // sandbox and workspace let go

  Duration total() const {
    return wait + sandbox + compile + start + program + report + collect + close;
  }
};

}  // namespace airlock::model
