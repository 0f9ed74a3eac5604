#include "source/clone_plan.h"

#include <utility>

#include "base/host_port.h"
#include "source/git_names.h"
#include "source/ssh_files.h"

namespace airlock::source {
namespace {

using Words = std::vector<std::string>;

constexpr std::size_t kNoteBytesMax = 300;  // of an error of ours, among what a clone printed
constexpr const char* kTakenRef = "refs/airlock/head";
constexpr const char* kGit = "/usr/bin/git";
constexpr std::size_t kFullCommitDigits = 40;

std::string_view protocol_of(RepoScheme scheme) {
  switch (scheme) {
    case RepoScheme::kHttps: return "https";
    case RepoScheme::kSsh: return "ssh";
    case RepoScheme::kFile: return "file";
  }
  return "none";
}

// Before every verb of git: what a user's configuration or a repository could otherwise say.
Words git_words(const ClonePlan& plan, const ClonePaths& paths) {
  const std::string protocol(protocol_of(plan.url.scheme));
  Words words = {kGit, "-C", paths.workspace};
  for (const std::string& setting : {
           std::string("protocol.allow=never"),
           "protocol." + protocol + ".allow=always",
           std::string("core.hooksPath=/dev/null"),
           std::string("core.fsmonitor=false"),
           std::string("core.askPass=/bin/false"),
           std::string("credential.helper="),
           std::string("safe.directory=*"),
           std::string("http.followRedirects=initial"),
           std::string("submodule.recurse=false"),
           std::string("fetch.recurseSubmodules=false"),
           std::string("filter.lfs.smudge="),
           std::string("filter.lfs.process="),
           std::string("filter.lfs.required=false"),
           std::string("gc.auto=0"),
           std::string("maintenance.auto=false"),
           std::string("advice.detachedHead=false"),
           std::string("init.defaultBranch=main"),
       }) {
    words.emplace_back("-c");
    words.push_back(setting);
  }
  return words;
}

std::string ssh_folder(const ClonePaths& paths) { return paths.scratch + "/airlock-ssh"; }

Words git(const ClonePlan& plan, const ClonePaths& paths, Words rest) {
  Words words = git_words(plan, paths);
  words.insert(words.end(), std::make_move_iterator(rest.begin()),
               std::make_move_iterator(rest.end()));
  return words;
}

Words fetch(const ClonePlan& plan, const ClonePaths& paths, std::uint32_t depth,
            std::string refspec) {
  Words words = {"fetch", "--quiet", "--no-tags", "--no-recurse-submodules",
                 "--no-auto-maintenance"};
  if (depth > 0) words.push_back("--depth=" + std::to_string(depth));
  const bool is_file = plan.url.scheme == RepoScheme::kFile;
  words.insert(words.end(),
               {"--", is_file ? "file://" + paths.repository : plan.url.text, std::move(refspec)});
  return git(plan, paths, std::move(words));
}

void add_fetches(ClonePlan& plan, const ClonePaths& paths, const model::JobSpec& spec,
                 const SourceKnobs& knobs) {
  const std::string clone_failed = "Git clone failed: ";
  const std::string to_taken = std::string(":") + kTakenRef;
  if (plan.commit.empty()) {
    plan.steps.push_back(
        {.argv = fetch(plan, paths, knobs.depth, "+refs/heads/" + spec.repo_branch + to_taken),
         .error_prefix = clone_failed});
    return;
  }
  const bool is_full = plan.commit.size() >= kFullCommitDigits;
  if (is_full) {
    // Most servers give a commit by its name; where one does not, all of the history is needed.
    plan.steps.push_back({.argv = fetch(plan, paths, knobs.depth, "+" + plan.commit + to_taken),
                          .error_prefix = clone_failed,
                          .failure = CloneStep::Failure::kTolerated});
  }
  plan.steps.push_back(
      {.argv = fetch(plan, paths, 0, "+refs/heads/*:refs/airlock/heads/*"),
       .error_prefix = clone_failed,
       .when = is_full ? CloneStep::When::kPreviousFailed : CloneStep::When::kAlways});
}

void add_submodules(ClonePlan& plan, const ClonePaths& paths, const SourceKnobs& knobs) {
  // What "../other" in .gitmodules begins from.
  plan.steps.push_back({.argv = git(plan, paths, {"config", "remote.origin.url", plan.url.text}),
                        .error_prefix = "Git checkout failed: "});
  Words words = {"submodule", "update", "--quiet", "--init", "--recursive"};
  if (knobs.depth > 0) words.push_back("--depth=" + std::to_string(knobs.depth));
  plan.steps.push_back(
      {.argv = git(plan, paths, std::move(words)), .error_prefix = "Git checkout failed: "});
}

void add_steps(ClonePlan& plan, const ClonePaths& paths, const model::JobSpec& spec,
               const SourceKnobs& knobs) {
  if (plan.url.scheme == RepoScheme::kFile) {
    // The other end of a local fetch takes settings from this file only. A constant text.
    plan.steps.push_back(
        {.argv = {"/bin/sh", "-c", "printf '[safe]\\n\\tdirectory = *\\n' >\"$GIT_CONFIG_GLOBAL\""},
         .error_prefix = "Git clone failed: "});
  }
  const bool is_ssh = plan.url.scheme == RepoScheme::kSsh;
  if (is_ssh && !knobs.ssh->key.empty()) {
    plan.steps.push_back({.argv = {"/bin/chmod", "600", "--", ssh_key_path(ssh_folder(paths))},
                          .error_prefix = "Git clone failed: "});
  }
  plan.steps.push_back({.argv = git(plan, paths, {"init", "--quiet", "--template="}),
                        .error_prefix = "Git clone failed: "});
  add_fetches(plan, paths, spec, knobs);
  const std::string target = plan.commit.empty() ? kTakenRef : plan.commit;
  plan.steps.push_back(
      {.argv = git(plan, paths,
                   {"checkout", "--quiet", "--force", "--detach", target + "^{commit}", "--"}),
       .error_prefix = "Git checkout failed: "});
  if (knobs.submodules) add_submodules(plan, paths, knobs);
  plan.steps.push_back(
      {.argv = git(plan, paths, {"rev-parse", "--verify", "--quiet", "HEAD^{commit}"}),
       .error_prefix = "Git checkout failed: ",
       .output = CloneStep::Output::kCommit});
  Words remove = {"/bin/rm", "-rf", "--", paths.workspace + "/.git"};
  if (is_ssh) remove.push_back(ssh_folder(paths));
  plan.steps.push_back({.argv = std::move(remove), .error_prefix = "Git clone failed: "});
}

Words environment(const ClonePlan& plan, const ClonePaths& paths) {
  const bool is_file = plan.url.scheme == RepoScheme::kFile;
  Words env = {
      "GIT_ALLOW_PROTOCOL=" + std::string(protocol_of(plan.url.scheme)),
      "GIT_ASKPASS=/bin/false",
      "GIT_CONFIG_GLOBAL=" + (is_file ? paths.scratch + "/airlock-gitconfig" : "/dev/null"),
      "GIT_CONFIG_NOSYSTEM=1",
      "GIT_LFS_SKIP_SMUDGE=1",
      "GIT_OPTIONAL_LOCKS=0",
      "GIT_TERMINAL_PROMPT=0",
      "HOME=" + paths.scratch,
      "LC_ALL=C",
      "PATH=/usr/bin:/bin",
      "SSH_ASKPASS=/bin/false",
  };
  if (plan.url.scheme == RepoScheme::kSsh) {
    env.push_back("GIT_SSH_COMMAND=" + ssh_command(ssh_folder(paths)));
    env.emplace_back("GIT_SSH_VARIANT=ssh");
  }
  return env;
}

// The repository's own place; with submodules the same port of every host that is allowed.
std::vector<Destination> destinations_of(const RepoUrl& url, const SourceKnobs& knobs) {
  if (url.scheme == RepoScheme::kFile) return {};
  std::vector<Destination> destinations = {{url.host, url.port}};
  for (const std::string& entry : knobs.allowed_repo_hosts) {
    const base::HostPort parts = base::split_host_port(entry);
    if (!knobs.submodules || parts.port || parts.host == url.host) continue;
    destinations.push_back(
        {std::string(parts.host), url.scheme == RepoScheme::kHttps ? kHttpsPort : kSshPort});
  }
  return destinations;
}

}  // namespace

base::Result<ClonePlan> make_clone_plan(const model::JobSpec& spec, const SourceKnobs& knobs,
                                        const ClonePaths& paths) {
  ClonePlan plan;
  AIRLOCK_ASSIGN(plan.url, parse_repo_url(spec.repo_url, {.hosts = knobs.allowed_repo_hosts,
                                                          .file_roots = knobs.file_roots}));
  if (plan.url.scheme == RepoScheme::kSsh && !knobs.ssh) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "repositories over ssh are not set up here",
                      "use https://; the operator's source.ssh_known_hosts_file sets ssh up");
  }
  if (!spec.repo_commit.empty()) { AIRLOCK_ASSIGN(plan.commit, parse_commit(spec.repo_commit)); }
  AIRLOCK_TRY(check_branch(spec.repo_branch));
  AIRLOCK_TRY(parse_repo_path(spec.repo_path));
  plan.env = environment(plan, paths);
  plan.destinations = destinations_of(plan.url, knobs);
  if (plan.url.scheme == RepoScheme::kSsh) plan.files = ssh_files(ssh_folder(paths), *knobs.ssh);
  if (plan.url.scheme == RepoScheme::kFile) {
    plan.bind = RepositoryBind{.root = plan.url.file_root,
                               .below = plan.url.path.substr(plan.url.file_root.size() + 1),
                               .inside = paths.repository};
  }
  add_steps(plan, paths, spec, knobs);
  plan.timeout_error =
      "Repository clone timeout after " + std::to_string(knobs.clone_timeout.count()) + " seconds";
  return plan;
}

std::string explain_clone_failure(const ClonePlan& plan, std::string_view said) {
  if (plan.url.scheme != RepoScheme::kSsh) return {};
  // Names of files and words of the server are in there, too, but hardly where a line begins.
  const auto find = [said](std::string_view text) {
    if (said.starts_with(text)) return std::size_t{0};
    const std::size_t at = said.find("\n" + std::string(text));
    return at == said.npos ? at : at + 1;
  };
  const auto has = [&](std::string_view text) { return find(text) != said.npos; };
  if (has("No ") && said.find("host key is known for") != said.npos) {
    return "no key of " + plan.url.host +
           " is in the known_hosts file of this runner (source.ssh_known_hosts_file)";
  }
  if (has("Host key verification failed")) {
    return "the host key of " + plan.url.host +
           " is not the one in the known_hosts file of this runner "
           "(source.ssh_known_hosts_file): somebody may stand in between";
  }
  if (said.find(": Permission denied (") != said.npos) {
    return plan.url.host +
           " does not accept the ssh key of this runner (source.ssh_key_file), or there is none";
  }
  // What ssh itself says of a connection that it could not have is of no use to anybody.
  const std::size_t ours = find(kSshNotePrefix);
  if (ours == said.npos) return {};
  said.remove_prefix(ours + kSshNotePrefix.size());
  return std::string(said.substr(0, std::min(said.find('\n'), kNoteBytesMax)));
}

}  // namespace airlock::source
