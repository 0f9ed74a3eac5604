// The listener of a sandbox's egress gateway: init opens it inside, the keeper hands it up.
#include <cerrno>

#include "jail/keeper.h"

namespace airlock::jail {

// Whoever ran a sandbox without the listener that was asked for would take our failure for the
// network's refusal: so no process is started in it. Nobody after it gets its namespace.
bool Keeper::open_listener(const Listen& request) {
  if (!has_sandbox()) return false;
  sandbox_->touched_network = true;
  if (sandbox_->gateway.valid()) {
    // A new caller of a workspace that outlived the one before.
    const int fds[] = {sandbox_->gateway.get()};
    return send_message(caller_.get(), Listener{}, fds) == 0;
  }
  StageFailure& failure = sandbox_->failure;
  if (failure.stage == Stage::kNone) {
    failure = host_.lower != nullptr && !in_container()
                  ? StageFailure{Stage::kNetwork, EOPNOTSUPP}
                  : check_sent(send_message(sandbox_->channel.get(), request));
  }
  if (failure.stage == Stage::kNone) return true;
  return send_message(caller_.get(), Listener{failure.os_errno != 0 ? failure.os_errno : EIO}) == 0;
}

// False: that was not init.
bool Keeper::pass_listener(const Listener& made, Packet* packet) {
  if (packet->fd_count != (made.os_errno == 0 ? 1u : 0u)) return false;
  if (made.os_errno != 0) sandbox_->failure = {Stage::kNetwork, made.os_errno};
  const int fds[] = {packet->fds[0].get()};
  send_message(caller_.get(), made, std::span<const int>(fds, packet->fd_count));
  // Whoever adopts the workspace wants it, too.
  if (durable_ != nullptr) sandbox_->gateway = std::move(packet->fds[0]);
  return true;
}

}  // namespace airlock::jail
