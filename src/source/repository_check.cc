#include "source/repository_check.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/ascii.h"

namespace airlock::source {
namespace {

constexpr std::string_view kProgram = "inference.py";
constexpr std::string_view kRequirements = "requirements.txt";
constexpr std::string_view kDockerfile = "Dockerfile";

struct Pattern {
  std::string_view text;
  std::string_view why;
};

// Only ever warned of: a program may have good reasons, and the sandbox does not rely on this.
constexpr Pattern kProgramPatterns[] = {
    {"os.system(", "starts a shell"},
    {"subprocess", "starts processes"},
    {"eval(", "evaluates text"},
    {"exec(", "executes text"},
    {"__import__(", "imports by name"},
    {"socket.", "opens sockets: inference has no network"},
    {"urllib.request", "opens URLs: inference has no network"},
    {"requests.get(", "opens URLs: inference has no network"},
};
constexpr Pattern kDockerfilePatterns[] = {
    {"rm -rf /", "removes from the root"},
    {"chmod 777", "lets everybody write"},
};
constexpr std::string_view kBlanks = " \t\r\f";

std::unexpected<base::Error> invalid(const std::string& reason, std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::string(kValidationFailed) + reason,
                    std::move(hint));
}

template <typename Use>
void for_lines(std::string_view text, Use use) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    use(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// A file's text, nullopt where there is none; anything but a regular file is an error.
base::Result<std::optional<std::string>> read_if_there(const RepositoryView& view,
                                                       std::string_view path,
                                                       base::ByteCount bytes_max) {
  const auto entry = view.look(path);
  if (!entry) {
    if (entry.error().code == base::ErrorCode::kNotFound) return std::nullopt;
    return invalid(entry.error().to_string());
  }
  if (entry->kind != EntryKind::kFile) {
    return invalid(std::string(path) + " is not a regular file",
                   "a link, a folder or a device is not read");
  }
  auto text = view.read(path, bytes_max);
  if (!text && text.error().code == base::ErrorCode::kLimitExceeded) {
    return invalid(std::string(path) + " is larger than " + base::format_byte_count(bytes_max));
  }
  if (!text) return invalid(text.error().to_string());
  return std::optional(std::move(*text));
}

base::Result<std::string> read_required(const RepositoryView& view, std::string_view path,
                                        base::ByteCount bytes_max) {
  AIRLOCK_ASSIGN(std::optional<std::string> text, read_if_there(view, path, bytes_max));
  if (text) return std::move(*text);
  return invalid("required file is missing: " + std::string(path),
                 "a repository has inference.py and requirements.txt, or an airlock.yaml that says "
                 "what to run");
}

template <std::size_t N>
void warn_of(const Pattern (&patterns)[N], std::string_view file, std::string_view text,
             std::vector<std::string>& warnings) {
  for (const Pattern& pattern : patterns) {
    if (text.find(pattern.text) == std::string_view::npos) continue;
    warnings.push_back(std::string(file) + " holds \"" + std::string(pattern.text) + "\": it " +
                       std::string(pattern.why));
  }
}

void warn_of_program(std::string_view text, std::vector<std::string>& warnings) {
  warn_of(kProgramPatterns, kProgram, text, warnings);
  if (text.find("--phase") == std::string_view::npos) {
    warnings.emplace_back(
        "inference.py does not mention --phase, which says what it is called for");
  }
  if (text.find("argparse") == std::string_view::npos) {
    warnings.emplace_back("inference.py does not use argparse");
  }
}

base::Status check_requirements(std::string_view text, std::vector<std::string>& warnings) {
  if (text.find('\0') != std::string_view::npos) return invalid("requirements.txt is not text");
  const std::size_t count = requirement_lines(text).size();
  if (count > kRequirementsMax) {
    return invalid("requirements.txt names " + std::to_string(count) + " packages, at most " +
                   std::to_string(kRequirementsMax));
  }
  for_lines(text, [&warnings](std::string_view line) {
    line = base::trimmed(line, kBlanks);
    if (line.starts_with('-') && warnings.size() < kRequirementsMax) {
      warnings.push_back("requirements.txt has the option " + std::string(line.substr(0, 64)));
    }
  });
  return {};
}

bool is_from(std::string_view line) {
  line = base::trimmed(line, kBlanks);
  constexpr std::string_view kFrom = "FROM";
  return line.size() > kFrom.size() && (line[4] == ' ' || line[4] == '\t') &&
         std::ranges::equal(line.substr(0, 4), kFrom, [](char a, char b) {
           return std::toupper(static_cast<unsigned char>(a)) == b;
         });
}

base::Status check_dockerfile(std::string_view text, std::vector<std::string>& warnings) {
  bool has_from = false;
  for_lines(text, [&](std::string_view line) {
    has_from = has_from || is_from(line);
    const std::size_t pipe = line.find('|');
    if (pipe == std::string_view::npos) return;
    const std::string_view to = base::trimmed(line.substr(pipe + 1), kBlanks);
    const bool fetches = line.find("curl") < pipe || line.find("wget") < pipe;
    if (fetches && (to.starts_with("bash") || to.starts_with("sh"))) {
      warnings.emplace_back("Dockerfile pipes a download into a shell");
    }
  });
  if (!has_from) return invalid("Dockerfile has no FROM");
  warn_of(kDockerfilePatterns, kDockerfile, text, warnings);
  warnings.emplace_back("Dockerfile is not used: programs run with this host's toolchains");
  return {};
}

}  // namespace

std::vector<std::string> requirement_lines(std::string_view text) {
  std::vector<std::string> lines;
  for_lines(text, [&lines](std::string_view line) {
    line = base::trimmed(line, kBlanks);
    if (!line.empty() && line.front() != '#' && line.front() != '-') lines.emplace_back(line);
  });
  return lines;
}

base::Result<CheckedRepository> check_repository(const RepositoryView& view,
                                                 const HostChecks& host) {
  CheckedRepository checked;
  AIRLOCK_ASSIGN(const auto job_file, read_if_there(view, kJobFileName, kJobFileBytesMax));
  if (job_file) {
    auto parsed = parse_job_file(*job_file, host);
    if (!parsed) return invalid(parsed.error().message, parsed.error().hint);
    checked.job_file = std::move(*parsed);
    AIRLOCK_ASSIGN(const auto requirements,
                   read_if_there(view, kRequirements, kRequirementsBytesMax));
    if (requirements) AIRLOCK_TRY(check_requirements(*requirements, checked.warnings));
    return checked;
  }
  AIRLOCK_ASSIGN(const std::string program, read_required(view, kProgram, kProgramBytesMax));
  AIRLOCK_ASSIGN(const std::string requirements,
                 read_required(view, kRequirements, kRequirementsBytesMax));
  AIRLOCK_TRY(check_requirements(requirements, checked.warnings));
  warn_of_program(program, checked.warnings);
  AIRLOCK_ASSIGN(const auto dockerfile, read_if_there(view, kDockerfile, kDockerfileBytesMax));
  if (dockerfile) AIRLOCK_TRY(check_dockerfile(*dockerfile, checked.warnings));
  // Compiles and writes nothing; -I keeps files of the repository from standing for Python's own.
  checked.compile_check = {
      "python3",
      "-I",
      "-B",
      "-c",
      "import sys\n"
      "with open(sys.argv[1], 'rb') as file:\n"
      "    text = file.read()\n"
      "try:\n"
      "    compile(text, sys.argv[1], 'exec', dont_inherit=True)\n"
      "except (SyntaxError, ValueError, RecursionError, MemoryError) as error:\n"
      "    sys.exit('inference.py does not compile: %s' % error)\n",
      "inference.py"};
  return checked;
}

}  // namespace airlock::source
