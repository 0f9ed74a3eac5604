// JobSettings: everything that an operator can say about jobs. Plain values, checked elsewhere.
//
// The defaults are those of the contract that this runner replaces; what one job gets is never more
// than the host has.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/job.h"
#include "queue/waiting_job.h"
#include "source/clone_plan.h"

namespace airlock::runner {

struct JobTimeouts {
  std::chrono::milliseconds clone = std::chrono::seconds(600);
  std::chrono::milliseconds build = std::chrono::seconds(3'600);
  std::chrono::milliseconds prep = std::chrono::seconds(7'200);
  std::chrono::milliseconds inference = std::chrono::seconds(3'600);
  std::chrono::milliseconds transfer = std::chrono::seconds(3'600);  // of inputs, and of outputs

  std::chrono::milliseconds sum() const { return clone + build + prep + inference + transfer * 2; }
};

struct JobNetwork {
  bool prep_allow_internet = true;
  bool inference_block_internet = true;
  std::vector<std::string> allowed_prep_domains = {"huggingface", "github", "gitlab",
                                                   "raw.githubusercontent.com"};
  std::vector<std::string> allowed_build_domains;  // beside the registries of what is built
  std::vector<std::string> blocked_domains;
  std::vector<std::string> allowed_private_destinations;  // "ip:port"
  base::ByteCount bytes_max = base::gibibytes(1'024);     // of one phase, both directions together
  std::uint32_t connections_max = 1'024;                  // at once
};

struct JobLimits {
  std::uint32_t cpu_millis = 32'000;  // the most that one job gets
  base::ByteCount memory = base::gibibytes(256);
  base::ByteCount disk = base::gibibytes(100);
  std::uint32_t pids = 128;
  std::uint32_t inodes = 4'194'304;
  std::uint32_t open_files = 65'536;
  std::uint32_t output_files = 10'000;
  base::ByteCount repository = base::gibibytes(4);
  base::ByteCount log = base::mebibytes(64);  // kept of each step
};

struct JobHistory {
  std::chrono::hours age = std::chrono::hours(24 * 30);
  std::uint64_t count = 10'000;
  std::uint64_t waiting_max = 1'000'000;         // jobs that wait at once
  base::ByteCount builds = base::gibibytes(20);  // kept in the cache of builds, all together
};

struct JobSettings {
  std::filesystem::path directory;  // belongs to us: logs, outputs, receipts
  model::Resources host;            // what there is to lease, but for GPUs
  std::string gpu_type = "H200";    // of GPUs whose names do not say; if the next is set, of all
  bool gpu_type_is_wanted = false;
  JobTimeouts timeouts;
  JobNetwork network;
  JobLimits limits;
  JobHistory history;
  queue::Knobs queue;
  std::vector<std::string> allowed_repo_hosts = {"github.com", "gitlab.com"};
  std::vector<std::string> file_roots;  // below which file:// may name things
  std::uint32_t clone_depth = 1;        // as of source::SourceKnobs, with the next two
  bool clone_submodules = false;
  std::optional<source::SshKnobs> ssh;
  std::vector<std::string> folders;  // of the operator's, shown to every job ("models")
  std::string ca_certificates;       // PEM that guests with a network trust; empty: the host's own
  std::vector<std::string> build_env;   // "NAME=value" of steps that build: a mirror's address
  std::vector<std::string> toolchains;  // names and versions: part of what a build could read
  std::string host_view;                // which host that was
  bool prep_sees_input = false;
  std::uint32_t attempts_max = 2;
  std::uint32_t active_max = 64;          // jobs that run at once, whatever else is free
  std::chrono::seconds house_every{600};  // how often history, files and layers are looked after
};

}  // namespace airlock::runner
