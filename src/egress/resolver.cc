#include "egress/resolver.h"

#include <sys/time.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

namespace airlock::egress {
namespace {

namespace asio = boost::asio;

constexpr int kTryTimeoutMs = 2'000;
constexpr int kTries = 3;
// After so long the host's list of name servers may be another one.
constexpr std::chrono::seconds kReopenAfter{30};

std::string join(const std::vector<std::string>& servers) {
  std::string joined;
  for (const std::string& server : servers) joined += (joined.empty() ? "" : ",") + server;
  return joined;
}

std::string describe(int status) {
  if (status == ARES_ENOTFOUND) return "the name does not exist";
  if (status == ARES_ENODATA) return "the name has no address";
  if (status == ARES_ETIMEOUT) return "the name servers do not answer";
  return std::string("the name servers: ") + ::ares_strerror(status);
}

}  // namespace

// One descriptor of c-ares, which opens and closes it.
struct Resolver::Watch {
  Watch(asio::io_context& context, int fd) : descriptor(context) {
    boost::system::error_code failed;  // then nobody hears the answer, and the query times out
    descriptor.assign(fd, failed);
  }
  ~Watch() {
    if (descriptor.is_open()) descriptor.release();
  }
  asio::posix::stream_descriptor descriptor;
  bool wants_read = false;
  bool wants_write = false;
  bool waits_read = false;
  bool waits_write = false;
};

struct Resolver::Query {
  explicit Query(asio::io_context& context)
      : answered(context, asio::steady_timer::time_point::max()) {}
  asio::steady_timer answered;
  Resolved result;
  bool done = false;
};

Resolver::Resolver(asio::io_context& context, std::string servers)
    : context_(context), servers_(std::move(servers)), timer_(context) {}

base::Result<std::unique_ptr<Resolver>> Resolver::make(asio::io_context& context,
                                                       const std::vector<std::string>& servers) {
  if (::ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
    return base::fail(base::ErrorCode::kUnavailable, "c-ares cannot be used");
  }
  auto resolver = std::make_unique<Resolver>(context, join(servers));
  AIRLOCK_TRY(resolver->open());
  return resolver;
}

base::Status Resolver::open() {
  ares_options options{};
  std::string lookups = "b";  // name servers, not the hosts file
  options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  options.timeout = kTryTimeoutMs;
  options.tries = kTries;
  options.lookups = lookups.data();
  options.sock_state_cb = &Resolver::on_socket;
  options.sock_state_cb_data = this;
  const int given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                    ARES_OPT_SOCK_STATE_CB;
  int status = ::ares_init_options(&channel_, &options, given);
  if (status != ARES_SUCCESS) {
    channel_ = nullptr;
    return base::fail(base::ErrorCode::kUnavailable,
                      std::string("c-ares: ") + ::ares_strerror(status));
  }
  if (!servers_.empty()) status = ::ares_set_servers_ports_csv(channel_, servers_.c_str());
  if (status != ARES_SUCCESS) {
    return base::fail(base::ErrorCode::kInvalidArgument, "\"" + servers_ + "\" are no name servers",
                      "such as 9.9.9.9 or 10.0.0.1:53");
  }
  opened_ = std::chrono::steady_clock::now();
  return {};
}

void Resolver::close() {
  if (channel_ != nullptr) ::ares_destroy(std::exchange(channel_, nullptr));
  watches_.clear();
}

Resolver::~Resolver() {
  close();
  ::ares_library_cleanup();
}

asio::awaitable<Resolved> Resolver::resolve(std::string name) {
  const bool old = std::chrono::steady_clock::now() - opened_ > kReopenAfter;
  if (channel_ == nullptr || (asking_.empty() && old && servers_.empty())) {
    close();
    if (!open()) co_return Resolved{.addresses = {}, .failure = "no resolver", .timed_out = false};
  }
  const std::shared_ptr<Query> query = ask(name);
  boost::system::error_code woken;
  if (!query->done) {
    co_await query->answered.async_wait(asio::redirect_error(asio::use_awaitable, woken));
  }
  const auto place = asking_.find(name);
  if (place != asking_.end() && place->second == query) asking_.erase(place);
  co_return query->result;
}

std::shared_ptr<Resolver::Query> Resolver::ask(const std::string& name) {
  std::shared_ptr<Query>& query = asking_[name];
  if (query != nullptr && !query->done) return query;
  query = std::make_shared<Query>(context_);
  ares_addrinfo_hints hints{};
  hints.ai_flags = ARES_AI_NOSORT;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  // Why safe: the callback is called exactly once and takes back what is given to it here.
  auto held = std::make_unique<std::shared_ptr<Query>>(query);
  const std::shared_ptr<Query> kept = query;
  ::ares_getaddrinfo(channel_, name.c_str(), nullptr, &hints, &Resolver::on_answer, held.release());
  set_timer();
  return kept;
}

namespace {

void take_answer(int status, const ares_addrinfo* found, Resolved& result) {
  if (status == ARES_SUCCESS && found != nullptr) {
    for (const int family : {AF_INET, AF_INET6}) {
      for (const ares_addrinfo_node* node = found->nodes; node != nullptr; node = node->ai_next) {
        if (node->ai_family != family) continue;
        if (const auto address = address_of(node->ai_addr)) result.addresses.push_back(*address);
      }
    }
    if (result.addresses.size() > kAddressesMax) {
      result.addresses.erase(result.addresses.begin() + kAddressesMax, result.addresses.end());
    }
  }
  if (result.addresses.empty()) {
    result.failure = describe(status == ARES_SUCCESS ? ARES_ENODATA : status);
  }
  result.timed_out = status == ARES_ETIMEOUT;
}

}  // namespace

// Called by C code, too: without memory there are no addresses.
void Resolver::on_answer(void* query, int status, int, ares_addrinfo* found) {
  const std::unique_ptr<std::shared_ptr<Query>> owner(static_cast<std::shared_ptr<Query>*>(query));
  Query& asked = **owner;
  try {
    take_answer(status, found, asked.result);
  } catch (const std::exception&) { asked.result.addresses.clear(); }
  if (found != nullptr) ::ares_freeaddrinfo(found);
  asked.done = true;
  asked.answered.cancel();
}

// Called by C code, through which no exception may go: without memory the query times out.
void Resolver::on_socket(void* self, ares_socket_t fd, int readable, int writable) {
  Resolver& resolver = *static_cast<Resolver*>(self);
  if (readable == 0 && writable == 0) {
    resolver.watches_.erase(fd);
    return;
  }
  try {
    std::shared_ptr<Watch>& watch = resolver.watches_[fd];
    if (watch == nullptr) watch = std::make_shared<Watch>(resolver.context_, fd);
    watch->wants_read = readable != 0;
    watch->wants_write = writable != 0;
    const std::shared_ptr<Watch> kept = watch;
    if (kept->wants_read && !kept->waits_read) resolver.wait(kept, true);
    if (kept->wants_write && !kept->waits_write) resolver.wait(kept, false);
  } catch (const std::exception&) { resolver.watches_.erase(fd); }
}

// The handler of a watch that is gone finds that out by its weak pointer, and so does that of a
// resolver that is gone: it is destroyed with its watches.
void Resolver::wait(const std::shared_ptr<Watch>& watch, bool for_reading) {
  (for_reading ? watch->waits_read : watch->waits_write) = true;
  const int fd = watch->descriptor.native_handle();
  watch->descriptor.async_wait(
      for_reading ? asio::posix::stream_descriptor::wait_read
                  : asio::posix::stream_descriptor::wait_write,
      [this, weak = std::weak_ptr(watch), fd, for_reading](boost::system::error_code error) {
        const std::shared_ptr<Watch> alive = weak.lock();
        if (error || alive == nullptr) return;
        (for_reading ? alive->waits_read : alive->waits_write) = false;
        process(for_reading ? fd : ARES_SOCKET_BAD, for_reading ? ARES_SOCKET_BAD : fd);
        const auto place = watches_.find(fd);
        if (place == watches_.end() || place->second != alive) return;
        if (for_reading && alive->wants_read && !alive->waits_read) wait(alive, true);
        if (!for_reading && alive->wants_write && !alive->waits_write) wait(alive, false);
      });
}

void Resolver::process(ares_socket_t readable, ares_socket_t writable) {
  ::ares_process_fd(channel_, readable, writable);
  set_timer();
}

void Resolver::set_timer() {
  timeval left{};
  if (channel_ == nullptr || ::ares_timeout(channel_, nullptr, &left) == nullptr) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec));
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  });
}

}  // namespace airlock::egress
