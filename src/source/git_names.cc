#include "source/git_names.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/utf8.h"
#include "model/job.h"

namespace airlock::source {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kNotInBranches = " ~^:?*[\\";
constexpr std::size_t kSha1Digits = 40;
constexpr std::size_t kSha256Digits = 64;

std::unexpected<base::Error> refuse(std::string message, std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::move(message), std::move(hint));
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = base::utf8_character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// Calls `check` for every part between slashes until one fails.
template <typename Check>
bool all_parts(std::string_view path, Check check) {
  std::size_t start = 0;
  while (start <= path.size()) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    if (!check(path.substr(start, end - start))) return false;
    start = end + 1;
  }
  return true;
}

bool is_branch(std::string_view branch) {
  const bool whole = branch != "@" && branch != "HEAD" && !branch.starts_with('-') &&
                     !branch.ends_with('.') && branch.find("..") == std::string_view::npos &&
                     branch.find("@{") == std::string_view::npos && is_utf8(branch);
  const bool characters = std::ranges::none_of(branch, [](char c) {
    return is_control(c) || kNotInBranches.find(c) != std::string_view::npos;
  });
  return whole && characters && all_parts(branch, [](std::string_view part) {
           return !part.empty() && !part.starts_with('.') && !part.ends_with(".lock");
         });
}

bool is_git_folder(std::string_view part) { return base::equal_ignoring_case(part, ".git"); }

}  // namespace

base::Status check_branch(std::string_view branch) {
  if (branch.size() <= model::kJobNameBytesMax && !branch.empty() && is_branch(branch)) return {};
  return refuse("that is not the name of a branch",
                "git check-ref-format --branch says which names can be; at most " +
                    std::to_string(model::kJobNameBytesMax) + " bytes");
}

base::Result<std::string> parse_commit(std::string_view commit) {
  std::string lower = base::ascii_lower(commit);
  if (lower.size() < kCommitHexMin || lower.size() > kCommitHexMax ||
      lower.find_first_not_of(kHexDigits) != std::string::npos) {
    return refuse("a commit is 7 to 64 hexadecimal digits",
                  "a tag or branch is no commit: name it as repo_branch");
  }
  return lower;
}

base::Result<std::string> parse_repo_path(std::string_view path) {
  if (path.empty()) return std::string();
  if (path.ends_with('/')) path.remove_suffix(1);
  const bool fine = path.size() <= kRepoPathBytesMax && is_utf8(path) &&
                    std::ranges::none_of(path, [](char c) { return is_control(c) || c == '\\'; }) &&
                    all_parts(path, [](std::string_view part) {
                      return !part.empty() && part != "." && part != ".." &&
                             !part.starts_with('-') && !is_git_folder(part) && part.size() <= 255;
                    });
  if (fine) return std::string(path);
  return refuse("repo_path is not a folder of a repository",
                "write it relative to the root, for example solutions/a, without . and ..");
}

base::Result<std::string> parse_resolved_commit(std::string_view printed, std::string_view asked) {
  if (printed.ends_with('\n')) printed.remove_suffix(1);
  const bool whole = (printed.size() == kSha1Digits || printed.size() == kSha256Digits) &&
                     printed.find_first_not_of(kHexDigits) == std::string_view::npos;
  if (!whole) {
    return base::fail(base::ErrorCode::kProtocol, "git did not say which commit it has taken");
  }
  if (!printed.starts_with(asked)) {
    return base::fail(base::ErrorCode::kProtocol, "git has taken " + std::string(printed) +
                                                      " instead of " + std::string(asked));
  }
  return std::string(printed);
}

}  // namespace airlock::source
