#include "container/tar.h"

#include <cstdio>
#include <cstring>

namespace airlock::container {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::uint64_t kSizeMax = (1ull << 33) - 1;  // 11 octal digits

// IEEE Std 1003.1, pax, "ustar Interchange Format".
struct Head {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char major[8];
  char minor[8];
  char prefix[155];
  char unused[12];
};
static_assert(sizeof(Head) == kBlock);

template <std::size_t kSize>
void put_octal(char (&field)[kSize], std::uint64_t value) {
  std::snprintf(field, kSize, "%0*llo", static_cast<int>(kSize - 1),
                static_cast<unsigned long long>(value));
}

}  // namespace

base::Result<std::string> tar_head(const TarEntry& entry) {
  Head head{};
  std::string_view name = entry.path;
  std::string_view prefix;
  if (name.size() > sizeof head.name) {
    const std::size_t slash = name.find('/', name.size() - sizeof head.name - 1);
    if (slash == std::string_view::npos || slash > sizeof head.prefix) {
      return base::fail(base::ErrorCode::kLimitExceeded, "the path is too long for an archive");
    }
    prefix = name.substr(0, slash);
    name.remove_prefix(slash + 1);
  }
  if (entry.size > kSizeMax) {
    return base::fail(base::ErrorCode::kLimitExceeded, "the file is too large for an archive");
  }
  std::memcpy(head.name, name.data(), name.size());
  if (!prefix.empty()) std::memcpy(head.prefix, prefix.data(), prefix.size());
  put_octal(head.mode, entry.mode);
  put_octal(head.uid, entry.owner);
  put_octal(head.gid, entry.owner);
  put_octal(head.size, entry.is_folder ? 0 : entry.size);
  put_octal(head.mtime, 0);
  head.type = entry.is_folder ? '5' : '0';
  std::memcpy(head.magic, "ustar", 6);
  std::memcpy(head.version, "00", 2);
  std::memset(head.checksum, ' ', sizeof head.checksum);
  unsigned sum = 0;
  for (const char byte : std::string_view(reinterpret_cast<const char*>(&head), sizeof head)) {
    sum += static_cast<unsigned char>(byte);
  }
  std::snprintf(head.checksum, sizeof head.checksum, "%06o", sum);
  return std::string(reinterpret_cast<const char*>(&head), sizeof head);
}

std::string tar_padding(std::uint64_t size) {
  return std::string(static_cast<std::size_t>((kBlock - size % kBlock) % kBlock), '\0');
}

std::string tar_end() { return std::string(2 * kBlock, '\0'); }

}  // namespace airlock::container
