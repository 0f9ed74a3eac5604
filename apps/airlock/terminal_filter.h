// TerminalFilter: what of a program's output may reach the user's terminal.
//
// A terminal obeys what it is sent: it can set the clipboard, change its title, answer questions
// into the shell's next command line, or print. Untrusted bytes that go to a terminal therefore
// pass here. Text, colours and cursor movement go through; OSC, DCS, APC, PM and SOS strings,
// window operations, media copy and 8-bit controls never do. kLines (a program's lines stand among
// ours, which it must not overwrite) lets only text and colours through. kInteractive (the program
// has a pty) lets full-screen programs work: modes, scrolling, questions about cursor and device.
// Bytes that go to a pipe or a file are not filtered at all: they are data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace airlock::apps {

enum class TerminalUse { kLines, kPlain, kInteractive };

class TerminalFilter {
 public:
  explicit TerminalFilter(TerminalUse use) : use_(use) {}

  // Appends to `out` what may pass. Sequences may be split over any number of calls.
  void filter(std::string_view bytes, std::string& out);
  // What puts the terminal back in order after a program that left it in disorder; often empty.
  std::string restoring_sequence() const;

 private:
  enum class State { kText, kEscape, kEscapeRest, kControlSequence, kString, kStringEscape };

  void take(unsigned char byte, std::string& out);
  void take_text(unsigned char byte, std::string& out);
  void take_high_byte(unsigned char byte, std::string& out);
  void take_after_escape(unsigned char byte, std::string& out);
  void take_sequence_byte(unsigned char byte, std::string& out);
  bool is_passing_control(unsigned char byte) const;
  bool may_pass(unsigned char final_byte) const;
  void note_modes(unsigned char final_byte);

  TerminalUse use_;
  State state_ = State::kText;
  std::string sequence_;        // of an escape sequence that is not complete yet
  int continuation_bytes_ = 0;  // of UTF-8 that are still to come
  bool held_c2_ = false;        // the first byte of what may be an 8-bit control
  bool styled_ = false;
  std::vector<std::uint32_t> private_modes_set_;
  std::vector<std::uint32_t> private_modes_reset_;
};

}  // namespace airlock::apps
