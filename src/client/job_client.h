// JobClient: what can be asked about jobs, as calls.
//
// Answers are JSON objects, checked to be that and nothing more: see json_fields.h. Ids of jobs
// are checked before they become a path. A submission is sent again where the connection broke,
// under the same key, so that it makes one job. One thread.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "client/http_client.h"
#include "model/job.h"

namespace airlock::client {

inline constexpr int kSubmitAttemptsMax = 4;
inline constexpr std::size_t kJobIdBytesMax = 64;

struct JsonAnswer {
  boost::json::object object;
  std::string text;                            // as it came
  std::optional<model::WallTime> server_time;  // of the answer, if it says so
  bool replayed = false;                       // of a submission: it was here before
};

struct JobListQuery {
  std::string states;  // "prep,inference"; empty: all
  std::string validator;
  std::string miner;
  std::string text;
  std::uint64_t limit = 50;
  std::string cursor;  // empty: from the newest
};

// Letters, digits, '_' and '-'.
base::Status check_job_id(std::string_view id);

class JobClient {
 public:
  explicit JobClient(ClientOptions options) : http_(std::move(options)) {}

  const ClientOptions& options() const { return http_.options(); }

  base::Result<JsonAnswer> submit(const boost::json::object& request,
                                  std::string idempotency_key) const;
  base::Result<JsonAnswer> job(const std::string& id) const;
  base::Result<JsonAnswer> list(const JobListQuery& query) const;
  base::Result<JsonAnswer> status() const;
  base::Result<JsonAnswer> cancel(const std::string& id) const;
  // Entries from `offset` on; `phase` empty: the service chooses.
  base::Result<JsonAnswer> logs(const std::string& id, const std::string& phase,
                                std::uint64_t offset) const;
  base::Result<std::string> receipt(const std::string& id) const;
  // The content goes to `take`, piece by piece.
  base::Status output(const std::string& id, const std::string& path,
                      const std::function<base::Status(std::string_view)>& take) const;

 private:
  base::Result<JsonAnswer> ask(ClientRequest request) const;

  HttpClient http_;
};

}  // namespace airlock::client
