#include "container/image_environment.h"

#include <algorithm>
#include <string_view>

namespace airlock::container {
namespace {

constexpr std::string_view kUsualFolders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                              "/usr/bin",        "/sbin",          "/bin"};
constexpr std::string_view kPath = "PATH=";

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> folders;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find(':'), path.size());
    if (end > 0) folders.push_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return folders;
}

std::string merge_path(std::string_view image, std::string_view given) {
  std::vector<std::string_view> folders;
  const auto add = [&](std::string_view folder) {
    if (std::ranges::find(folders, folder) == folders.end()) folders.push_back(folder);
  };
  const std::vector<std::string_view> own = split(given);
  const auto usual = [](std::string_view folder) {
    return std::ranges::find(kUsualFolders, folder) != std::end(kUsualFolders);
  };
  const auto first_usual = std::ranges::find_if(own, usual);
  std::for_each(own.begin(), first_usual, add);
  std::ranges::for_each(split(image), add);
  std::for_each(first_usual, own.end(), add);
  std::string path(kPath);
  for (const std::string_view folder : folders) {
    if (path.size() > kPath.size()) path += ':';
    path += folder;
  }
  return path;
}

// With the "="; of what is_variable().
std::string_view name_of(std::string_view entry) { return entry.substr(0, entry.find('=') + 1); }

bool is_variable(std::string_view entry) {
  const std::size_t equals = entry.find('=');
  return equals != std::string_view::npos && equals > 0 &&
         entry.find('\0') == std::string_view::npos;
}

}  // namespace

std::vector<std::string> merge_environment(std::span<const std::string> image,
                                           const jail::StringList& given) {
  std::vector<std::string> entries;
  given.for_each([&](std::string_view entry) { entries.emplace_back(entry); });
  for (const std::string& entry : image) {
    if (!is_variable(entry)) continue;
    const auto same = std::ranges::find_if(
        entries, [&](const std::string& own) { return own.starts_with(name_of(entry)); });
    if (same == entries.end()) {
      entries.push_back(entry);
    } else if (same->starts_with(kPath)) {
      *same = merge_path(std::string_view(entry).substr(kPath.size()),
                         std::string_view(*same).substr(kPath.size()));
    }
  }
  return entries;
}

}  // namespace airlock::container
