// What ssh needs in the sandbox of a clone: files, and the command that git calls it by.
//
// ssh reaches its server through the egress gateway, obeys the files in `folder` alone, asks nobody
// anything and takes no host key on trust. Whoever reads the folder has the key: it must be gone
// before anything of the repository is executed. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "source/clone_plan.h"

namespace airlock::source {

// What stands before the words of these files among those of git and ssh.
inline constexpr std::string_view kSshNotePrefix = "airlock: ";

std::vector<PlanFile> ssh_files(const std::string& folder, const SshKnobs& knobs);
std::string ssh_key_path(const std::string& folder);

// For GIT_SSH_COMMAND.
std::string ssh_command(const std::string& folder);

}  // namespace airlock::source
