// What libsodium wants: to be started, bytes for texts, and that secrets do not stay.
//
// For the sources of this folder only: its other headers show nothing of libsodium.
#pragma once

#include <sodium.h>

#include <span>
#include <string>
#include <string_view>

#include "base/check.h"

namespace airlock::receipt {

// Before hashes, keys and memory of its own; from any thread, and again it does nothing.
inline void start_sodium() { AIRLOCK_CHECK(sodium_init() >= 0); }

// Why safe, here and below: char and unsigned char may alias, and the length is the text's own.
inline const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
inline unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}
inline std::string_view text_of(std::span<const unsigned char> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Overwrites a text when it goes out of scope, on every way out, with the room behind its end: it
// may have been longer.
class WipedAtEnd {
 public:
  explicit WipedAtEnd(std::string& text) : text_(text) {}
  WipedAtEnd(const WipedAtEnd&) = delete;
  WipedAtEnd& operator=(const WipedAtEnd&) = delete;
  ~WipedAtEnd() {
    text_.resize(text_.capacity());
    sodium_memzero(text_.data(), text_.size());
  }

 private:
  std::string& text_;
};

}  // namespace airlock::receipt
