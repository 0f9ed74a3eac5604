// Policy: which hosts and ports a sandbox may reach, and why not the others.
//
// An entry of an allow-list is
//   example.com        that host, at ports 443 and 80
//   .example.com       every host below it, not itself ("*.example.com" is the same)
//   example.com:8443   at that port only
//   tcp://host:22      whatever is spoken there; elsewhere a tunnel carries TLS and nothing else
//   pypi               a preset (egress/presets.h)
//   127.0.0.1:8080     an address, where the operator opened exactly that one
// Addresses are refused otherwise. Blocked hosts win over allowed ones, at every port. A value;
// safe to share once made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "egress/address.h"
#include "egress/host_name.h"

namespace airlock::egress {

inline constexpr std::size_t kRulesMax = 1'024;
inline constexpr std::size_t kRuleTextBytesMax = 300;

enum class Protocol { kTls, kAny };  // what a tunnel may carry

struct Rule {
  std::string host;  // without the dot of a suffix
  bool suffix = false;
  std::uint16_t port = 0;  // 0: 443 and 80
  Protocol protocol = Protocol::kTls;

  bool operator==(const Rule&) const = default;
  std::string to_string() const;
  bool matches(std::string_view name, std::uint16_t to_port) const;
  bool covers(const Rule& other) const;  // whatever `other` matches, this does
};

// One host, suffix or tcp:// entry; no preset, no address.
base::Result<Rule> parse_rule(std::string_view text);

// What the lists are called where the operator says them: refusals name them.
struct PolicyNames {
  std::string allow = "egress_allow";
  std::string blocked = "egress_block";
  std::string private_destinations = "allowed_private_destinations";
};

// The words of an operator.
struct PolicySpec {
  std::vector<std::string> allow = {};
  std::vector<std::string> blocked = {};               // hosts and suffixes, without ports
  std::vector<std::string> private_destinations = {};  // "ip:port"
  // How whoever reads a refusal could have it allowed: "add it to ..."
  std::string fix = "add it to the allow-list of the service";
  PolicyNames names = {};
};

struct Verdict {
  bool allowed = false;
  Protocol protocol = Protocol::kTls;
  std::string reason;  // of a refusal: "not in the allow-list", ...
  std::string fix;
};

class Policy {
 public:
  Policy() = default;  // allows nothing
  static base::Result<Policy> make(const PolicySpec& spec);

  // By name and port alone; where a name leads is judged by judge_address().
  Verdict judge(const Destination& destination) const;
  // Of an address that `host` led to, or was.
  Verdict judge_address(const Address& address, std::uint16_t port) const;

  // Of what this allows, only `allow`. An entry that this does not allow whole is refused by name.
  base::Result<Policy> narrowed(const std::vector<std::string>& allow, std::string fix) const;
  bool allows_nothing() const { return rules_.empty() && literals_.empty(); }

 private:
  struct Endpoint {
    Address address;
    std::uint16_t port;
    bool operator==(const Endpoint&) const = default;
  };
  static base::Result<Endpoint> parse_endpoint(std::string_view text);
  base::Status add_allowed(std::string_view text);
  bool has_literal(const Endpoint& endpoint) const;

  std::vector<Rule> rules_;
  std::vector<Rule> blocked_;
  std::vector<Endpoint> lifted_;    // addresses that may be reached though they are private
  std::vector<Endpoint> literals_;  // those of them that may be asked for by address
  std::string fix_;
  PolicyNames names_;
};

}  // namespace airlock::egress
