// Any bytes as a packet of any type: decoding neither crashes nor reads outside, and what is
// accepted can be sent again and comes back the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "jail/wire_durable.h"
#include "jail/wire_grants.h"

namespace airlock::jail {
namespace {

template <typename Message>
void try_type(std::string_view packet) {
  Message message;
  if (!decode(packet, &message)) return;
  static char buffer[kMessageBytesMax];
  Header header;
  std::memcpy(&header, packet.data(), sizeof header);
  const std::string_view again = encode(message, buffer, header.fd_count);
  AIRLOCK_CHECK(again == packet);
}

void try_all(std::string_view packet) {
  try_type<OpenWorkspace>(packet);
  try_type<CreateSandbox>(packet);
  try_type<DestroySandbox>(packet);
  try_type<PutFile>(packet);
  try_type<Exec>(packet);
  try_type<Collect>(packet);
  try_type<CollectedFile>(packet);
  try_type<RefusedFile>(packet);
  try_type<CollectDone>(packet);
  try_type<Signal>(packet);
  try_type<Terminate>(packet);
  try_type<Kill>(packet);
  try_type<Terminal>(packet);
  try_type<ViewSetup>(packet);
  try_type<WorkspaceSetup>(packet);
  try_type<ExecSetup>(packet);
  try_type<Confine>(packet);
  try_type<WorkspaceMount>(packet);
  try_type<InitPutDone>(packet);
  try_type<InitReady>(packet);
  try_type<InitExited>(packet);
  try_type<InitSignal>(packet);
  try_type<Starting>(packet);
  try_type<StartFailed>(packet);
  try_type<Report>(packet);
  try_type<AdoptWorkspace>(packet);
  try_type<DiscardWorkspace>(packet);
  try_type<ListWorkspaces>(packet);
  try_type<WorkspaceNames>(packet);
  try_type<WorkspaceAnswer>(packet);
  try_type<Adopted>(packet);
  try_type<AdoptedProcess>(packet);
  try_type<ForgetProcess>(packet);
  try_type<EndWorkspace>(packet);
  try_type<Bind>(packet);
  try_type<KeepLayer>(packet);
  try_type<LayerKept>(packet);
  try_type<ReadTree>(packet);
  try_type<TreeEntry>(packet);
  try_type<TreeDone>(packet);
  try_type<LayerOrder>(packet);
  try_type<LayerListed>(packet);
  try_type<LayersDone>(packet);
}

}  // namespace
}  // namespace airlock::jail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  airlock::jail::try_all({reinterpret_cast<const char*>(data), size});
  return 0;
}
