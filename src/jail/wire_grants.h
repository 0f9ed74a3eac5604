// Messages about what a sandbox is given besides its workspace: binds of the host's, and layers.
//
// Part of the protocol of wire.h, with the same rules: a message borrows its packet, and nothing
// allocates.
#pragma once

#include <cstdint>
#include <string_view>

#include "jail/wire.h"

namespace airlock::jail {

// Something of the host that this sandbox is given, at a mount point that the root has. fd: the
// mount, with its attributes, unless there is a `source`.
struct Bind {
  static constexpr MessageType kType = MessageType::kBind;
  std::uint16_t stage = 0;       // Stage of a failure
  std::string_view source;       // of the host, for init to look up before it is somebody else
  std::string_view target;       // relative
  std::uint64_t attributes = 0;  // of mount_setattr(2), to be set where there is a source
  void visit(auto& a) { a(stage, source, target, attributes); }
};

// Keeps what lies in /build under a name. Answered by kLayerKept.
struct KeepLayer {
  static constexpr MessageType kType = MessageType::kKeepLayer;
  std::string_view name;
  void visit(auto& a) { a(name); }
};

struct LayerKept {
  static constexpr MessageType kType = MessageType::kLayerKept;
  std::int32_t os_errno = 0;
  bool existed = false;  // one of that name was there, and stays
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
  std::uint64_t skipped = 0;  // sockets, fifos and their like
  void visit(auto& a) { a(os_errno, existed, bytes, entries, skipped); }
};

// Everything below one directory of the workspace.
struct ReadTree {
  static constexpr MessageType kType = MessageType::kReadTree;
  std::string_view directory;
  void visit(auto& a) { a(directory); }
};

// What comes after kFolder lies in it, until its kFolderEnd.
enum class EntryKind : std::uint8_t { kFolder = 1, kFolderEnd, kFile, kLink, kOther };

// fd: of kFile, opened for reading.
struct TreeEntry {
  static constexpr MessageType kType = MessageType::kTreeEntry;
  EntryKind kind{};
  std::string_view name;
  bool executable = false;
  std::int64_t modified_s = 0;
  std::uint32_t modified_ns = 0;
  std::string_view target;  // of kLink
  void visit(auto& a) { a(kind, name, executable, modified_s, modified_ns, target); }
};

struct TreeDone {
  static constexpr MessageType kType = MessageType::kTreeDone;
  std::int32_t os_errno = 0;
  void visit(auto& a) { a(os_errno); }
};

enum class LayerVerb : std::uint8_t { kList = 1, kFind, kRemove };

// About the layers of the launcher's state directory. `name` is for kFind and kRemove.
struct LayerOrder {
  static constexpr MessageType kType = MessageType::kLayerOrder;
  LayerVerb verb{};
  std::string_view name;
  void visit(auto& a) { a(verb, name); }
};

struct LayerListed {
  static constexpr MessageType kType = MessageType::kLayerListed;
  std::string_view name;
  std::uint64_t bytes = 0;
  std::int64_t used_us = 0;  // of the last use, since 1970
  void visit(auto& a) { a(name, bytes, used_us); }
};

struct LayersDone {
  static constexpr MessageType kType = MessageType::kLayersDone;
  std::int32_t os_errno = 0;
  void visit(auto& a) { a(os_errno); }
};

}  // namespace airlock::jail
