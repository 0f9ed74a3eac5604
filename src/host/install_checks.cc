// Airlock's own programs beside this one, and the port of its service.
#include <string>

#include "host/checks.h"
#include "host/proc_files.h"
#include "host/surroundings.h"

namespace airlock::host {

namespace {

constexpr std::string_view kInstall = "install";
constexpr std::string_view kPorts = "ports";
constexpr std::uint32_t kWritableByOthers = 0022;
constexpr std::uint32_t kSetIdBits = 06000;

Finding check_program(HostProbe& probe, const Question& question, std::string_view name) {
  const std::string path = question.programs + "/" + std::string(name);
  const auto facts = probe.facts(path);
  if (!facts || facts->kind != FileKind::kRegular) {
    return fail_finding(kInstall, name, path + " is not there",
                        "airlock starts it for every sandbox and looks for it beside itself only",
                        "install all of them into one folder: install -m 0755 airlock "
                        "airlock-daemon airlock-jail airlock-nest airlock-init "
                        "airlock-broker airlock-link " +
                            question.programs);
  }
  if (!probe.may_execute(path)) {
    return fail_finding(kInstall, name, path + " may not be executed by this user",
                        "airlock starts it for every sandbox",
                        sudo_prefix(probe) + "chmod 0755 " + path);
  }
  if ((facts->mode & kSetIdBits) != 0) {
    return warn_finding(kInstall, name, path + " is setuid or setgid",
                        "Airlock never needs that, and the launcher is not made to be started by "
                        "strangers with rights of root",
                        sudo_prefix(probe) + "chmod ug-s " + path);
  }
  // As an ordinary user a private copy in the own home is fine; root must own what root runs.
  const bool owner_trusted = facts->owner == 0 || facts->owner == probe.identity().uid;
  if (!owner_trusted || (facts->mode & kWritableByOthers) != 0) {
    return warn_finding(kInstall, name,
                        path + (owner_trusted ? " is writable by other users"
                                              : " belongs to uid " + std::to_string(facts->owner)),
                        "whoever can change it can act as you",
                        sudo_prefix(probe) + "chown root " + path + " && " + sudo_prefix(probe) +
                            "chmod 0755 " + path);
  }
  return ok_finding(kInstall, name, path);
}

Finding find_listener(HostProbe& probe, std::uint16_t port) {
  const std::string id = "port_" + std::to_string(port);
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    const auto inodes = find_listening_inodes(probe.read(table).value_or(""), port);
    if (inodes.empty()) continue;
    const auto owner = probe.find_socket_owner(inodes.front());
    return warn_finding(
        kPorts, id,
        std::to_string(port) + " is in use by " + owner.value_or("a process of another user"),
        "`airlock run` opens no port; only the service would want this one",
        sudo_prefix(probe) + "ss -ltnp 'sport = :" + std::to_string(port) +
            "' (then stop that program, or give the service another port: airlock serve --listen)");
  }
  return ok_finding(kPorts, id, std::to_string(port) + " is free");
}

Finding check_daemon(HostProbe& probe, const Question& question) {
  Finding finding = check_program(probe, question, "airlock-daemon");
  if (finding.status != FindingStatus::kFail) return finding;
  finding.status = FindingStatus::kWarn;
  finding.meaning =
      "`airlock run` works without it; `airlock serve` and the verbs of jobs are in it";
  return finding;
}

// Where the full tier can be had nobody starts it; where it cannot, that is what fails.
Finding check_nest(HostProbe& probe, const Question& question) {
  Finding finding = check_program(probe, question, "airlock-nest");
  if (finding.status != FindingStatus::kFail) return finding;
  finding.status = FindingStatus::kWarn;
  finding.meaning = "airlock starts it where the full tier cannot be had; there, runs fail without";
  return finding;
}

}  // namespace

Findings check_install(HostProbe& probe, const Question& question) {
  return {check_program(probe, question, "airlock-jail"), check_nest(probe, question),
          check_program(probe, question, "airlock-init"), check_daemon(probe, question)};
}

Findings check_port(HostProbe& probe, const Question& question) {
  return {find_listener(probe, question.port)};
}

}  // namespace airlock::host
