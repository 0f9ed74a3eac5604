#include "client/event_stream.h"

#include <optional>
#include <utility>

#include "base/check.h"

namespace airlock::client {
namespace {

ClientRequest request_of(std::string target, std::string last_event_id) {
  ClientRequest request;
  request.target = std::move(target);
  request.last_event_id = std::move(last_event_id);
  request.wants_events = true;
  return request;
}

}  // namespace

EventStream::EventStream(const ClientOptions& options, std::string target,
                         std::string last_event_id)
    : curl_(options.curl),
      transfer_(
          options, request_of(std::move(target), std::move(last_event_id)),
          [this](const HttpAnswer& head, std::string_view piece) { return take(head, piece); }),
      multi_(curl_.multi_init(), curl_.multi_cleanup) {
  AIRLOCK_CHECK(multi_ != nullptr);
  AIRLOCK_CHECK_EQ(curl_.multi_add_handle(multi_.get(), transfer_.handle()), CURLM_OK);
}

EventStream::~EventStream() { curl_.multi_remove_handle(multi_.get(), transfer_.handle()); }

base::Status EventStream::take(const HttpAnswer& head, std::string_view piece) {
  if (!head.header("content-type").starts_with("text/event-stream")) {
    return base::fail(base::ErrorCode::kProtocol, "the service sends no events where it should",
                      "is it an Airlock service?");
  }
  return parser_.feed(piece, events_);
}

base::Result<EventBatch> EventStream::wait(std::chrono::milliseconds patience, int wake_fd) {
  int running = 0;
  AIRLOCK_CHECK_EQ(curl_.multi_perform(multi_.get(), &running), CURLM_OK);
  if (running != 0 && events_.empty()) {
    curl_waitfd wake{.fd = wake_fd, .events = CURL_WAIT_POLLIN, .revents = 0};
    curl_.multi_poll(multi_.get(), &wake, wake_fd >= 0 ? 1 : 0, static_cast<int>(patience.count()),
                     nullptr);
    AIRLOCK_CHECK_EQ(curl_.multi_perform(multi_.get(), &running), CURLM_OK);
  }
  EventBatch batch{.events = std::exchange(events_, {}), .ended = false};
  // What came before a connection broke is given first; libcurl says the rest the next time.
  if (running != 0 || !batch.events.empty()) return batch;
  int left = 0;
  const CURLMsg* const message = curl_.multi_info_read(multi_.get(), &left);
  if (message != nullptr) AIRLOCK_TRY(transfer_.finish(message->data.result));
  batch.ended = true;
  return batch;
}

}  // namespace airlock::client
