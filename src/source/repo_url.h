// RepoUrl: where a job's repository is, judged before anything is executed.
//
// Taken: https://HOST/PATH, ssh://git@HOST/PATH, git@HOST:PATH and file:///PATH. The host must be
// one of the operator's, letter for letter; user names and passwords in https, escapes, queries,
// "..", words that look like options, and anything but plain ASCII are refused. What comes out is
// normalised (host in lower case without its last dot, no default port), is the only form that git
// is given, and never begins with "-". Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace airlock::source {

enum class RepoScheme { kHttps, kSsh, kFile };

inline constexpr std::uint16_t kHttpsPort = 443;
inline constexpr std::uint16_t kSshPort = 22;

struct RepoUrl {
  RepoScheme scheme = RepoScheme::kHttps;
  std::string host;  // empty for files
  std::uint16_t port = 0;
  std::string path;       // "/owner/name"; for files absolute, as it is on this host
  std::string file_root;  // which of the operator's roots; below it nothing is resolved yet
  std::string text;       // for git
};

struct RepoUrlPolicy {
  // "github.com" is that host at 443 and 22; "git.example:8443" is that host at that port.
  std::vector<std::string> hosts;
  // Absolute. Only what lies below one of them can be named by file://; empty: nothing.
  std::vector<std::string> file_roots;
};

// A host that is not allowed is answered with "Repository must be from: A, B".
base::Result<RepoUrl> parse_repo_url(std::string_view text, const RepoUrlPolicy& policy);

// "example.org", "10.0.0.1": labels of a-z, 0-9 and "-", as they are after normalising.
bool is_plain_host(std::string_view host);

}  // namespace airlock::source
