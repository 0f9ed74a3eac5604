// What the dynamic loader says of a program that it cannot start, in words about the sandbox.
//
// A pure function of what the program wrote. The loader's own line is shown as ever: this is said
// besides.
#pragma once

#include <string>
#include <string_view>

namespace airlock::apps {

inline constexpr int kExitOfLoader = 127;  // ld.so(8), as a shell's for a command it does not find

// `stderr_head` is the beginning of what the program wrote to stderr. Empty: that is not the
// loader's complaint about a library. A guest can write the same, and gains nothing.
std::string explain_loader(std::string_view stderr_head);

}  // namespace airlock::apps
