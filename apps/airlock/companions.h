// The programs that lie beside `airlock`, and without which it cannot do its work.
//
// Looks whether they are there, and no more: `airlock doctor` looks at what they are. For messages
// after something has failed, so that nothing costs a run that works.
#pragma once

#include <filesystem>
#include <string>

namespace airlock::apps {

std::filesystem::path companions_folder();

// What to say where something failed that needs `name`: empty if it is there.
std::string missing_companion(const std::filesystem::path& folder, const std::string& name);

}  // namespace airlock::apps
