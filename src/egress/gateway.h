// Gateway: the only way out of a sandbox. An allow-listing proxy behind a listener that was opened
// inside of the sandbox's network namespace.
//
//   Gateway gateway({.dns_servers = {}}, clock);
//   AIRLOCK_ASSIGN(Session session, gateway.serve(std::move(listener), policy, {}));
//   ... the guest talks to it ...
//   const SessionEnd end = session.close();       // nothing of the guest's is open any more
//   result.egress = session.record();
//
// It speaks HTTP CONNECT, plain HTTP with whole URIs, and SOCKS5 with names, all on one port. One
// thread of its own, begun with the first session, serves all of them. A Session is the one owner
// of its listener and of every socket that came from it or goes on from it: when it is closed they
// are. Both may be used by any thread; a Gateway outlives its sessions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "egress/budget.h"
#include "egress/policy.h"
#include "model/network.h"
#include "model/outcome.h"

namespace airlock::egress {

struct GatewayOptions {
  // "ip" or "ip:port"; none: those of /etc/resolv.conf.
  std::vector<std::string> dns_servers = {};
  std::uint32_t connections_max = 16'384;  // of all sessions together, at once
};

struct SessionEnd {
  std::uint32_t connections_closed = 0;  // that were open until then
};

// Of all sessions since the start. Connections that were made; that were allowed and could not be
// made; that were refused, malformed ones included.
struct GatewayTotals {
  std::uint64_t connected = 0;
  std::uint64_t failed = 0;
  std::uint64_t refused = 0;
  std::uint64_t bytes_out = 0;  // as the sandboxes see it
  std::uint64_t bytes_in = 0;
};

class Session {
 public:
  Session() = default;  // none
  Session(Session&&) noexcept = default;
  Session& operator=(Session&& other) noexcept;
  ~Session();

  // The listener and every socket of the session are closed when this returns. A second time it
  // does nothing.
  SessionEnd close();
  // Until now, or until it was closed. `phase` is left empty.
  std::vector<model::EgressEntry> record() const;
  std::vector<model::Denial> denials() const;

 private:
  friend class Gateway;
  class Core;
  explicit Session(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  std::shared_ptr<Core> core_;
};

class Gateway {
 public:
  Gateway(GatewayOptions options, const base::Clock& clock);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // `listener`: a listening TCP socket, of whatever network namespace. Errors: name servers that
  // are none, no memory or descriptors for a thread.
  base::Result<Session> serve(base::UniqueFd listener, Policy policy, Budget budget);
  GatewayTotals totals() const;

 private:
  friend class Session;
  class Loop;

  const GatewayOptions options_;
  const base::Clock& clock_;
  std::unique_ptr<Loop> loop_;
};

}  // namespace airlock::egress
