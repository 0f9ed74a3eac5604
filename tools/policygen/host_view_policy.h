// policies/host-view.yaml as values; jail/host_view.h says what the tables mean.
//
// load_host_view() refuses unknown keys, relative or untidy paths, paths listed twice, and any
// entry without a reason.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace airlock::policygen {

// One entry of any list; which fields are used depends on the list.
struct ViewEntry {
  std::string path;
  std::string reason;
  std::string content;    // files
  std::string target;     // links
  bool required = false;  // devices, trees
  bool pattern = false;   // etc: the path is for glob(3)
  bool folder = false;    // proc_masks
};

struct HostView {
  std::vector<ViewEntry> trees;
  std::vector<ViewEntry> roots;
  std::vector<ViewEntry> etc;
  std::vector<ViewEntry> devices;
  std::vector<ViewEntry> files;
  std::vector<ViewEntry> links;
  std::vector<ViewEntry> proc_masks;
  std::vector<ViewEntry> proc_guarded;
};

base::Result<HostView> load_host_view(const std::string& path);

}  // namespace airlock::policygen
