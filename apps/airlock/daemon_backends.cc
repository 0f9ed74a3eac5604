#include "apps/airlock/daemon_backends.h"

#include <algorithm>
#include <utility>

#include "backend/choice_backend.h"
#include "backend/mode.h"
#include "backend/native/native_backend.h"

namespace airlock::apps {
namespace {

// A container costs a hundred times what a native sandbox does, to make and to keep.
constexpr std::uint32_t kContainersParkedMin = 1;
constexpr std::uint32_t kContainersParkedMax = 4;

}  // namespace

base::Result<DaemonBackends> choose_backends(std::unique_ptr<backend::Backend> native,
                                             std::vector<base::UniqueFd> brokers,
                                             backend::ParkedOptions parked,
                                             const ExecutionOptions& execution,
                                             const std::string& devices, const base::Clock& clock,
                                             const telemetry::Log& log) {
  DaemonBackends backends;
  const std::vector<std::string> chain = execution.chain();
  if (chain.size() == 1 && chain.front() == backend::kDirect) {
    auto ready = std::make_unique<backend::ParkedBackend>(std::move(native), parked, clock);
    backends.parked = ready.get();
    backends.of_jobs = &ready->other();
    backends.used = std::move(ready);
    return backends;
  }
  std::vector<backend::ChoiceBackend::Candidate> candidates;
  std::size_t next_broker = 0;
  for (const std::string& name : chain) {
    backend::ChoiceBackend::Candidate candidate{.name = name, .backend = {}, .level = {}};
    candidate.to_be_tried = name != backend::kDirect;
    candidate.has_images = backend::has_images(name);
    if (candidate.to_be_tried) {
      candidate.level = backend::level_of_backend(name);
      AIRLOCK_ASSIGN(candidate.backend,
                     backend::native::connect_backend(std::move(brokers[next_broker++]), devices));
    } else {
      candidate.backend = std::move(native);
    }
    if (candidates.empty()) {
      parked.parked_max = std::min(parked.parked_max, kContainersParkedMax);
      parked.parked_min = std::min(parked.parked_max, kContainersParkedMin);
      auto ready =
          std::make_unique<backend::ParkedBackend>(std::move(candidate.backend), parked, clock);
      backends.parked = ready.get();
      candidate.backend = std::move(ready);
    }
    candidates.push_back(std::move(candidate));
  }
  backends.unused_native = std::move(native);
  auto choice = std::make_unique<backend::ChoiceBackend>(
      std::move(candidates),
      [&log](const std::string& from, const std::string& to, const std::string& reason) {
        log.warning("serve.fallback", {{"from", from}, {"to", to}, {"reason", reason}});
      },
      clock);
  backends.of_jobs = choice.get();
  backends.used = std::move(choice);
  return backends;
}

}  // namespace airlock::apps
