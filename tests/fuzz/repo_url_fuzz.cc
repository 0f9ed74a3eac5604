// Any text as a repository's URL, branch, commit and folder: no crash, and what is accepted names a
// host that is allowed, in one form, and cannot be an option of git.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "source/clone_plan.h"
#include "source/git_names.h"
#include "source/repo_url.h"

namespace airlock::source {
namespace {

void check_plain(std::string_view word) {
  AIRLOCK_CHECK(!word.starts_with('-'));
  AIRLOCK_CHECK(std::ranges::none_of(word, [](char c) { return c == '\0' || c == '\n'; }));
}

void try_url(std::string_view text, const RepoUrlPolicy& policy) {
  const auto url = parse_repo_url(text, policy);
  if (!url) {
    AIRLOCK_CHECK(!url.error().message.empty());
    return;
  }
  check_plain(url->text);
  AIRLOCK_CHECK(url->path.starts_with('/'));
  AIRLOCK_CHECK((url->path + "/").find("/../") == std::string::npos);
  if (url->scheme == RepoScheme::kFile) {
    AIRLOCK_CHECK(url->path.starts_with("/srv/git/"));
  } else {
    const bool usual = url->host == "github.com" && (url->port == 443 || url->port == 22);
    AIRLOCK_CHECK(usual || (url->host == "git.example" && url->port == 8443));
  }
  // The form that comes out goes in again as itself.
  const auto again = parse_repo_url(url->text, policy);
  AIRLOCK_CHECK(again.has_value());
  AIRLOCK_CHECK(again->text == url->text);
}

void try_plan(std::string_view text) {
  model::JobSpec spec;
  spec.repo_url = "https://github.com/o/n";
  spec.repo_branch = text;
  spec.repo_path = text;
  const auto plan = make_clone_plan(spec, {});
  if (plan) {
    for (const CloneStep& step : plan->steps) AIRLOCK_CHECK(!step.argv.empty());
  }
  if (check_branch(text)) check_plain(text);
  if (const auto path = parse_repo_path(text)) check_plain(*path);
  (void)parse_commit(text);
  (void)parse_resolved_commit(text, "");
}

}  // namespace
}  // namespace airlock::source

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const airlock::source::RepoUrlPolicy policy{.hosts = {"github.com", "git.example:8443"},
                                                     .file_roots = {"/srv/git"}};
  // Why safe: libFuzzer's buffer lives for the whole call, and char may alias anything.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  airlock::source::try_url(text, policy);
  airlock::source::try_plan(text);
  return 0;
}
