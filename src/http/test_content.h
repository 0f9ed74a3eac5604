// Reading back, in tests, what a parser put into a memfd.
//
// From offset 0 to the end, without moving the descriptor's own offset, which `offset_of` tells.
// Blocks; any thread.
#pragma once

#include <unistd.h>

#include <string>

namespace airlock::http {

inline std::string content_of(int fd) {
  std::string content;
  char chunk[4096];
  ssize_t count = 0;
  while ((count = ::pread(fd, chunk, sizeof chunk, static_cast<off_t>(content.size()))) > 0) {
    content.append(chunk, static_cast<std::size_t>(count));
  }
  return content;
}

inline off_t offset_of(int fd) { return ::lseek(fd, 0, SEEK_CUR); }

}  // namespace airlock::http
