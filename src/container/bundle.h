// The OCI bundle of a container that runsc makes for us: config.json, from our one template.
//
// Every container has the same namespaces, user, capabilities (none) and programs; a request says
// which folders of the host it sees. Touches no file.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace airlock::container {

struct BundleRequest {
  std::string root;                // of the host, read-only
  std::vector<std::string> trees;  // of the host, seen read-only at the same place
  std::string programs;            // folder of the host, at kProgramsFolder
  // Folders of the host and where they are seen, writable unless said so.
  struct Part {
    std::string source;
    std::string target;
    bool read_only;
  };
  std::vector<Part> parts;
};

// The text of config.json (OCI runtime specification 1.0).
std::string write_bundle(const BundleRequest& request);

}  // namespace airlock::container
