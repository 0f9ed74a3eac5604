// Engine: what is needed of the Docker Engine API, over its unix socket.
//
// Knows no template and decides nothing: src/container/docker.cc does. Each call has a connection
// of its own and a time in which it has to be answered; answers are bounded. The API version is the
// lower one of the server's and kApiVersion.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/result.h"
#include "base/unique_fd.h"

namespace airlock::docker {

inline constexpr std::string_view kApiVersion = "1.43";
inline constexpr std::size_t kAnswerBytesMax = 4 << 20;
inline constexpr std::chrono::seconds kCallTimeout{60};
// Whether anybody is there at all shows sooner.
inline constexpr std::chrono::seconds kVersionTimeout{10};

struct Answer {
  unsigned status = 0;
  boost::json::value body;  // null where there is none, or no JSON
  // What the server said is wrong, for a person.
  std::string message() const;
};

class Engine {
 public:
  // Of $DOCKER_HOST's form: "unix:///var/run/docker.sock", or a path. Asks for the version, for at
  // most kVersionTimeout. `timeout` is that of each call.
  static base::Result<Engine> connect(const std::string& address,
                                      std::chrono::milliseconds timeout = kCallTimeout);

  // An error only where there was no answer; its code is kUnavailable.
  base::Result<Answer> get(const std::string& target) const;
  base::Result<Answer> post(const std::string& target, const boost::json::object& body = {}) const;
  base::Result<Answer> remove(const std::string& target) const;
  // The body is a tar.
  base::Result<Answer> put_tar(const std::string& target, std::string_view head,
                               const base::UniqueFd& content, std::uint64_t size,
                               std::string_view tail) const;
  base::Result<Answer> put_tar(const std::string& target, std::string_view tar) const;

  // Has an image pulled. Waits for `timeout` from one sign of progress to the next. An error also
  // where it could not be had, with dockerd's words.
  base::Status pull(const std::string& image) const;

  // stdin, stdout and stderr of a container that was made and not started yet, in one socket;
  // stdout and stderr come in Docker's frames (see unwrap()).
  base::Result<base::UniqueFd> attach(const std::string& container) const;

 private:
  base::Result<Answer> call(std::string_view verb, const std::string& target,
                            const boost::json::object* body) const;

  std::string path_;
  std::string version_;
  std::chrono::milliseconds timeout_{kCallTimeout};
};

// Takes whole frames of an attached stream from `wrapped` and appends those of stdout to `plain`;
// what was written to stderr goes to `other`. False: it is no such stream.
bool unwrap(std::string* wrapped, std::string* plain, std::string* other);

}  // namespace airlock::docker
