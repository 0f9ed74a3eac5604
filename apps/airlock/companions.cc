#include "apps/airlock/companions.h"

#include <system_error>

namespace airlock::apps {

std::filesystem::path companions_folder() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "/usr/bin" : self.parent_path();
}

std::string missing_companion(const std::filesystem::path& folder, const std::string& name) {
  std::error_code error;
  const std::filesystem::path path = folder / name;
  if (std::filesystem::exists(path, error)) return {};
  return path.string() +
         " is missing: it belongs beside airlock, from the same build; `airlock "
         "doctor` checks all that belongs there";
}

}  // namespace airlock::apps
