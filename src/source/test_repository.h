// A repository that a test writes: in memory, or as a folder of the host that goes with the test.
//
// And a way to run a command of a plan, with exactly its environment. For tests only.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "source/repository_view.h"

namespace airlock::source {

class FakeView final : public RepositoryView {
 public:
  explicit FakeView(std::map<std::string, std::string, std::less<>> files)
      : files_(std::move(files)) {}

  void put_odd(const std::string& path, EntryKind kind) { odd_[path] = kind; }

  base::Result<RepositoryEntry> look(std::string_view path) const override {
    if (const auto odd = odd_.find(path); odd != odd_.end()) {
      return RepositoryEntry{std::string(path), odd->second, {}, false};
    }
    const auto file = files_.find(path);
    if (file == files_.end()) return base::fail(base::ErrorCode::kNotFound, std::string(path));
    return RepositoryEntry{std::string(path), EntryKind::kFile,
                           base::ByteCount(file->second.size()), false};
  }
  base::Result<std::string> read(std::string_view path, base::ByteCount bytes_max) const override {
    const auto file = files_.find(path);
    if (file == files_.end()) return base::fail(base::ErrorCode::kNotFound, std::string(path));
    if (file->second.size() > bytes_max.count()) {
      return base::fail(base::ErrorCode::kLimitExceeded, "too large");
    }
    return file->second;
  }

 private:
  std::map<std::string, std::string, std::less<>> files_;
  std::map<std::string, EntryKind, std::less<>> odd_;
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = std::filesystem::temp_directory_path() / "source-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string at(const std::string& name) const { return path_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(at(name)).parent_path());
    std::ofstream(at(name)) << text;
  }

 private:
  std::string path_;
};

struct Ended {
  int status = -1;
  std::string printed;  // stdout
};

// Runs a command with exactly this environment.
inline Ended run_command(const std::vector<std::string>& argv, const std::vector<std::string>& env,
                         const std::string& cwd) {
  int pipe_fds[2];
  if (::pipe(pipe_fds) != 0) std::abort();
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<char*> words;
    std::vector<char*> variables;
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    for (const std::string& entry : env) variables.push_back(const_cast<char*>(entry.c_str()));
    words.push_back(nullptr);
    variables.push_back(nullptr);
    ::dup2(pipe_fds[1], STDOUT_FILENO);
    ::close(pipe_fds[0]);
    if (::chdir(cwd.c_str()) != 0) ::_exit(126);
    ::execvpe(words[0], words.data(), variables.data());
    ::_exit(127);
  }
  ::close(pipe_fds[1]);
  Ended ended;
  char piece[4096];
  for (ssize_t count; (count = ::read(pipe_fds[0], piece, sizeof piece)) > 0;) {
    ended.printed.append(piece, static_cast<std::size_t>(count));
  }
  ::close(pipe_fds[0]);
  ::waitpid(child, &ended.status, 0);
  return ended;
}

}  // namespace airlock::source
