#include "receipt/output_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "artifact/digest.h"
#include "base/files.h"
#include "base/unique_fd.h"
#include "receipt/digest.h"
#include "receipt/statement.h"

namespace airlock::receipt {
namespace {

using base::UniqueFd;

// Empty: the file is what the receipt says.
std::string problem_of(int folder_fd, const model::ArtifactDigest& file) {
  const UniqueFd fd = base::open_beneath(folder_fd, file.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd.valid()) return errno == ENOENT ? "missing" : base::errno_error("open").to_string();
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return "not a regular file";
  if (static_cast<std::uint64_t>(status.st_size) != file.size.count()) {
    return std::to_string(status.st_size) + " bytes instead of " +
           std::to_string(file.size.count());
  }
  const auto digest = artifact::digest_file(fd.get(), file.size.count());
  if (!digest) return digest.error().to_string();
  return digest->sha256 == file.sha256 && digest->bytes == file.size.count() ? "" : "other content";
}

bool is_ignored(int folder_fd, const std::string& path, const std::vector<FileIdentity>& ignored) {
  struct stat status{};
  return ::fstatat(folder_fd, path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         std::ranges::find(ignored, FileIdentity{.device = status.st_dev,
                                                 .inode = status.st_ino}) != ignored.end();
}

base::Result<std::vector<OutputProblem>> find_others(int folder_fd, const std::string& folder,
                                                     const std::set<std::string>& known,
                                                     const std::vector<FileIdentity>& ignored) {
  std::vector<OutputProblem> problems;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entries(folder, error);
  for (; !error && entries != std::filesystem::recursive_directory_iterator();
       entries.increment(error)) {
    if (problems.size() >= kOutputProblemsMax) break;
    std::error_code unknown;
    if (entries->symlink_status(unknown).type() == std::filesystem::file_type::directory) continue;
    const std::string path = entries->path().lexically_relative(folder).string();
    if (known.contains(path) || is_ignored(folder_fd, path, ignored)) continue;
    problems.push_back({path, "not in the receipt"});
  }
  if (error) { return base::fail(base::ErrorCode::kIo, "list " + folder + ": " + error.message()); }
  return problems;
}

}  // namespace

base::Result<std::vector<OutputProblem>> check_outputs(const Receipt& receipt,
                                                       const std::string& folder,
                                                       const std::vector<FileIdentity>& ignored) {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return base::fail_errno("open " + folder);
  std::set<std::string> known{std::string(kManifestName)};
  for (const model::ArtifactDigest& file : receipt.outputs) known.insert(file.path);
  AIRLOCK_ASSIGN(std::vector<OutputProblem> problems,
                 find_others(fd.get(), folder, known, ignored));
  const model::ArtifactDigest manifest{.path = std::string(kManifestName),
                                       .size = base::ByteCount(receipt.manifest.size()),
                                       .sha256 = sha256_hex(receipt.manifest)};
  const std::string manifest_problem = problem_of(fd.get(), manifest);
  // It is handed out with the outputs of some places and not with those of others.
  if (!manifest_problem.empty() && manifest_problem != "missing") {
    problems.push_back({manifest.path, manifest_problem});
  }
  for (const model::ArtifactDigest& file : receipt.outputs) {
    if (problems.size() >= kOutputProblemsMax) break;
    if (file.path == kManifestName) continue;
    std::string problem = problem_of(fd.get(), file);
    if (!problem.empty()) problems.push_back({file.path, std::move(problem)});
  }
  return problems;
}

}  // namespace airlock::receipt
