#include "source/repo_url.h"

#include <algorithm>
#include <optional>

#include "base/ascii.h"
#include "base/host_port.h"
#include "model/job.h"

namespace airlock::source {
namespace {

constexpr std::size_t kHostBytesMax = 253;
constexpr std::size_t kLabelBytesMax = 63;
constexpr std::size_t kUserBytesMax = 32;
constexpr std::string_view kForms =
    "write https://HOST/OWNER/NAME, git@HOST:OWNER/NAME or file:///PATH";

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) { return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z'); }
bool is_path_char(char c) {
  return is_alphanumeric(c) || std::string_view("._~+-/").find(c) != std::string_view::npos;
}

std::unexpected<base::Error> refuse(std::string message, std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::move(message), std::move(hint));
}

// "host" or "host:port" of a policy, compared with a host and port of a URL.
bool is_allowed(const std::string& entry, const std::string& host, std::uint16_t port,
                std::uint16_t default_port) {
  const base::HostPort parts = base::split_host_port(entry);
  if (base::ascii_lower(parts.host) != host) return false;
  return parts.port ? base::parse_port(*parts.port) == port : port == default_port;
}

std::string joined(const std::vector<std::string>& hosts) {
  std::string text;
  for (const std::string& host : hosts) text += (text.empty() ? "" : ", ") + host;
  return text.empty() ? "(no host is allowed)" : text;
}

base::Status check_path(std::string_view path) {
  if (path.empty()) return refuse("the repository URL names no repository", std::string(kForms));
  if (const auto odd = std::ranges::find_if_not(path, is_path_char); odd != path.end()) {
    return refuse("the path of the repository URL holds a character that is not allowed",
                  "allowed are A-Z a-z 0-9 and . _ ~ + - /");
  }
  std::size_t start = 0;
  while (start <= path.size()) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, end - start);
    if (part.empty()) return refuse("the path of the repository URL has an empty part");
    if (part == "." || part == "..") {
      return refuse("the path of the repository URL holds \"" + std::string(part) + "\"");
    }
    if (part.starts_with('-')) {
      return refuse("a part of the repository URL's path begins with \"-\"");
    }
    start = end + 1;
  }
  return {};
}

struct Authority {
  std::string_view user;
  bool has_user = false;
  std::string_view host_port;
};

Authority split_authority(std::string_view authority) {
  const std::size_t at = authority.rfind('@');
  if (at == std::string_view::npos) {
    return {.user = {}, .has_user = false, .host_port = authority};
  }
  return {authority.substr(0, at), true, authority.substr(at + 1)};
}

// Host and port, normalised and allowed.
base::Status take_host(std::string_view host_port, std::uint16_t default_port,
                       const RepoUrlPolicy& policy, RepoUrl& url) {
  const base::HostPort parts = base::split_host_port(host_port);
  url.host = base::ascii_lower(parts.host);
  if (url.host.ends_with('.')) url.host.pop_back();
  if (!is_plain_host(url.host)) {
    return refuse("the repository URL has no proper host name",
                  "a name in other letters is written in its xn-- form");
  }
  url.port = default_port;
  if (parts.port) {
    const auto port = base::parse_port(*parts.port);
    if (!port) return refuse("the port of the repository URL is not a number from 1 to 65535");
    url.port = *port;
  }
  const bool allowed = std::ranges::any_of(policy.hosts, [&](const std::string& entry) {
    return is_allowed(entry, url.host, url.port, default_port);
  });
  if (!allowed) {
    return base::fail(base::ErrorCode::kPermissionDenied,
                      "Repository must be from: " + joined(policy.hosts),
                      "the operator's execution.allowed_repo_hosts says so; a port other than the "
                      "usual one is part of the name there");
  }
  return {};
}

base::Status check_user(std::string_view user) {
  const bool plain = !user.empty() && user.size() <= kUserBytesMax && is_lower(user.front()) &&
                     std::ranges::all_of(user, [](char c) {
                       return is_lower(c) || is_digit(c) || c == '-' || c == '_';
                     });
  if (plain) return {};
  return refuse("the user name of the repository URL is not allowed",
                "write git@HOST: without a password");
}

std::string with_port(const RepoUrl& url, std::uint16_t default_port) {
  return url.port == default_port ? url.host : url.host + ":" + std::to_string(url.port);
}

std::string_view without_last_slash(std::string_view path) {
  if (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

// What stands behind "scheme://": authority and path, the latter without its first "/".
std::pair<std::string_view, std::string_view> split_rest(std::string_view rest) {
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  return {rest.substr(0, slash), rest.substr(std::min(slash + 1, rest.size()))};
}

base::Result<RepoUrl> parse_https(std::string_view rest, const RepoUrlPolicy& policy) {
  RepoUrl url;
  const auto [authority, path] = split_rest(rest);
  const Authority parts = split_authority(authority);
  if (parts.has_user) {
    return refuse(
        "the repository URL holds a user name or a password",
        "credentials would be in logs and receipts: use a public repository or git@HOST:");
  }
  AIRLOCK_TRY(take_host(parts.host_port, kHttpsPort, policy, url));
  AIRLOCK_TRY(check_path(without_last_slash(path)));
  url.path = "/" + std::string(without_last_slash(path));
  url.text = "https://" + with_port(url, kHttpsPort) + url.path;
  return url;
}

base::Result<RepoUrl> make_ssh(std::string_view user, std::string_view host_port,
                               std::string_view path, const RepoUrlPolicy& policy) {
  RepoUrl url;
  url.scheme = RepoScheme::kSsh;
  AIRLOCK_TRY(check_user(user));
  AIRLOCK_TRY(take_host(host_port, kSshPort, policy, url));
  AIRLOCK_TRY(check_path(without_last_slash(path)));
  url.path = "/" + std::string(without_last_slash(path));
  url.text = "ssh://" + std::string(user) + "@" + with_port(url, kSshPort) + url.path;
  return url;
}

base::Result<RepoUrl> parse_ssh(std::string_view rest, const RepoUrlPolicy& policy) {
  const auto [authority, path] = split_rest(rest);
  const Authority parts = split_authority(authority);
  return make_ssh(parts.has_user ? parts.user : "git", parts.host_port, path, policy);
}

// "git@host:owner/name": no port can be said.
base::Result<RepoUrl> parse_scp(std::string_view text, const RepoUrlPolicy& policy) {
  const std::size_t colon = text.find(':');
  const Authority parts = split_authority(text.substr(0, colon));
  std::string_view path = text.substr(colon + 1);
  if (path.starts_with('/')) path.remove_prefix(1);
  return make_ssh(parts.user, parts.host_port, path, policy);
}

base::Result<RepoUrl> parse_file(std::string_view rest, const RepoUrlPolicy& policy) {
  RepoUrl url;
  url.scheme = RepoScheme::kFile;
  if (!rest.starts_with('/')) {
    return refuse("a file URL has no host", "write file:///PATH with three slashes");
  }
  const std::string_view path = without_last_slash(rest.substr(1));
  AIRLOCK_TRY(check_path(path));
  url.path = "/" + std::string(path);
  for (const std::string& root : policy.file_roots) {
    const std::string_view plain_root = without_last_slash(root);
    const bool below = url.path.size() > plain_root.size() + 1 &&
                       url.path.starts_with(plain_root) && url.path[plain_root.size()] == '/';
    if (!below || !root.starts_with('/')) continue;
    url.file_root = plain_root;
    url.text = "file://" + url.path;
    return url;
  }
  return base::fail(base::ErrorCode::kPermissionDenied,
                    policy.file_roots.empty()
                        ? "file:// repositories are not allowed here"
                        : "the repository does not lie below a folder that is allowed",
                    "the operator's storage.file_roots says which folders can be named: "
                    "--storage-file-roots, AIRLOCK_STORAGE_FILE_ROOTS");
}

}  // namespace

bool is_plain_host(std::string_view host) {
  if (host.empty() || host.size() > kHostBytesMax) return false;
  std::size_t start = 0;
  while (start <= host.size()) {
    const std::size_t end = std::min(host.find('.', start), host.size());
    const std::string_view label = host.substr(start, end - start);
    const bool plain =
        !label.empty() && label.size() <= kLabelBytesMax && label.front() != '-' &&
        label.back() != '-' &&
        std::ranges::all_of(label, [](char c) { return is_lower(c) || is_digit(c) || c == '-'; });
    if (!plain) return false;
    start = end + 1;
  }
  return true;
}

base::Result<RepoUrl> parse_repo_url(std::string_view text, const RepoUrlPolicy& policy) {
  if (text.empty() || text.size() > model::kJobUrlBytesMax) {
    return refuse("a repository URL has 1 to " + std::to_string(model::kJobUrlBytesMax) +
                  " characters");
  }
  if (!std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; })) {
    return refuse("the repository URL holds a space, a control character or a letter beyond ASCII");
  }
  const std::size_t scheme_end = text.find("://");
  if (scheme_end != std::string_view::npos) {
    const std::string scheme = base::ascii_lower(text.substr(0, scheme_end));
    const std::string_view rest = text.substr(scheme_end + 3);
    if (scheme == "https") return parse_https(rest, policy);
    if (scheme == "ssh") return parse_ssh(rest, policy);
    if (scheme == "file") return parse_file(rest, policy);
  } else if (text.find("::") == std::string_view::npos && text.find('@') < text.find(':') &&
             text.find(':') != std::string_view::npos) {
    return parse_scp(text, policy);
  }
  return refuse("the repository URL must begin with https:// or git@", std::string(kForms));
}

}  // namespace airlock::source
