#include "runner/jobs/resource_ledger.h"

#include <algorithm>
#include <optional>

namespace airlock::runner {
namespace {

std::string cores(std::uint64_t millis) {
  std::string text = std::to_string(millis / 1'000);
  if (millis % 1'000 != 0) text += "." + std::to_string(millis % 1'000 / 100);
  return text + " CPU cores";
}

// What of `ask` is more than `there`.
std::optional<std::string> find_short(const model::Resources& ask, const model::Resources& there,
                                      std::string_view verb) {
  const std::string of = ", " + std::string(verb) + " ";
  if (ask.gpus > there.gpus) {
    return std::to_string(ask.gpus) + " GPUs" + of + std::to_string(there.gpus);
  }
  if (ask.cpu_millis > there.cpu_millis)
    return cores(ask.cpu_millis) + of + cores(there.cpu_millis);
  if (ask.memory > there.memory) {
    return base::format_byte_count(ask.memory) + " of memory" + of +
           base::format_byte_count(there.memory);
  }
  if (ask.disk > there.disk) {
    return base::format_byte_count(ask.disk) + " of disk" + of +
           base::format_byte_count(there.disk);
  }
  return std::nullopt;
}

template <typename T>
T minus(T from, T what) {
  return from > what ? from - what : T{};
}

}  // namespace

model::Resources ResourceLedger::held() const {
  model::Resources sum;
  for (const auto& [holder, part] : holders_) {
    sum.gpus += part.gpus;
    sum.cpu_millis += part.cpu_millis;
    sum.memory = base::ByteCount(sum.memory.count() + part.memory.count());
    sum.disk = base::ByteCount(sum.disk.count() + part.disk.count());
  }
  return sum;
}

model::Resources ResourceLedger::free() const {
  const model::Resources used = held();
  return {.gpus = minus(total_.gpus, used.gpus),
          .cpu_millis = minus(total_.cpu_millis, used.cpu_millis),
          .memory = base::ByteCount(minus(total_.memory.count(), used.memory.count())),
          .disk = base::ByteCount(minus(total_.disk.count(), used.disk.count()))};
}

base::Status ResourceLedger::take(const std::string& holder, const model::Resources& ask) {
  if (holders_.contains(holder)) {
    return base::fail(base::ErrorCode::kInvalidArgument, holder + " holds resources already");
  }
  if (const auto lack = find_short(ask, free(), "of which there are free")) {
    return base::fail(base::ErrorCode::kUnavailable, "it needs " + *lack);
  }
  holders_.emplace(holder, ask);
  return {};
}

void ResourceLedger::restore(const std::string& holder, const model::Resources& held) {
  holders_.insert_or_assign(holder, held);
}

void ResourceLedger::give_back(const std::string& holder) { holders_.erase(holder); }

base::Status ResourceLedger::check_possible(const model::Resources& ask) const {
  if (const auto lack = find_short(ask, total_, "this host has")) {
    return base::fail(base::ErrorCode::kInvalidArgument, "the job needs " + *lack,
                      "ask for less, or send it to a larger host");
  }
  return {};
}

}  // namespace airlock::runner
