#include "source/ssh_files.h"

#include "model/network.h"

namespace airlock::source {
namespace {

// A submodule's URL names a host that nobody has checked, and a shell of ssh's sees it as %h. git
// calls with options, [USER@]HOST and one command.
constexpr const char* kGuard = R"(to=${@: -2:1}
case ${to#*@} in
'' | -* | *[!A-Za-z0-9.-]*)
  echo "airlock: the host of a repository over ssh is no plain name" >&2
  exit 255
  ;;
esac
)";

// bash can open a connection by itself: nothing has to be installed for this. Only what reads from
// the server holds ssh's pipe, so that ssh sees when the server hangs up; when ssh is gone, what
// wrote for it ends the reader, and nothing stays behind that holds git's pipes.
constexpr const char* kConnect = R"(
printf 'CONNECT %s:%s HTTP/1.1\r\nHost: %s:%s\r\n\r\n' "$1" "$2" "$1" "$2" >&3
IFS= read -r status <&3
if [[ $status != 'HTTP/1.1 200 '* ]]; then
  echo "airlock: the way to $1:$2 is shut: ${status%$'\r'}" >&2
  exit 1
fi
while IFS= read -r line <&3 && [[ $line != $'\r' ]]; do :; done
exec 4<&0
{
  cat <&4
  kill $$ 2>/dev/null
} >&3 &
exec cat <&3 3>&- 4<&-
)";

}  // namespace

std::string ssh_key_path(const std::string& folder) { return folder + "/key"; }

std::string ssh_command(const std::string& folder) { return "/bin/bash " + folder + "/ssh"; }

std::vector<PlanFile> ssh_files(const std::string& folder, const SshKnobs& knobs) {
  std::string config =
      "BatchMode yes\n"
      "ForwardAgent no\n"
      "GlobalKnownHostsFile /dev/null\n"
      "IdentitiesOnly yes\n"
      "IdentityAgent none\n"
      "PreferredAuthentications publickey\n"
      "StrictHostKeyChecking yes\n"
      "UpdateHostKeys no\n";
  config += "UserKnownHostsFile " + folder + "/known_hosts\n";
  config += "IdentityFile " + (knobs.key.empty() ? "none" : ssh_key_path(folder)) + "\n";
  config += "ProxyCommand /bin/bash " + folder + "/connect %h %p\n";
  std::vector<PlanFile> files = {
      {folder + "/config", std::move(config)},
      {folder + "/known_hosts", knobs.known_hosts},
      {folder + "/ssh", kGuard + ("exec /usr/bin/ssh -F " + folder + "/config \"$@\"\n")},
      {folder + "/connect", "exec 3<>/dev/tcp/127.0.0.1/" + std::to_string(model::kGatewayPort) +
                                " || exit 1" + kConnect},
  };
  // One that lacks its last line break is no key to ssh.
  if (!knobs.key.empty()) {
    files.push_back({ssh_key_path(folder), knobs.key + (knobs.key.ends_with('\n') ? "" : "\n")});
  }
  return files;
}

}  // namespace airlock::source
