// The cgroups of a sandbox: one for each process, and one above them for a workspace with a limit.
#include <utility>

#include "jail/keeper.h"
#include "jail/test_hooks.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

constexpr std::uint64_t kAheadMemoryBytesMin = 64u << 20;
constexpr std::uint32_t kAheadPidsMin = 16;

sys::CgroupLimits last_limits;  // of this keeper's processes, whosever they were

}  // namespace

std::shared_ptr<sys::Cgroup> Keeper::make_group(const sys::CgroupLimits& limits,
                                                StageFailure* failure) {
  if (host_.cgroups.hierarchies.empty()) return nullptr;
  const std::string slot = "s" + std::to_string(slot_.number());
  if (request_.memory_bytes != 0 && !job_group_.valid()) {
    auto job = sys::Cgroup::create(host_.cgroups, slot, {.memory_bytes = request_.memory_bytes},
                                   /*for_children=*/true);
    if (!job.has_value()) {
      *failure = {Stage::kCgroup, job.error().os_errno};
      return nullptr;
    }
    job->enable_children();
    job_group_.take(std::move(*job));
  }
  const std::string separator = job_group_.valid() ? "/" : ".";
  auto group = sys::Cgroup::create(host_.cgroups, slot + separator + std::to_string(groups_made_++),
                                   limits, in_container());
  if (!group.has_value()) {
    *failure = {Stage::kCgroup, group.error().os_errno};
    return nullptr;
  }
  return std::make_shared<sys::Cgroup>(std::move(*group));
}

sys::CgroupLimits Keeper::group_limits(const Exec& request) const {
  // Init shares the group, and in a container airlock-link, too: so many tasks more.
  const std::uint32_t own = in_container() ? 2 : 1;
  const bool no_pids =
      switched_off("cgroup_pids") || (in_container() && !host_.lower->has_host_tasks());
  return {.memory_bytes = switched_off("cgroup_memory") ? 0 : request.memory_bytes,
          .pids = no_pids ? 0 : request.pids + own,
          .cpu_rate_percent = request.cpu_rate_percent};
}

StageFailure Keeper::prepare_group(const Exec& request, std::vector<UniqueFd>* entrances) {
  if (sandbox_->group == nullptr) return {};
  const bool lacks_rate = request.cpu_rate_percent != 0 && !sandbox_->group->can_limit_rate();
  // A container stays where it was made.
  if ((sandbox_->group_used || lacks_rate) && !in_container()) {
    StageFailure failure;
    auto group = make_group(group_limits(request), &failure);
    if (failure.stage != Stage::kNone) return failure;
    *entrances = group->open_entrances(/*also_unified=*/true);
    sandbox_->group = std::move(group);
    sandbox_->group_limits = group_limits(request);
  }
  sandbox_->group_used = true;
  const sys::CgroupLimits limits = group_limits(request);
  if (sandbox_->group_limits == limits) return {};
  if (const int error = sandbox_->group->set_limits(limits)) return {Stage::kCgroup, error};
  last_limits = sandbox_->group_limits = limits;
  return {};
}

// The next process is expected to be like the last one. What init itself needs has to fit in.
void Keeper::limit_group_ahead() {
  const bool roomy = last_limits.memory_bytes >= kAheadMemoryBytesMin &&
                     last_limits.pids >= kAheadPidsMin && last_limits.cpu_rate_percent == 0;
  if (roomy && sandbox_->group != nullptr && sandbox_->group->set_limits(last_limits) == 0) {
    sandbox_->group_limits = last_limits;
  }
}

}  // namespace airlock::jail
