#include "container/bundle.h"

#include <boost/json.hpp>

#include "container/runtime.h"

namespace airlock::container {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kOpenFilesMax = 1u << 20;  // what a program may have is init's to limit

json::object make_mount(const std::string& source, const std::string& target, bool read_only) {
  json::array options = {"bind", "nosuid", "nodev"};
  options.emplace_back(read_only ? "ro" : "rw");
  return {{"destination", target}, {"type", "bind"}, {"source", source}, {"options", options}};
}

json::object make_process() {
  const json::array none;
  json::array own;
  for (const char* name : kLinkCapabilities) own.emplace_back(std::string("CAP_") + name);
  const json::object capabilities = {{"bounding", own},
                                     {"effective", own},
                                     {"inheritable", none},
                                     {"permitted", own},
                                     {"ambient", none}};
  return {
      {"terminal", false},
      {"user", {{"uid", 0}, {"gid", 0}}},
      {"args", json::value_from(link_command())},
      {"env", json::array{}},
      {"cwd", "/"},
      {"capabilities", capabilities},
      {"rlimits", {{{"type", "RLIMIT_NOFILE"}, {"hard", kOpenFilesMax}, {"soft", kOpenFilesMax}}}},
      {"noNewPrivileges", true}};
}

}  // namespace

std::string write_bundle(const BundleRequest& request) {
  json::array mounts = {
      {{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
      {{"destination", "/dev"}, {"type", "tmpfs"}, {"source", "tmpfs"}},
      {{"destination", "/dev/pts"}, {"type", "devpts"}, {"source", "devpts"}},
  };
  for (const std::string& tree : request.trees) mounts.push_back(make_mount(tree, tree, true));
  mounts.push_back(make_mount(request.programs, kProgramsFolder, true));
  for (const BundleRequest::Part& part : request.parts) {
    mounts.push_back(make_mount(part.source, part.target, part.read_only));
  }
  json::array namespaces;
  for (const char* type : {"pid", "network", "ipc", "uts", "mount"}) {
    namespaces.push_back({{"type", type}});
  }
  const json::object config = {{"ociVersion", "1.0.2"},
                               {"process", make_process()},
                               {"root", {{"path", request.root}, {"readonly", true}}},
                               {"hostname", "airlock"},
                               {"mounts", mounts},
                               {"linux", {{"namespaces", namespaces}}}};
  return json::serialize(config);
}

}  // namespace airlock::container
