#include <string>
#include <utility>

#include "host/checks.h"

namespace airlock::host {

namespace {

std::string describe_user(const Identity& identity) {
  if (identity.is_root()) return "root";
  const std::string uid = "uid " + std::to_string(identity.uid);
  return identity.name.empty() ? uid : identity.name + " (" + uid + ")";
}

}  // namespace

Report examine(HostProbe& probe, const Question& question) {
  Report report;
  const KernelName kernel = probe.kernel();
  report.user = describe_user(probe.identity());
  report.kernel = kernel.release + " " + kernel.machine;
  const auto add = [&report](Findings findings) {
    for (Finding& finding : findings) report.findings.push_back(std::move(finding));
  };
  add(check_kernel(probe));
  add(check_namespaces(probe, question));
  add(check_cgroup(probe));
  add(check_files(probe, question));
  add(check_memory(probe));
  add(check_host(probe));
  add(check_install(probe, question));
  add(check_backends(probe, question));
  add(check_gpus(probe));
  add(check_port(probe, question));
  return report;
}

}  // namespace airlock::host
