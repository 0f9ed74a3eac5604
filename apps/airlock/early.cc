#include "apps/airlock/early.h"

#include <fcntl.h>

#include <cstdlib>
#include <string_view>

#include "apps/airlock/prestart.h"

namespace airlock::apps {

// Constant initialization: nothing runs later that would overwrite them.
constinit bool standard_streams_filled = false;
constinit backend::native::ForkedLauncher early_launcher{};
constinit bool early_allows_process = false;

namespace {

constinit jail::BegunSandbox begun_sandbox{};

// A caller may have closed 0, 1 or 2. Without this the next descriptor we open would take the place
// and be taken for it.
bool fill_standard_streams() {
  for (const int fd : {0, 1, 2}) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd) {
      return false;
    }
  }
  return true;
}

// The command line is parsed when the launcher is long there.
bool allows_process(int count, char** words) {
  const char* const variable = std::getenv("AIRLOCK_ALLOW_TIER");
  bool allowed = variable != nullptr && variable == jail::kAllowedTier;
  for (int i = 2; i < count && std::string_view(words[i]) != "--"; ++i) {
    std::string_view word = words[i];
    constexpr std::string_view kOption = "--allow-tier";
    if (!word.starts_with(kOption)) continue;
    word.remove_prefix(kOption.size());
    const bool next = word.empty() && i + 1 < count && words[i + 1] == jail::kAllowedTier;
    allowed = allowed || next || (word.starts_with('=') && word.substr(1) == jail::kAllowedTier);
  }
  return allowed;
}

// The C library is ready, at the earliest priority that programs may use; what has a constructor of
// its own is not.
[[gnu::constructor(101)]] void start_launcher(int count, char** words, char** /*environment*/) {
  standard_streams_filled = fill_standard_streams();
  const bool runs = count > 2 && std::string_view(words[1]) == "run";
  if (standard_streams_filled && runs) {
    early_allows_process = allows_process(count, words);
    early_launcher = backend::native::fork_launcher(begun_sandbox, early_allows_process);
  }
}

}  // namespace
}  // namespace airlock::apps

// Where the kernel enters the program (the linker is told so): nothing is ready yet.
extern "C" [[gnu::used]] void airlock_prestart(const long* stack) {
  airlock::apps::begun_sandbox = airlock::apps::prestart(stack);
}
__asm__(
    ".globl airlock_start\n"
    "airlock_start:\n"
    "  mov %rsp, %rbx\n"
    "  mov %rdx, %r12\n"
    "  mov %rsp, %rdi\n"
    "  xor %ebp, %ebp\n"
    "  and $-16, %rsp\n"
    "  call airlock_prestart\n"
    "  mov %rbx, %rsp\n"
    "  mov %r12, %rdx\n"
    "  jmp _start\n");
