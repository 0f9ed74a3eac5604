#include "source/build_plan.h"

#include <algorithm>
#include <array>

#include "language/yaml_document.h"
#include "receipt/digest.h"
#include "source/repository_check.h"

namespace airlock::source {
namespace {

constexpr base::ByteCount kPackageFileBytesMax = base::mebibytes(1);
constexpr const char* kVenv = "/build/venv";
constexpr const char* kNode = "/build/node";
constexpr std::array kDependencyKeys = {"dependencies", "devDependencies", "optionalDependencies",
                                        "peerDependencies", "workspaces"};
constexpr std::array kInstallScripts = {"preinstall", "install", "postinstall", "prepare"};

bool has_file(const RepositoryView& view, std::string_view path) {
  const auto entry = view.look(path);
  return entry.has_value() && entry->kind == EntryKind::kFile;
}

base::Status add_python(const RepositoryView& view, BuildPlan& plan) {
  if (!has_file(view, "requirements.txt")) return {};
  AIRLOCK_ASSIGN(const std::string text, view.read("requirements.txt", kRequirementsBytesMax));
  const bool has_option = text.starts_with('-') || text.find("\n-") != std::string::npos;
  if (requirement_lines(text).empty() && !has_option) return {};
  plan.steps.push_back({"pip", {"python3", "-m", "venv", kVenv}});
  plan.steps.push_back({"pip",
                        {std::string(kVenv) + "/bin/python", "-m", "pip", "install", "--no-input",
                         "--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "off",
                         "-r", "requirements.txt"}});
  plan.presets.emplace_back("pypi");
  plan.run_path.push_back(std::string(kVenv) + "/bin");
  plan.run_env.push_back(std::string("VIRTUAL_ENV=") + kVenv);
  return {};
}

bool holds_something(const language::YamlNode* node) {
  return node != nullptr && (!node->entries.empty() || !node->items.empty());
}

// JSON is YAML, but for tabs; where it cannot be read, npm is asked.
bool has_work_for_npm(const RepositoryView& view) {
  const auto text = view.read("package.json", kPackageFileBytesMax);
  if (!text) return true;
  const auto root = language::parse_yaml(*text, "package.json");
  if (!root) return true;
  const language::YamlNode* const scripts = root->find("scripts");
  return std::ranges::any_of(kDependencyKeys,
                             [&](const char* key) { return holds_something(root->find(key)); }) ||
         (scripts != nullptr && std::ranges::any_of(kInstallScripts, [&](const char* key) {
            return scripts->find(key) != nullptr;
          }));
}

void add_node(const RepositoryView& view, BuildPlan& plan) {
  if (!has_file(view, "package.json") || !has_work_for_npm(view)) return;
  const bool is_locked =
      has_file(view, "package-lock.json") || has_file(view, "npm-shrinkwrap.json");
  // Scripts of the package itself want to see its sources, and write beside them.
  plan.steps.push_back({"npm", {"cp", "-a", "--", ".", kNode}});
  plan.steps.push_back({"npm",
                        {"npm", is_locked ? "ci" : "install", "--prefix", kNode, "--no-audit",
                         "--no-fund", "--no-update-notifier"}});
  plan.presets.emplace_back("npm");
  const std::string modules = std::string(kNode) + "/node_modules";
  plan.run_path.push_back(modules + "/.bin");
  plan.run_env.push_back("NODE_PATH=" + modules);
  if (view.look("node_modules").has_value()) {
    plan.warnings.emplace_back(
        "node_modules is in the repository: it is used instead of the build");
  } else {
    // import, unlike require, takes no notice of NODE_PATH.
    plan.links.push_back({"ln", "-sfn", "--", modules, "node_modules"});
  }
}

void add_native(const RepositoryView& view, BuildPlan& plan) {
  if (has_file(view, "CMakeLists.txt")) {
    plan.steps.push_back(
        {"cmake", {"cmake", "-S", ".", "-B", "/build/cmake", "-DCMAKE_BUILD_TYPE=Release"}});
    plan.steps.push_back({"cmake", {"cmake", "--build", "/build/cmake", "--parallel"}});
    plan.run_path.insert(plan.run_path.end(), {"/build/cmake", "/build/cmake/bin"});
  } else if (has_file(view, "Makefile")) {
    // A Makefile writes beside its sources: it gets a copy of them.
    plan.steps.push_back({"make", {"cp", "-a", "--", ".", "/build/make"}});
    plan.steps.push_back({"make", {"make", "-C", "/build/make"}});
    plan.run_path.emplace_back("/build/make");
  }
}

void add_commands(const std::vector<Command>& commands, BuildPlan& plan) {
  for (const Command& command : commands) plan.steps.push_back({"build", command});
  if (commands.empty()) return;
  // Nobody knows what they need: all registries, which the operator's policy still bounds.
  plan.presets = {"npm", "pypi"};
  plan.run_path = {"/build/bin", "/build"};
}

// Fields that cannot run into each other.
class Fields {
 public:
  void add(std::string_view text) {
    sum_.add(std::to_string(text.size()) + ":");
    sum_.add(text);
  }
  void add_all(const std::vector<std::string>& texts) {
    add(std::to_string(texts.size()));
    for (const std::string& text : texts) add(text);
  }
  std::string finish() { return sum_.finish(); }

 private:
  receipt::Sha256 sum_;
};

std::string_view kind_name(const TreeEntry& entry) {
  switch (entry.kind) {
    case EntryKind::kFile: return entry.executable ? "program" : "file";
    case EntryKind::kFolder: return "folder";
    case EntryKind::kLink: return "link";
    case EntryKind::kOther: break;
  }
  return "other";
}

}  // namespace

base::Result<BuildPlan> make_build_plan(const RepositoryView& view,
                                        const std::optional<JobFile>& job_file) {
  BuildPlan plan;
  if (job_file && job_file->build) {
    add_commands(*job_file->build, plan);
  } else {
    AIRLOCK_TRY(add_python(view, plan));
    add_node(view, plan);
    add_native(view, plan);
  }
  plan.env = {"BUILD=/build", "HOME=/tmp", "PIP_NO_INPUT=1", "PYTHONDONTWRITEBYTECODE=1",
              "npm_config_cache=/tmp/npm"};
  std::ranges::sort(plan.presets);
  std::ranges::sort(plan.run_env);
  return plan;
}

std::string tree_digest(const std::vector<TreeEntry>& tree) {
  std::vector<const TreeEntry*> sorted;
  for (const TreeEntry& entry : tree) sorted.push_back(&entry);
  std::ranges::sort(sorted, {}, [](const TreeEntry* entry) { return entry->path; });
  Fields fields;
  fields.add("airlock tree 1");
  fields.add(std::to_string(sorted.size()));
  for (const TreeEntry* const entry : sorted) {
    fields.add(entry->path);
    fields.add(kind_name(*entry));
    fields.add(entry->digest);
  }
  return fields.finish();
}

std::string build_digest(const BuildFacts& facts, const BuildPlan& plan) {
  Fields fields;
  fields.add("airlock build 1");
  fields.add(facts.tenant);
  fields.add(tree_digest(facts.tree));
  fields.add(facts.repo_path);
  std::vector<std::string> toolchains = facts.toolchains;
  std::ranges::sort(toolchains);
  fields.add_all(toolchains);
  fields.add(facts.host_view);
  fields.add(std::to_string(plan.steps.size()));
  for (const BuildStep& step : plan.steps) fields.add_all(step.argv);
  fields.add_all(plan.presets);
  fields.add_all(plan.env);
  return fields.finish();
}

}  // namespace airlock::source
