// IdMap: which uids of the host stand for the uids inside a sandbox.
//
// As root every slot has 65536 ids of its own. An ordinary user gets two subordinate ids per slot
// where newuidmap and /etc/subuid give them, else only the own id, and the sandbox says so
// (`missing`).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace airlock::jail {

// Ids inside. Init is another user than the guest wherever the host allows it.
inline constexpr std::uint32_t kInitId = 0;
inline constexpr std::uint32_t kGuestId = 1000;
inline constexpr std::uint32_t kCreatorId = 1;  // of the user namespace; nothing runs as it

inline constexpr std::uint32_t kPoolFirst =
    0x78000000;  // above systemd-nspawn's and subuid's ranges
inline constexpr std::uint32_t kPoolIdsPerSlot = 65'536;
inline constexpr std::uint32_t kSlotsMax = 1'024;

enum class IdMapKind : std::uint8_t { kPool, kSubordinate, kSingle };

struct IdHost {
  IdMapKind kind = IdMapKind::kSingle;
  uid_t own_uid = 0;
  gid_t own_gid = 0;
  std::uint32_t subordinate_uid = 0;  // first of the range
  std::uint32_t subordinate_gid = 0;
  std::uint32_t subordinate_count = 0;
  std::uint32_t slots_max = kSlotsMax;
};

// Looks at who we are, /etc/subuid, /etc/subgid and newuidmap.
IdHost open_id_host();

// The owner, as the host sees it, of files that belong to `inside_id` in `slot`.
uid_t host_uid(const IdHost& host, std::uint32_t slot, std::uint32_t inside_id);
gid_t host_gid(const IdHost& host, std::uint32_t slot, std::uint32_t inside_id);

// The uid init runs as inside: kInitId, or kGuestId where there is only one id.
std::uint32_t init_id(const IdHost& host, bool force_single);

// Writes the maps of a process that was just cloned into a user namespace. `force_single` maps only
// our own id. Returns 0 or an errno.
int write_id_maps(const IdHost& host, std::uint32_t slot, bool force_single, pid_t pid);

}  // namespace airlock::jail
