#include "artifact/http_call.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "artifact/curl_functions.h"
#include "artifact/names.h"
#include "base/check.h"

namespace airlock::artifact {
namespace {

constexpr AnswerLimits kLimits = {.server = "the server", .body_bytes_max = kAnswerBytesMax};

// "https://host" of a URL: a path could hold a signature.
std::string host_of(const std::string& url) {
  return url.substr(0, url.find('/', url.find("://") + 3));
}

}  // namespace

struct HttpCall::Connections {
  CurlFunctions curl;
  std::unique_ptr<CURL, decltype(&::curl_easy_cleanup)> handle;

  void set(CURLoption option, auto value) const {
    AIRLOCK_CHECK_EQ(curl.easy_setopt(handle.get(), option, value), CURLE_OK);
  }
};

struct HttpCall::Exchange {
  const HttpRequest& request;
  const Control& control;
  const base::Clock& clock;
  HttpAnswer answer = {};
  std::optional<base::Error> stopped = {};  // by us, from within a callback
  std::uint64_t sent = 0;
  std::array<char, CURL_ERROR_SIZE> curl_text = {};
  std::unique_ptr<curl_slist, decltype(&::curl_slist_free_all)> headers = {nullptr, nullptr};

  bool stop(base::Error error) {
    if (!stopped) stopped = std::move(error);
    return false;
  }

  bool go_on(base::Status taken) { return taken ? true : stop(std::move(taken).error()); }

  // 0: the end; nothing: stopped.
  std::optional<std::size_t> give_body(char* into, std::size_t room) {
    const bool is_file = request.file.fd >= 0;
    const std::uint64_t size = is_file ? request.file.size : request.body.size();
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(room, size - sent));
    if (wanted == 0) return 0;
    if (!is_file) {
      request.body.copy(into, wanted, sent);
      sent += wanted;
      return wanted;
    }
    ssize_t got = 0;
    do {
      got = ::pread(request.file.fd, into, wanted, static_cast<off_t>(request.file.offset + sent));
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
      stop(base::errno_error("read the file to upload"));
      return std::nullopt;
    }
    if (got == 0) {
      stop({base::ErrorCode::kInvalidArgument, 0, "the file became shorter while it was read", {}});
      return std::nullopt;
    }
    sent += static_cast<std::uint64_t>(got);
    if (control.on_bytes) control.on_bytes(request.file.offset + sent);
    return static_cast<std::size_t>(got);
  }

  bool look_around() { return go_on(check_control(control, clock)); }

  // What libcurl calls; `self` is the Exchange that was given to it.
  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self) {
    auto& exchange = *static_cast<Exchange*>(self);
    return exchange.go_on(take_head_line(exchange.answer, {data, size}, kLimits)) ? size : 0;
  }
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self) {
    auto& exchange = *static_cast<Exchange*>(self);
    auto taken = take_body(exchange.answer, {data, size}, exchange.request.sink, kLimits);
    return exchange.go_on(std::move(taken)) ? size : CURL_WRITEFUNC_ERROR;
  }
  static std::size_t on_read(char* data, std::size_t, std::size_t room, void* self) {
    return static_cast<Exchange*>(self)->give_body(data, room).value_or(CURL_READFUNC_ABORT);
  }
  static int on_seek(void* self, curl_off_t offset, int origin) {
    if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_FAIL;
    static_cast<Exchange*>(self)->sent = static_cast<std::uint64_t>(offset);
    return CURL_SEEKFUNC_OK;
  }
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Exchange*>(self)->look_around() ? 0 : 1;
  }
};

HttpCall::HttpCall(std::string ca_file, S3Timeouts timeouts, const base::Clock& clock,
                   const char* curl_library)
    : ca_file_(std::move(ca_file)),
      timeouts_(timeouts),
      clock_(clock),
      curl_library_(curl_library) {}

HttpCall::~HttpCall() = default;

base::Status HttpCall::open() {
  if (connections_ != nullptr) return {};
  AIRLOCK_ASSIGN(const CurlFunctions curl, load_curl(curl_library_));
  CURL* const handle = curl.easy_init();
  AIRLOCK_CHECK(handle != nullptr);
  connections_ =
      std::make_unique<Connections>(curl, decltype(Connections::handle)(handle, curl.easy_cleanup));
  return {};
}

void HttpCall::set_common(const HttpRequest& request, Exchange& exchange) {
  const CurlFunctions& curl = connections_->curl;
  const auto set = [this](CURLoption option, auto value) { connections_->set(option, value); };
  curl.easy_reset(connections_->handle.get());
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PATH_AS_IS, 1L);  // what was signed is what is sent
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, exchange.curl_text.data());
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeouts_.connect.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(timeouts_.stall.count()));
  set(CURLOPT_HEADERFUNCTION, &Exchange::on_header);
  set(CURLOPT_HEADERDATA, &exchange);
  set(CURLOPT_WRITEFUNCTION, &Exchange::on_body);
  set(CURLOPT_WRITEDATA, &exchange);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &Exchange::on_progress);
  set(CURLOPT_XFERINFODATA, &exchange);
  if (!ca_file_.empty()) set(CURLOPT_CAINFO, ca_file_.c_str());
  curl_slist* list = nullptr;
  const auto add = [&list, &curl](const std::string& line) {
    curl_slist* const longer = curl.slist_append(list, line.c_str());
    AIRLOCK_CHECK(longer != nullptr);
    list = longer;
  };
  for (const auto& [name, value] : request.headers) {
    std::string line = name;
    line.append(": ").append(value);
    add(line);
  }
  add("Content-Type:");  // none, rather than that of a form
  exchange.headers = {list, curl.slist_free_all};
  set(CURLOPT_HTTPHEADER, list);
}

void HttpCall::set_method(const HttpRequest& request, Exchange& exchange) {
  const auto set = [this](CURLoption option, auto value) { connections_->set(option, value); };
  if (request.method == "GET") {
    set(CURLOPT_HTTPGET, 1L);
  } else if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (request.method == "PUT") {
    const std::uint64_t size = request.file.fd >= 0 ? request.file.size : request.body.size();
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_READFUNCTION, &Exchange::on_read);
    set(CURLOPT_READDATA, &exchange);
    set(CURLOPT_SEEKFUNCTION, &Exchange::on_seek);
    set(CURLOPT_SEEKDATA, &exchange);
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
    set(CURLOPT_UPLOAD_BUFFERSIZE, static_cast<long>(kCopyBytes));
  } else if (request.method == "POST") {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_POSTFIELDS, request.body.data());
  } else {
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

Failure HttpCall::failure_of(int code, const Exchange& exchange, const HttpRequest& request) const {
  if (exchange.stopped) return {.error = *exchange.stopped, .may_pass = false};
  const std::string host = host_of(request.url);
  const std::string said = exchange.curl_text[0] != '\0'
                               ? exchange.curl_text.data()
                               : connections_->curl.easy_strerror(static_cast<CURLcode>(code));
  const auto failure = [&](base::ErrorCode kind, const std::string& what, const char* hint,
                           bool may_pass) {
    return Failure{.error = {kind, 0, what + " (" + said + ")", hint}, .may_pass = may_pass};
  };
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return failure(base::ErrorCode::kUnavailable, "the address of " + host + " is not known",
                     "look at the endpoint's name and at the name servers", true);
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return failure(base::ErrorCode::kUnavailable, host + " cannot be reached",
                     "is the server up, and the endpoint's host and port right?", true);
    case CURLE_OPERATION_TIMEDOUT:
      return failure(base::ErrorCode::kUnavailable, host + " did not answer in time",
                     "the server or the way to it is too slow, or gone", true);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return failure(base::ErrorCode::kPermissionDenied,
                     "the certificate of " + host + " is not to be trusted",
                     "a private authority has to be named: storage.s3_ca_file or S3_CA_FILE",
                     false);
    case CURLE_SSL_CONNECT_ERROR:
      return failure(base::ErrorCode::kUnavailable, "no TLS connection to " + host,
                     "is it http:// on that port? Otherwise the versions of TLS do not meet", true);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_FAIL_REWIND:
      return failure(base::ErrorCode::kUnavailable, "the connection to " + host + " broke", "",
                     true);
    default:
      return failure(base::ErrorCode::kProtocol, "the exchange with " + host + " failed", "",
                     false);
  }
}

Attempt<HttpAnswer> HttpCall::perform(const HttpRequest& request, const Control& control) {
  Exchange exchange{.request = request, .control = control, .clock = clock_};
  if (!exchange.look_around()) return std::unexpected(failure_of(CURLE_OK, exchange, request));
  if (auto opened = open(); !opened) {
    // There may have been no descriptors or memory for it.
    return std::unexpected(Failure{.error = std::move(opened).error(), .may_pass = true});
  }
  set_common(request, exchange);
  set_method(request, exchange);
  const CURLcode code = connections_->curl.easy_perform(connections_->handle.get());
  // The handle outlives what its options point to.
  connections_->set(CURLOPT_ERRORBUFFER, nullptr);
  connections_->set(CURLOPT_HTTPHEADER, nullptr);
  if (code == CURLE_OK && !exchange.stopped) return std::move(exchange.answer);
  // A server that refuses may do so before it has read all, and close.
  const bool was_refused = code == CURLE_SEND_ERROR && exchange.answer.status >= 300;
  if (was_refused && !exchange.stopped) return std::move(exchange.answer);
  return std::unexpected(failure_of(code, exchange, request));
}

}  // namespace airlock::artifact
