// Child: a process of its own for a test, forked while the test has no other thread.
//
// It runs a function and says what went wrong in one line, or stays until it is killed. For tests
// of this folder: who dies, locks or has less rights has to be somebody else. A child is forked
// before its parent opens a database: SQLite's knowledge of locks must not be inherited.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/unique_fd.h"

namespace airlock::store::sqlite {

// Two ends of lines of text.
struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    AIRLOCK_CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
    out.reset(ends[0]);
    in.reset(ends[1]);
  }
  void say(std::string_view text) const {
    AIRLOCK_CHECK(::write(in.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  // What comes until a line feed, or the end.
  std::string hear() const {
    std::string text;
    for (char c = 0; ::read(out.get(), &c, 1) == 1 && c != '\n';) text += c;
    return text;
  }
  base::UniqueFd out;
  base::UniqueFd in;
};

class Child {
 public:
  // `work` gives what went wrong, "" for nothing.
  explicit Child(const std::function<std::string(Child&)>& work) : pid_(::fork()) {
    AIRLOCK_CHECK(pid_ >= 0);
    if (pid_ == 0) {
      to_parent.out.reset();
      to_child.in.reset();
      to_parent.say(work(*this) + "\n");
      ::_exit(0);
    }
    to_parent.in.reset();
    to_child.out.reset();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { kill(); }

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  pid_t pid() const { return pid_; }

  Pipe to_parent;
  Pipe to_child;

 private:
  pid_t pid_;
};

}  // namespace airlock::store::sqlite
