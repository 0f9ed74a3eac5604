#include "apps/airlock/ssh_settings.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/files.h"

namespace airlock::apps {
namespace {

using config::Value;
using config::Values;

constexpr std::string_view kKnownHostsFile = "source.ssh_known_hosts_file";
constexpr std::string_view kKeyFile = "source.ssh_key_file";
constexpr std::string_view kKey = "source.ssh_key";
constexpr std::size_t kKnownHostsBytesMax = std::size_t{1} << 20;
constexpr std::size_t kKeyBytesMax = std::size_t{64} << 10;

std::unexpected<base::Error> refuse(const Values& values, std::string_view name,
                                    std::string message, std::string hint) {
  return base::fail(values.refuse(name, {.code = base::ErrorCode::kInvalidArgument,
                                         .os_errno = 0,
                                         .message = std::move(message),
                                         .hint = std::move(hint)}));
}

// A file that only the supervisor could read shows as a missing permission in the daemon.
base::Result<std::string> read_known_hosts(const Values& values) {
  const std::string& path = values.text(kKnownHostsFile);
  auto text = base::read_regular(path, kKnownHostsBytesMax);
  if (!text) {
    base::Error error = values.refuse(kKnownHostsFile, text.error());
    error.hint = "the user that the service runs as has to be able to read it";
    return base::fail(std::move(error));
  }
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    if (line.find(' ') != std::string_view::npos && line.front() != '#') return text;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return refuse(values, kKnownHostsFile, path + " names no host",
                "ssh-keyscan HOST writes such lines: compare them with what the host's owner says");
}

base::Result<std::string> read_key_file(const Values& values) {
  const std::string& path = values.text(kKeyFile);
  const auto file = base::open_regular(path);
  if (!file) return base::fail(values.refuse(kKeyFile, file.error()));
  if (!base::is_private(file->get())) {
    return refuse(values, kKeyFile, path + " can be read by others", "chmod 600 " + path);
  }
  auto text = base::read_to_end(file->get(), kKeyBytesMax, path);
  if (!text) return base::fail(values.refuse(kKeyFile, text.error()));
  return text;
}

// A file wins over a variable that was said at the same place.
base::Result<std::string> read_key(const Values& values) {
  const Value& key = values.of(kKey);
  const Value& file = values.of(kKeyFile);
  const bool from_file = !file.texts.empty() && (key.texts.empty() || file.layer >= key.layer);
  if (!from_file && key.texts.empty()) return std::string();
  std::string text = key.texts.empty() ? "" : key.texts.front();
  if (from_file) { AIRLOCK_ASSIGN(text, read_key_file(values)); }
  if (text.find("PRIVATE KEY-----") == std::string::npos) {
    return refuse(values, from_file ? kKeyFile : kKey, "this is no private key of ssh",
                  "make one without a passphrase: ssh-keygen -t ed25519 -N '' -f FILE");
  }
  return text;
}

}  // namespace

base::Result<std::optional<source::SshKnobs>> read_ssh_settings(const Values& values) {
  source::SshKnobs ssh;
  AIRLOCK_ASSIGN(ssh.key, read_key(values));
  if (values.text(kKnownHostsFile).empty()) {
    if (ssh.key.empty()) return std::optional<source::SshKnobs>();
    const bool from_file = !values.text(kKeyFile).empty();
    return refuse(values, from_file ? kKeyFile : kKey, "a key alone reaches no repository",
                  "host keys are never taken on trust: set source.ssh_known_hosts_file, too");
  }
  AIRLOCK_ASSIGN(ssh.known_hosts, read_known_hosts(values));
  return std::optional(std::move(ssh));
}

void pass_ssh_key_on(Values& values, const source::SshKnobs& ssh) {
  values.forget(kKeyFile);
  if (!ssh.key.empty()) values.put(kKey, {{ssh.key}, config::Layer::kFlag, "the supervisor"});
}

}  // namespace airlock::apps
