// How a keeper has files read back by init: outputs, which go to the caller, and /build, of which
// it writes a copy that becomes a layer.
#include <sys/stat.h>
#include <algorithm>
#include <cerrno>
#include <utility>

#include "jail/keeper.h"
#include "jail/path_rules.h"
#include "jail/sandbox_layout.h"

namespace airlock::jail {

// Who wants no file before the first process wants to know when the sandbox is there. Init has told
// that, or is about to, and need not be woken for it: it would be once for every parked sandbox.
bool Keeper::collect(const Collect& request, Packet* packet) {
  if (!has_sandbox()) return false;
  const bool wants_nothing = request.patterns.count() == 0 && sandbox_->processes.empty();
  if (wants_nothing && sandbox_->failure.stage == Stage::kNone) {
    sandbox_->collecting = true;
    if (sandbox_->ready) on_ready();
    return true;
  }
  const bool busy =
      std::ranges::any_of(sandbox_->processes, [](const auto& p) { return !p->ended(); });
  sandbox_->files_left = sandbox_->refusals_left = request.files_max;
  sandbox_->file_bytes_max = request.file_bytes_max;
  sandbox_->bytes_left = request.total_bytes_max;
  int error = busy ? EBUSY : 0;
  if (error == 0 && sandbox_->failure.stage != Stage::kNone) error = ENXIO;
  if (error == 0) error = send_packet(sandbox_->channel.get(), packet->bytes);
  sandbox_->collecting = error == 0;
  if (error != 0) fail_collect(error);
  return true;
}

void Keeper::fail_collect(int error) {
  send_message(caller_.get(),
               CollectDone{.truncated = false,
                           .os_errno = error,
                           .detail = sandbox_->failure_detail,
                           .stage = static_cast<std::uint16_t>(sandbox_->failure.stage)});
}

// Init checks all of this; in a container somebody else may speak in its place.
bool Keeper::may_be_collected(const Packet& packet) {
  CollectedFile file;
  RefusedFile refused;
  if (!sandbox_->collecting) return false;
  if (decode(packet.bytes, &refused)) return sandbox_->refusals_left-- > 0;
  if (!decode(packet.bytes, &file)) return message_type(packet.bytes) == MessageType::kCollectDone;
  struct stat status{};
  const bool is_whole = packet.fd_count == 1 && fstat(packet.fds[0].get(), &status) == 0 &&
                        S_ISREG(status.st_mode) &&
                        static_cast<std::uint64_t>(status.st_size) == file.size;
  if (!is_whole || sandbox_->files_left == 0 || file.size > sandbox_->file_bytes_max ||
      file.size > sandbox_->bytes_left || !is_safe_path(file.path) ||
      !is_printable_utf8(file.path)) {
    return false;
  }
  --sandbox_->files_left;
  sandbox_->bytes_left -= file.size;
  return true;
}

void Keeper::on_ready() {
  sandbox_->ready = true;
  if (!sandbox_->collecting) return;
  sandbox_->collecting = false;
  send_message(caller_.get(), CollectDone{});
}

bool Keeper::keep_layer(const KeepLayer& request) {
  if (!has_sandbox()) return false;
  const bool busy =
      std::ranges::any_of(sandbox_->processes, [](const auto& p) { return !p->ended(); });
  int error = busy ? EBUSY : 0;
  if (error == 0 && host_.lower != nullptr) error = ENOTSUP;
  if (error == 0 && sandbox_->failure.stage != Stage::kNone) error = ENXIO;
  if (error == 0 && sandbox_->given.has_layer()) error = EROFS;
  if (error == 0 && !is_layer_name(request.name)) error = EINVAL;
  if (error == 0) {
    auto writer = LayerWriter::begin(host_.state_directory, request.name,
                                     {.bytes = request_.disk_bytes, .entries = request_.inodes});
    if (writer.has_value()) {
      sandbox_->layer = std::make_unique<LayerWriter>(std::move(*writer));
      sandbox_->layer_error = 0;
    } else {
      error = writer.error().os_errno != 0 ? writer.error().os_errno : EIO;
    }
  }
  if (error == 0 && sandbox_->layer->existed()) {
    finish_layer(0);
    return true;
  }
  if (error == 0) error = send_message(sandbox_->channel.get(), ReadTree{kBuildPart});
  sandbox_->collecting = error == 0;
  if (error != 0) finish_layer(error);
  return true;
}

// False: init says what makes no sense.
bool Keeper::take_tree(Packet* packet) {
  if (sandbox_->layer == nullptr) return false;
  TreeEntry entry;
  TreeDone done;
  if (decode(packet->bytes, &done)) {
    sandbox_->collecting = false;
    finish_layer(sandbox_->layer_error != 0 ? sandbox_->layer_error : done.os_errno);
    return true;
  }
  if (!decode(packet->bytes, &entry)) return false;
  // After an error the rest is only listened to.
  if (sandbox_->layer_error == 0) {
    sandbox_->layer_error = sandbox_->layer->add(entry, packet->fds[0]);
  }
  return true;
}

void Keeper::finish_layer(int error) {
  LayerKept kept;
  kept.os_errno = error;
  if (error == 0) kept = sandbox_->layer->finish();
  // Its lock has to be gone before anyone knows.
  sandbox_->layer.reset();
  send_message(caller_.get(), kept);
}

}  // namespace airlock::jail
