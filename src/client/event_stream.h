// EventStream: one connection on which a service sends events, read without blocking for long.
//
// wait() gives what has come. An end of the connection between two events is an end; in the middle
// of an answer it is kIo. Nothing is read while nobody waits, so that a reader that is
// slow slows the service. One thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "client/event_parser.h"
#include "client/transfer.h"

namespace airlock::client {

struct EventBatch {
  std::vector<ServerEvent> events;
  bool ended = false;
};

class EventStream {
 public:
  // The options are borrowed. `last_event_id` empty: from where the service begins.
  EventStream(const ClientOptions& options, std::string target, std::string last_event_id);
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;
  ~EventStream();

  // At most `patience`, or until `wake_fd` (-1: none) is readable. May give nothing.
  base::Result<EventBatch> wait(std::chrono::milliseconds patience, int wake_fd);

 private:
  base::Status take(const HttpAnswer& head, std::string_view piece);

  EventParser parser_;
  std::vector<ServerEvent> events_;
  const artifact::CurlFunctions& curl_;
  Transfer transfer_;
  std::unique_ptr<CURLM, decltype(&::curl_multi_cleanup)> multi_;
};

}  // namespace airlock::client
