#include "apps/airlock/terminal_filter.h"

#include <algorithm>
#include <charconv>

namespace airlock::apps {
namespace {

// Names of the control functions are those of ECMA-48 and of xterm's ctlseqs document.
inline constexpr unsigned char kEsc = 0x1b;
inline constexpr unsigned char kBell = 0x07;
inline constexpr unsigned char kCancel = 0x18;
inline constexpr unsigned char kSubstitute = 0x1a;
inline constexpr std::size_t kSequenceBytesMax = 128;
inline constexpr std::size_t kModesMax = 32;

inline constexpr std::string_view kLineFinals = "m";
inline constexpr std::string_view kPlainFinals = "ABCDEFGHJKm";
// Plus insert and delete, scrolling, tab stops, saved cursor, modes, and questions (c, n).
inline constexpr std::string_view kInteractiveFinals = "ABCDEFGHIJKLMPSTXZ@`abcdefghlmnrsu";
// ESC x: save and restore cursor, index, next line, tab set, reverse index, keypad modes.
inline constexpr std::string_view kInteractiveEscapes = "78DEHM=>";

inline constexpr std::uint32_t kModeWrap = 7;     // DECAWM, on unless a program turns it off
inline constexpr std::uint32_t kModeCursor = 25;  // DECTCEM, the same

bool is_sequence_string_start(unsigned char byte) {
  return byte == ']' || byte == 'P' || byte == '_' || byte == '^' || byte == 'X';
}

void add_mode(std::vector<std::uint32_t>& modes, std::uint32_t mode) {
  if (modes.size() < kModesMax && std::ranges::find(modes, mode) == modes.end()) {
    modes.push_back(mode);
  }
}

std::vector<std::uint32_t> parse_modes(std::string_view parameters) {
  std::vector<std::uint32_t> modes;
  while (!parameters.empty()) {
    std::uint32_t mode = 0;
    const char* const end = parameters.data() + parameters.size();
    const auto [rest, error] = std::from_chars(parameters.data(), end, mode);
    if (error == std::errc()) modes.push_back(mode);
    const auto separator = parameters.find(';');
    if (separator == std::string_view::npos) break;
    parameters.remove_prefix(separator + 1);
  }
  return modes;
}

}  // namespace

bool TerminalFilter::is_passing_control(unsigned char byte) const {
  if (byte == '\n' || byte == '\t') return true;
  return use_ != TerminalUse::kLines && (byte == '\r' || byte == '\b' || byte == kBell);
}

void TerminalFilter::filter(std::string_view bytes, std::string& out) {
  for (const char byte : bytes) take(static_cast<unsigned char>(byte), out);
}

void TerminalFilter::take(unsigned char byte, std::string& out) {
  if (byte == kCancel || byte == kSubstitute) {  // ends any sequence, in every terminal
    state_ = State::kText;
    return;
  }
  switch (state_) {
    case State::kText: return take_text(byte, out);
    case State::kEscape: return take_after_escape(byte, out);
    case State::kControlSequence: return take_sequence_byte(byte, out);
    case State::kEscapeRest:  // one more byte of ESC ( B and its like
      if (use_ == TerminalUse::kInteractive && (byte == 'B' || byte == '0')) {
        out.append(sequence_).push_back(static_cast<char>(byte));
        styled_ = true;
      }
      state_ = State::kText;
      return;
    case State::kString:
      if (byte == kBell) state_ = State::kText;
      if (byte == kEsc) state_ = State::kStringEscape;
      return;
    case State::kStringEscape:
      if (byte == '\\') {
        state_ = State::kText;
      } else {  // a new sequence has cut the string short
        state_ = State::kEscape;
        take_after_escape(byte, out);
      }
      return;
  }
}

void TerminalFilter::take_text(unsigned char byte, std::string& out) {
  if (byte >= 0x80) return take_high_byte(byte, out);
  held_c2_ = false;
  continuation_bytes_ = 0;
  if (byte == kEsc) {
    state_ = State::kEscape;
  } else if ((byte >= 0x20 && byte != 0x7f) || is_passing_control(byte)) {
    out.push_back(static_cast<char>(byte));
  }
}

// 0x80-0x9f are controls (C1) to some terminals, alone or as UTF-8 (C2 80 - C2 9F).
void TerminalFilter::take_high_byte(unsigned char byte, std::string& out) {
  if (byte == 0xc2) {
    held_c2_ = true;
    continuation_bytes_ = 0;
    return;
  }
  if (byte >= 0xc0) {
    held_c2_ = false;
    continuation_bytes_ = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    out.push_back(static_cast<char>(byte));
  } else if (held_c2_) {
    held_c2_ = false;
    if (byte >= 0xa0) out.append({static_cast<char>(0xc2), static_cast<char>(byte)});
  } else if (continuation_bytes_ > 0) {
    --continuation_bytes_;
    out.push_back(static_cast<char>(byte));
  }
}

void TerminalFilter::take_after_escape(unsigned char byte, std::string& out) {
  state_ = State::kText;
  if (byte == '[') {
    sequence_ = "\x1b[";
    state_ = State::kControlSequence;
  } else if (is_sequence_string_start(byte)) {
    state_ = State::kString;
  } else if (byte >= 0x20 && byte <= 0x2f) {
    sequence_ = {static_cast<char>(kEsc), static_cast<char>(byte)};
    // Character sets G0 and G1 may be chosen (line drawing); the rest of such a sequence is
    // dropped.
    if (byte != '(' && byte != ')') sequence_.clear();
    state_ = State::kEscapeRest;
  } else if (byte == kEsc) {
    state_ = State::kEscape;
  } else if (use_ == TerminalUse::kInteractive &&
             kInteractiveEscapes.find(static_cast<char>(byte)) != std::string_view::npos) {
    out.append({static_cast<char>(kEsc), static_cast<char>(byte)});
  }
}

void TerminalFilter::take_sequence_byte(unsigned char byte, std::string& out) {
  if (byte == kEsc) {
    state_ = State::kEscape;
  } else if (byte < 0x20 || byte >= 0x7f) {
    state_ = State::kText;  // not a sequence after all: nothing of it is shown
  } else if (byte < 0x40) {
    if (sequence_.size() < kSequenceBytesMax) sequence_.push_back(static_cast<char>(byte));
  } else {
    state_ = State::kText;
    if (sequence_.size() >= kSequenceBytesMax || !may_pass(byte)) return;
    note_modes(byte);
    out.append(sequence_).push_back(static_cast<char>(byte));
  }
}

bool TerminalFilter::may_pass(unsigned char final_byte) const {
  const char final_char = static_cast<char>(final_byte);
  const std::string_view parameters = std::string_view(sequence_).substr(2);
  const bool interactive = use_ == TerminalUse::kInteractive;
  if (parameters.starts_with('?') && (final_char == 'h' || final_char == 'l')) {
    return interactive || (use_ == TerminalUse::kPlain && parameters == "?25");
  }
  // Any other private marker or intermediate byte means a function of the terminal's vendor.
  if (parameters.find_first_not_of("0123456789;:") != std::string_view::npos) return false;
  const std::string_view finals = interactive                   ? kInteractiveFinals
                                  : use_ == TerminalUse::kPlain ? kPlainFinals
                                                                : kLineFinals;
  return finals.find(final_char) != std::string_view::npos;
}

void TerminalFilter::note_modes(unsigned char final_byte) {
  if (final_byte == 'm' || final_byte == 'r') styled_ = true;
  const std::string_view parameters = std::string_view(sequence_).substr(2);
  if (!parameters.starts_with('?')) return;
  for (const std::uint32_t mode : parse_modes(parameters.substr(1))) {
    if (final_byte == 'h') add_mode(private_modes_set_, mode);
    if (final_byte == 'l') add_mode(private_modes_reset_, mode);
  }
}

std::string TerminalFilter::restoring_sequence() const {
  std::string text;
  for (const std::uint32_t mode : private_modes_set_) {
    if (mode != kModeWrap && mode != kModeCursor) text += "\x1b[?" + std::to_string(mode) + "l";
  }
  for (const std::uint32_t mode : private_modes_reset_) {
    if (mode == kModeWrap || mode == kModeCursor) text += "\x1b[?" + std::to_string(mode) + "h";
  }
  if (styled_) text += "\x1b[0m";
  if (styled_ && use_ == TerminalUse::kInteractive) text += "\x1b(B";
  return text;
}

}  // namespace airlock::apps
