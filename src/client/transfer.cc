#include "client/transfer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/check.h"
#include "client/answer_error.h"

namespace airlock::client {
namespace {

constexpr artifact::AnswerLimits kLimits = {.server = "the service",
                                            .body_bytes_max = kBodyBytesMax};
constexpr std::string_view kStartOne =
    "start one with: airlock serve; another is named by --server or AIRLOCK_SERVER";

}  // namespace

struct Transfer::State {
  const ClientOptions& options;
  ClientRequest request;
  Sink sink;
  std::string url = {};
  HttpAnswer answer = {};
  std::optional<base::Error> stopped = {};  // by us, from within a callback
  std::array<char, CURL_ERROR_SIZE> curl_text = {};
  std::unique_ptr<curl_slist, decltype(&::curl_slist_free_all)> headers = {nullptr, nullptr};

  bool stop(base::Error error) {
    if (!stopped) stopped = std::move(error);
    return false;
  }

  bool go_on(base::Status taken) { return taken ? true : stop(std::move(taken).error()); }

  bool look_around() {
    if (!options.interrupted || !options.interrupted()) return true;
    return stop({base::ErrorCode::kCancelled, 0, "interrupted", {}});
  }

  // What libcurl calls; `self` is the State that was given to it.
  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self) {
    auto& state = *static_cast<State*>(self);
    return state.go_on(artifact::take_head_line(state.answer, {data, size}, kLimits)) ? size : 0;
  }
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self) {
    auto& state = *static_cast<State*>(self);
    auto taken = artifact::take_body(state.answer, {data, size}, state.sink, kLimits);
    return state.go_on(std::move(taken)) ? size : CURL_WRITEFUNC_ERROR;
  }
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<State*>(self)->look_around() ? 0 : 1;
  }
};

Transfer::Transfer(const ClientOptions& options, ClientRequest request, Sink sink)
    : state_(std::make_unique<State>(options, std::move(request), std::move(sink))),
      handle_(nullptr, options.curl.easy_cleanup) {
  AIRLOCK_CHECK(options.curl.easy_init != nullptr);
  handle_.reset(options.curl.easy_init());
  AIRLOCK_CHECK(handle_ != nullptr);
  state_->url = options.server.base + state_->request.target;
  set_options();
  set_headers();
}

Transfer::~Transfer() = default;

void Transfer::set_options() {
  const ClientOptions& options = state_->options;
  const auto set = [this, &options](CURLoption option, auto value) {
    AIRLOCK_CHECK_EQ(options.curl.easy_setopt(handle_.get(), option, value), CURLE_OK);
  };
  set(CURLOPT_URL, state_->url.c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, state_->curl_text.data());
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME,
      static_cast<long>(std::chrono::ceil<std::chrono::seconds>(options.stall_timeout).count()));
  if (!state_->sink) { set(CURLOPT_TIMEOUT_MS, static_cast<long>(options.whole_timeout.count())); }
  set(CURLOPT_HEADERFUNCTION, &State::on_header);
  set(CURLOPT_HEADERDATA, state_.get());
  set(CURLOPT_WRITEFUNCTION, &State::on_body);
  set(CURLOPT_WRITEDATA, state_.get());
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &State::on_progress);
  set(CURLOPT_XFERINFODATA, state_.get());
  if (options.server.loopback) set(CURLOPT_PROXY, "");
  if (!options.ca_file.empty()) set(CURLOPT_CAINFO, options.ca_file.c_str());
  if (state_->request.method == "POST") {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(state_->request.body.size()));
    set(CURLOPT_POSTFIELDS, state_->request.body.data());
  } else if (state_->request.method != "GET") {
    set(CURLOPT_CUSTOMREQUEST, state_->request.method.c_str());
  }
}

void Transfer::set_headers() {
  const artifact::CurlFunctions& curl = state_->options.curl;
  curl_slist* list = nullptr;
  const auto add = [&list, &curl](const std::string& line) {
    curl_slist* const longer = curl.slist_append(list, line.c_str());
    AIRLOCK_CHECK(longer != nullptr);
    list = longer;
  };
  const ClientRequest& request = state_->request;
  const std::string& key = state_->options.api_key;
  if (!key.empty()) add("Authorization: Bearer " + key);
  add(request.method == "POST" ? "Content-Type: application/json" : "Content-Type:");
  add(request.wants_events ? "Accept: text/event-stream" : "Accept: */*");
  add("Expect:");  // a service answers at once, and does not say 100 first
  if (!request.idempotency_key.empty()) add("Idempotency-Key: " + request.idempotency_key);
  if (!request.last_event_id.empty()) add("Last-Event-ID: " + request.last_event_id);
  state_->headers = {list, curl.slist_free_all};
  AIRLOCK_CHECK_EQ(curl.easy_setopt(handle_.get(), CURLOPT_HTTPHEADER, list), CURLE_OK);
}

// The system says it shorter than libcurl does.
base::Error Transfer::unreachable() const {
  long os_errno = 0;
  state_->options.curl.easy_getinfo(handle_.get(), CURLINFO_OS_ERRNO, &os_errno);
  return {base::ErrorCode::kUnavailable, static_cast<int>(os_errno),
          "no service answers at " + state_->options.server.base, std::string(kStartOne)};
}

base::Error Transfer::error_of(int curl_code) const {
  if (state_->stopped) return *state_->stopped;
  const std::string& server = state_->options.server.base;
  const std::string said =
      state_->curl_text[0] != '\0'
          ? state_->curl_text.data()
          : state_->options.curl.easy_strerror(static_cast<CURLcode>(curl_code));
  const auto error = [&](base::ErrorCode code, const std::string& what, std::string_view hint) {
    return base::Error{code, 0, what + " (" + said + ")", std::string(hint)};
  };
  switch (curl_code) {
    case CURLE_COULDNT_CONNECT: return unreachable();
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return error(base::ErrorCode::kUnavailable, "no service answers at " + server, kStartOne);
    case CURLE_OPERATION_TIMEDOUT:
      return error(base::ErrorCode::kUnavailable, server + " did not answer in time", "");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return error(base::ErrorCode::kPermissionDenied,
                   "the certificate of " + server + " is not to be trusted",
                   "a private authority, or a certificate that signs itself, is named with "
                   "--ca-file");
    case CURLE_SSL_CONNECT_ERROR:
      return error(base::ErrorCode::kUnavailable, "no TLS connection to " + server,
                   "is it http:// on that port?");
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
      return error(base::ErrorCode::kIo, "the connection to " + server + " broke", "");
    default:
      return error(base::ErrorCode::kProtocol, "what " + server + " answers is not understood",
                   "is it an Airlock service?");
  }
}

base::Result<HttpAnswer> Transfer::finish(int curl_code) {
  HttpAnswer& answer = state_->answer;
  // A server that refuses may do so before it has read all, and close.
  const bool refused = answer.status >= 400;
  if (state_->stopped || (curl_code != CURLE_OK && !refused)) {
    return base::fail(error_of(curl_code));
  }
  if (!answer.is_success()) return base::fail(answer_error(answer.status, answer.body));
  return std::move(answer);
}

}  // namespace airlock::client
