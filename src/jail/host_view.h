// What of the host a sandbox sees, as constant tables made from policies/host-view.yaml.
//
// The yaml holds a reason for every entry; the tables hold what the launcher needs to act on, in
// the order of the file. Everything that is not listed does not exist inside. The data has static
// lifetime, allocates nothing and knows nothing of the machine it was built on.
#pragma once

#include <span>

namespace airlock::jail {

// Seen read-only at the same path inside.
struct BindEntry {
  const char* path;
  bool optional;  // passed over where the host lacks it; otherwise a host without it cannot run
  bool pattern;   // has wildcards in its name below /etc, expanded when the root is made
};

// A small file made for the sandbox, mode 0444.
struct FileEntry {
  const char* path;
  const char* content;
};

struct LinkEntry {
  const char* path;
  const char* target;
};

enum class MaskKind { kFile, kFolder };

// Hidden under /dev/null (kFile) or under an empty read-only folder (kFolder), where it exists.
struct MaskEntry {
  const char* path;
  MaskKind kind;
};

// Folders of the host bound whole, below which no reason is needed for each file: /usr.
std::span<const BindEntry> host_trees();
// /bin, /lib64, ...: where the host has a symbolic link (merged /usr) the same link, else a bind.
std::span<const BindEntry> host_roots();
// Entries of /etc.
std::span<const BindEntry> host_etc();
// Character devices of the host bound into /dev.
std::span<const BindEntry> host_devices();
std::span<const FileEntry> made_files();
std::span<const LinkEntry> made_links();
std::span<const MaskEntry> proc_masks();
// World-unreadable already (the kernel checks mode or capability), so not worth a mount; the probes
// check that each of them stays closed.
std::span<const char* const> proc_guarded();

}  // namespace airlock::jail
