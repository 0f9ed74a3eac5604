#include "egress/http_body.h"

#include <algorithm>

namespace airlock::egress {
namespace {

constexpr std::uint32_t kSizeDigitsMax = 13;  // 2^52

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

BodyScanner::BodyScanner(BodyFraming framing) : state_(State::kDone), left_(framing.length) {
  switch (framing.kind) {
    case BodyKind::kNone: break;
    case BodyKind::kLength: state_ = left_ > 0 ? State::kPlain : State::kDone; break;
    case BodyKind::kChunked: state_ = State::kSize; break;
    case BodyKind::kUntilClose: state_ = State::kUntilClose; break;
  }
}

std::size_t BodyScanner::take(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && !done() && !broken()) {
    if (state_ == State::kUntilClose) return bytes.size();
    if (state_ == State::kPlain || state_ == State::kData) {
      const std::uint64_t count = std::min<std::uint64_t>(left_, bytes.size() - at);
      at += count;
      left_ -= count;
      if (left_ == 0) state_ = state_ == State::kPlain ? State::kDone : State::kDataCr;
      continue;
    }
    step(bytes[at]);
    if (!broken()) ++at;
  }
  return at;
}

void BodyScanner::add_digit(char c) {
  const int value = hex_value(c);
  if (value < 0 || ++digits_ > kSizeDigitsMax) {
    state_ = State::kBroken;
    return;
  }
  left_ = left_ * 16 + static_cast<std::uint64_t>(value);
}

void BodyScanner::step(char c) {
  const auto expect = [&](char wanted, State next) {
    state_ = c == wanted ? next : State::kBroken;
  };
  switch (state_) {
    case State::kSize:
      if (c == '\r' && digits_ > 0) {
        state_ = State::kSizeEnd;
      } else {
        add_digit(c);
      }
      break;
    case State::kSizeEnd:
      digits_ = 0;
      expect('\n', left_ > 0 ? State::kData : State::kLastCr);
      break;
    case State::kDataCr: expect('\r', State::kDataLf); break;
    case State::kDataLf: expect('\n', State::kSize); break;
    case State::kLastCr: expect('\r', State::kLastLf); break;
    case State::kLastLf: expect('\n', State::kDone); break;
    default: break;
  }
}

}  // namespace airlock::egress
