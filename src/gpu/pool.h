// Pool: the GPUs of this host, and who has which.
//
// Guarantees: a GPU has one holder at most; a lease is all that was asked for or nothing; a GPU
// that was given back is free again only after a reading that began later showed no process on it
// and its memory as it is when idle; one that is sick, gone or quarantined is given to nobody, and
// its holder is told. What takes a GPU away:
//   a fault: a fatal Xid, a memory error that was not corrected, or an operator. Until lift().
//   a trouble: it does not answer, has vanished, awaits a repair, is not getting clean. As long as
//     it lasts, and then until it was seen idle.
// Knows the host by refresh() only, which somebody has to call: seconds apart, and oftener while
// something is being cleaned. Safe from any thread; refresh() is the only call that may take long.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/units.h"
#include "gpu/gpu_type.h"
#include "gpu/reading.h"
#include "model/job.h"

namespace airlock::gpu {

enum class GpuState { kFree, kAllocated, kCleaning, kError, kOffline };
std::string_view gpu_state_name(GpuState state);  // "free", ...

// As it was at the last refresh, but for state and holder, which are as they are now.
struct GpuStatus {
  GpuReading reading;
  std::string type;
  GpuState state = GpuState::kOffline;  // kError: leased, and something took it away
  std::string reason;                   // of every state but free and allocated
  std::string holder;                   // empty: nobody
  bool quarantined = false;             // until lift()
};

enum class FaultKind {
  kFatal,    // whatever is computed on it from now on proves nothing: an Xid, a memory error, gone
  kPassing,  // it may be as before: the driver does not answer, a repair is due
};

struct GpuFault {
  std::string uuid;
  std::string reason;
  FaultKind kind = FaultKind::kFatal;
};

struct PoolOptions {
  TypeNames types;
  // How much more memory than when it was idle may be used on a clean GPU.
  base::ByteCount memory_tolerance = base::mebibytes(256);
  // A GPU on which more is used was not idle, whoever uses it.
  base::ByteCount idle_memory_max = base::gibibytes(1);
  std::chrono::milliseconds cleaning_max{60'000};
};

class Pool {
 public:
  Pool(NvmlSource& source, PoolOptions options, const base::Clock& clock);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Looks at the host, and draws the conclusions.
  void refresh();

  std::vector<GpuStatus> snapshot() const;  // by index
  // Why there are no GPUs: of the last refresh; empty if there are some.
  std::string unavailable() const;
  std::string driver() const;
  std::uint32_t free_count(std::string_view type) const;
  bool is_cleaning() const;  // anything is

  // kUnavailable: not so many of this type are free. kInvalidArgument: the holder has some.
  base::Result<std::vector<model::AssignedGpu>> lease(std::uint32_t count, std::string_view type,
                                                      const std::string& holder);
  // Of a holder that lives since before this pool. All but those that another holder has; a GPU
  // that is not there is the holder's, too, when it comes back. The error names what is wrong.
  base::Status restore(const std::string& holder, std::span<const model::AssignedGpu> gpus);
  void release(const std::string& holder);  // unknown holders are ignored
  // What has happened to the holder's GPUs since the last call.
  std::vector<GpuFault> take_faults(const std::string& holder);

  // Also of a GPU that is not there, and of one in MIG mode with all its instances; the first
  // reason counts. Its holder is told nothing: an operator's wish is for those who come next.
  void quarantine(const std::string& uuid, const std::string& reason);
  // kNotFound: it is not in quarantine. What an idle GPU uses is measured anew.
  base::Status lift(const std::string& uuid);
  std::vector<GpuFault> quarantined() const;

 private:
  struct Gpu {
    GpuReading reading;
    std::string type;
    std::string holder;
    std::string trouble;
    std::string cleaning;  // what is not clean yet; only of what has no holder
    bool clean = false;
    std::uint64_t clean_after = 0;  // the number of the first reading that may say so
    std::chrono::steady_clock::time_point dirty_since{};
    std::optional<base::ByteCount> idle_memory;
    std::optional<std::uint64_t> known_errors;
    std::vector<GpuFault> faults;  // not taken yet
  };
  using Gpus = std::map<std::string, Gpu, std::less<>>;

  void apply(const HostReading& host, std::uint64_t number);
  void apply_reading(const GpuReading& reading, std::uint64_t number);
  void apply_errors(Gpu& gpu);
  void apply_xid(const XidEvent& event);
  void check_clean(Gpu& gpu, std::uint64_t number);
  std::string why_not_clean(const Gpu& gpu) const;
  void make_dirty(Gpu& gpu, std::string why);
  void set_trouble(Gpu& gpu, std::string trouble, FaultKind kind = FaultKind::kPassing);
  void set_fault(const std::string& uuid, const std::string& reason);
  const std::string* find_fault(const Gpu& gpu) const;
  GpuState state_of(const Gpu& gpu) const;
  std::string reason_of(const Gpu& gpu) const;
  std::vector<const Gpu*> in_order() const;

  NvmlSource& source_;
  const PoolOptions options_;
  const base::Clock& clock_;
  std::mutex refreshing_;  // taken before mutex_

  mutable std::mutex mutex_;
  std::uint64_t readings_ = 0;  // begun so far
  Gpus gpus_;
  std::map<std::string, std::string, std::less<>> quarantined_;  // reasons, by UUID
  std::string unavailable_ = "nobody has looked for GPUs yet";
  std::string driver_;
};

}  // namespace airlock::gpu
