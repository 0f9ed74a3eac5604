#include "egress/policy.h"

#include <algorithm>
#include <utility>

#include "base/host_port.h"
#include "egress/presets.h"

namespace airlock::egress {
namespace {

constexpr std::string_view kTcpPrefix = "tcp://";
constexpr std::uint16_t kDefaultPorts[] = {443, 80};

base::Status refuse(std::string message, std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::move(message), std::move(hint));
}

std::string quoted(std::string_view text) {
  std::string shown = "\"";
  for (const char c : text.substr(0, kRuleTextBytesMax)) shown += c >= ' ' && c < 0x7f ? c : '?';
  return shown + "\"";
}

const Preset* find_preset(std::string_view name) {
  const auto all = presets();
  const auto found = std::ranges::find(all, name, &Preset::name);
  return found == all.end() ? nullptr : &*found;
}

std::string preset_names() {
  std::string names;
  for (const Preset& preset : presets()) {
    names += (names.empty() ? "" : ", ") + std::string(preset.name);
  }
  return names;
}

bool is_default_port(std::uint16_t port) {
  return std::ranges::find(kDefaultPorts, port) != std::end(kDefaultPorts);
}

bool names_address(std::string_view text) {
  if (text.find("://") != std::string_view::npos) return false;
  return is_address_like(base::split_host_port(text).host);
}

// A name without a dot is a preset, or a slip: no host of the internet is called so.
bool looks_like_preset(std::string_view text) {
  return text.find_first_of(".:/") == std::string_view::npos;
}

}  // namespace

std::string Rule::to_string() const {
  std::string text = protocol == Protocol::kAny ? std::string(kTcpPrefix) : "";
  text += (suffix ? "." : "") + host;
  return port == 0 ? text : text + ":" + std::to_string(port);
}

bool Rule::matches(std::string_view name, std::uint16_t to_port) const {
  if (port == 0 ? !is_default_port(to_port) : port != to_port) return false;
  if (!suffix) return name == host;
  return name.size() > host.size() + 1 && name.ends_with(host) &&
         name[name.size() - host.size() - 1] == '.';
}

bool Rule::covers(const Rule& other) const {
  const bool port_fits = port == other.port || (port == 0 && is_default_port(other.port));
  if (!port_fits || (protocol == Protocol::kTls && other.protocol == Protocol::kAny)) return false;
  if (host == other.host) return suffix == other.suffix;
  if (!suffix) return false;
  return other.host.size() > host.size() + 1 && other.host.ends_with(host) &&
         other.host[other.host.size() - host.size() - 1] == '.';
}

base::Result<Rule> parse_rule(std::string_view text) {
  const std::string shown = quoted(text);
  if (text.size() > kRuleTextBytesMax) {
    return base::fail(base::ErrorCode::kInvalidArgument, shown + "... is too long for a host");
  }
  Rule rule;
  std::string_view rest = text;
  if (rest.starts_with(kTcpPrefix)) {
    rest.remove_prefix(kTcpPrefix.size());
    rule.protocol = Protocol::kAny;
  } else if (rest.find("://") != std::string_view::npos) {
    return base::fail(base::ErrorCode::kInvalidArgument, shown + " is a URL, not a host",
                      "name the host alone, with its port if that is not 443 or 80");
  }
  if (rest.starts_with("*.")) rest.remove_prefix(1);
  rule.suffix = rest.starts_with('.');
  if (rule.suffix) rest.remove_prefix(1);
  const std::size_t colon = rest.rfind(':');
  const std::string_view host = rest.substr(0, colon);
  if (colon != std::string_view::npos) {
    const auto port = base::parse_port(rest.substr(colon + 1));
    if (!port && !is_address_like(host)) {
      return base::fail(base::ErrorCode::kInvalidArgument, shown + " has no port of 1 to 65535");
    }
    rule.port = port.value_or(0);
  }
  if (is_address_like(host)) {
    return base::fail(base::ErrorCode::kInvalidArgument, shown + " is an address, not a host",
                      "addresses can be opened by the operator only, one by one: "
                      "allowed_private_destinations");
  }
  auto name = parse_host_name(host);
  if (!name) {
    return base::fail(base::ErrorCode::kInvalidArgument, shown + " is no name of a host",
                      "such as example.com, .example.com or example.com:8443");
  }
  if (rule.protocol == Protocol::kAny && rule.port == 0) {
    return base::fail(base::ErrorCode::kInvalidArgument, shown + " has no port",
                      "such as tcp://example.com:22");
  }
  rule.host = std::move(*name);
  return rule;
}

base::Result<Policy::Endpoint> Policy::parse_endpoint(std::string_view text) {
  const auto destination = parse_destination(text, 0);
  const auto address =
      destination && destination->is_address ? parse_address(destination->host) : std::nullopt;
  if (!address) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      quoted(text) + " is no address with a port",
                      "such as 127.0.0.1:8080 or [fd00::1]:8080");
  }
  return Endpoint{*address, destination->port};
}

bool Policy::has_literal(const Endpoint& endpoint) const {
  return std::ranges::find(literals_, endpoint) != literals_.end();
}

base::Status Policy::add_allowed(std::string_view text) {
  if (const Preset* const preset = find_preset(text); preset != nullptr) {
    for (const std::string_view host : preset->hosts) AIRLOCK_TRY(add_allowed(host));
  } else if (looks_like_preset(text)) {
    return refuse(quoted(text) + " is neither a host nor a preset",
                  "the presets are " + preset_names());
  } else {
    AIRLOCK_ASSIGN(Rule rule, parse_rule(text));
    rules_.push_back(std::move(rule));
  }
  if (rules_.size() > kRulesMax) {
    return refuse("more than " + std::to_string(kRulesMax) + " hosts are allowed");
  }
  return {};
}

base::Result<Policy> Policy::make(const PolicySpec& spec) {
  Policy policy;
  policy.fix_ = spec.fix;
  policy.names_ = spec.names;
  if (spec.private_destinations.size() > kRulesMax || spec.blocked.size() > kRulesMax) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "more than " + std::to_string(kRulesMax) + " hosts or addresses are listed");
  }
  for (const std::string& text : spec.private_destinations) {
    AIRLOCK_ASSIGN(const Endpoint endpoint, parse_endpoint(text));
    policy.lifted_.push_back(endpoint);
  }
  policy.literals_ = policy.lifted_;
  for (const std::string& text : spec.allow) AIRLOCK_TRY(policy.add_allowed(text));
  for (const std::string& text : spec.blocked) {
    AIRLOCK_ASSIGN(Rule rule, parse_rule(text));
    if (rule.port != 0) {
      return base::fail(base::ErrorCode::kInvalidArgument, quoted(text) + " has a port",
                        "a blocked host is blocked at every port");
    }
    policy.blocked_.push_back(std::move(rule));
  }
  return policy;
}

base::Result<Policy> Policy::narrowed(const std::vector<std::string>& allow,
                                      std::string fix) const {
  Policy asked;
  for (const std::string& text : allow) {
    if (names_address(text)) {
      AIRLOCK_ASSIGN(const Endpoint endpoint, parse_endpoint(text));
      if (!has_literal(endpoint)) {
        return base::fail(base::ErrorCode::kPermissionDenied,
                          quoted(text) + " is not among the addresses that the operator opened",
                          names_.private_destinations + " of the service opens it");
      }
      asked.literals_.push_back(endpoint);
      continue;
    }
    AIRLOCK_TRY(asked.add_allowed(text));
  }
  for (const Rule& rule : asked.rules_) {
    const auto covers = [&](const Rule& own) { return own.covers(rule); };
    if (std::ranges::any_of(rules_, covers)) continue;
    return base::fail(base::ErrorCode::kPermissionDenied,
                      quoted(rule.to_string()) + " is not among the hosts that the operator allows",
                      names_.allow + " of the service would have to name it");
  }
  asked.blocked_ = blocked_;
  asked.lifted_ = lifted_;
  asked.fix_ = std::move(fix);
  asked.names_ = names_;
  return asked;
}

Verdict Policy::judge(const Destination& destination) const {
  if (destination.is_address) {
    const auto address = parse_address(destination.host);
    if (address && has_literal({*address, destination.port})) {
      return {.allowed = true, .protocol = Protocol::kAny, .reason = {}, .fix = {}};
    }
    return {.allowed = false,
            .protocol = Protocol::kTls,
            .reason = "an address, not a name",
            .fix = "ask for the host by its name; only the operator can open an address, with " +
                   names_.private_destinations};
  }
  const auto blocks = [&](const Rule& rule) {
    return rule.suffix
               ? Rule{rule.host, true, destination.port}.matches(destination.host, destination.port)
               : rule.host == destination.host;
  };
  if (std::ranges::any_of(blocked_, blocks)) {
    return {.allowed = false,
            .protocol = Protocol::kTls,
            .reason = "blocked by the operator",
            .fix = names_.blocked + " names it"};
  }
  Verdict verdict;
  for (const Rule& rule : rules_) {
    if (!rule.matches(destination.host, destination.port)) continue;
    verdict.allowed = true;
    if (rule.protocol == Protocol::kAny) verdict.protocol = Protocol::kAny;
  }
  if (verdict.allowed) return verdict;
  const auto matches_host = [&](const Rule& rule) {
    const Rule anywhere{rule.host, rule.suffix, destination.port};
    return anywhere.matches(destination.host, destination.port);
  };
  verdict.reason = std::ranges::any_of(rules_, matches_host) ? "not in the allow-list at this port"
                                                             : "not in the allow-list";
  verdict.fix = fix_;
  return verdict;
}

Verdict Policy::judge_address(const Address& address, std::uint16_t port) const {
  const Endpoint endpoint{address, port};
  if (std::ranges::find(lifted_, endpoint) != lifted_.end()) {
    return {.allowed = true, .protocol = Protocol::kAny, .reason = {}, .fix = {}};
  }
  Verdict verdict{.allowed = false,
                  .protocol = Protocol::kTls,
                  .reason = {},
                  .fix = "the operator can open it, with " + names_.private_destinations};
  if (const auto refusal = find_refusal(address)) {
    verdict.reason = *refusal;
  } else if (is_own_address(address)) {
    verdict.reason = "address of this machine itself";
  } else {
    return {.allowed = true, .protocol = Protocol::kTls, .reason = {}, .fix = {}};
  }
  return verdict;
}

}  // namespace airlock::egress
