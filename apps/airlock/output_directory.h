// OutputDirectory: the folder of --output, into which files of a guest are copied.
//
// Names come from the guest and are checked by the collector; here they are walked one part at a
// time beneath the folder, never through a symbolic link. A file appears whole or not at all
// (temporary name, then rename); an existing file or link of that name is replaced, never written
// through.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "runner/output_sink.h"

namespace airlock::apps {

class OutputDirectory final : public runner::FileSink {
 public:
  // Makes the folder and its parents where they are missing.
  static base::Result<OutputDirectory> open(const std::string& path);

  // Whether files can be made in it with the privileges that are left.
  base::Status check_writable() const;
  base::Status take(const backend::CollectedFile& file) override;

 private:
  explicit OutputDirectory(base::UniqueFd fd) : fd_(std::move(fd)) {}

  base::UniqueFd fd_;
};

}  // namespace airlock::apps
