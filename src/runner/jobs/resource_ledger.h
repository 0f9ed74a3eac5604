// ResourceLedger: what this host has, and who holds how much of it.
//
// Guarantees: the sum of what is held never exceeds what the host has, in any of the four parts; a
// holder holds once. GPUs are counted here and named by gpu::Pool. Not thread-safe.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "model/job.h"

namespace airlock::runner {

class ResourceLedger {
 public:
  explicit ResourceLedger(model::Resources total) : total_(total) {}

  const model::Resources& total() const { return total_; }
  model::Resources held() const;
  model::Resources free() const;
  // kUnavailable names what is short; kInvalidArgument: `holder` holds something already.
  base::Status take(const std::string& holder, const model::Resources& ask);
  // What a holder that was found running has, even where the host has become smaller.
  void restore(const std::string& holder, const model::Resources& held);
  void give_back(const std::string& holder);  // unknown holders are ignored
  // What can never be given on this host, however long one waits.
  base::Status check_possible(const model::Resources& ask) const;
  void set_total(model::Resources total) { total_ = total; }

 private:
  model::Resources total_;
  std::map<std::string, model::Resources> holders_;
};

}  // namespace airlock::runner
