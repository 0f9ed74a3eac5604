// JobDisplay: how a job that is followed looks while it runs.
//
// On a terminal: the log's lines scroll above one line that is redrawn, with state, progress, GPUs,
// and the time that the phase has taken and has left. Elsewhere: the log as it is, stdout to stdout
// and stderr to stderr, and a line on stderr for each change. As JSON: one object a line. What a
// guest wrote goes to a terminal without the sequences that could overwrite what we say.
#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "apps/airlock/log_entry.h"
#include "model/job.h"

namespace airlock::apps {

class JobDisplay {
 public:
  virtual ~JobDisplay() = default;

  // A job as GET /v1/jobs/{id} has it, at that time of the service.
  virtual void show_job(const boost::json::object& job, model::WallTime now) = 0;
  virtual void show_log(const LogEntry& entry, std::string_view json) = 0;
  virtual void note(std::string_view text) = 0;
  // Nothing half drawn is left.
  virtual void close() = 0;

  // Nobody reads what is written any more.
  bool broken() const { return broken_; }

 protected:
  void write(int fd, std::string_view text);

 private:
  bool broken_ = false;
};

enum class LogMarks { kNone, kPhases };

// kPhases: where a phase begins is said on stderr.
std::unique_ptr<JobDisplay> make_plain_display(LogMarks marks);
std::unique_ptr<JobDisplay> make_terminal_display();
std::unique_ptr<JobDisplay> make_json_display();

// The line of the terminal display, at most `columns_max` characters.
std::string status_line(const boost::json::object& job, model::WallTime now,
                        std::size_t columns_max);

}  // namespace airlock::apps
