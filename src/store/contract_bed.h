// What the contract suite of JobStore stands on: a store that can be closed and opened again.
//
// The tests in contract_*_test.cc hold for every implementation. One that wants to be under them
// derives a StoreBed, adds those files to the sources of its own test, and there says
//   INSTANTIATE_TEST_SUITE_P(Sqlite, JobStoreContract, testing::Values(&make_sqlite_bed));
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "base/clock.h"
#include "base/ids.h"
#include "store/blocking.h"
#include "store/job_store.h"

namespace airlock::store {

// Stands still until it is set; for threads of a store, too.
class TestClock final : public base::Clock {
 public:
  std::chrono::steady_clock::time_point steady_now() const override {
    return std::chrono::steady_clock::time_point(std::chrono::microseconds(now_.load()));
  }
  std::chrono::system_clock::time_point wall_now() const override {
    return std::chrono::system_clock::time_point(std::chrono::microseconds(now_.load()));
  }
  model::WallTime now() const { return model::WallTime(std::chrono::microseconds(now_.load())); }
  void advance(std::chrono::microseconds duration) { now_ += duration.count(); }

 private:
  std::atomic<std::int64_t> now_{1'764'411'766'000'000};
};

struct BedOptions {
  std::uint64_t changes_kept = 100'000;
};

class StoreBed {
 public:
  StoreBed() = default;
  StoreBed(const StoreBed&) = delete;
  StoreBed& operator=(const StoreBed&) = delete;
  virtual ~StoreBed() = default;

  virtual JobStore& store() = 0;
  virtual void close() = 0;
  // Closes the store, if it is open, and opens it again on the same data.
  virtual void reopen(const BedOptions& options = {}) = 0;
  TestClock& clock() { return clock_; }

 protected:
  TestClock clock_;
};

using MakeBed = std::unique_ptr<StoreBed> (*)();

inline model::JobSpec make_spec(std::string weight_class = "1xH200") {
  model::JobSpec spec;
  spec.repo_url = "https://github.com/someone/something";
  spec.weight_class = *model::parse_weight_class(weight_class);
  spec.validator_hotkey = "validator";
  spec.miner_hotkey = "miner";
  return spec;
}

inline model::PhaseRecord make_phase(std::string name) {
  model::PhaseRecord phase;
  phase.name = std::move(name);
  return phase;
}

class JobStoreContract : public ::testing::TestWithParam<MakeBed> {
 protected:
  void SetUp() override {
    bed_ = GetParam()();
    bed_->reopen();
  }
  JobStore& store() { return bed_->store(); }
  TestClock& clock() { return bed_->clock(); }

  // The answer, which must not be an error.
  template <typename T, typename A>
  T must(void (JobStore::*call)(A, Done<T>), std::type_identity_t<A> a) {
    return value_of(wait_for(call, store(), std::move(a)));
  }
  template <typename T, typename A, typename B>
  T must(void (JobStore::*call)(A, B, Done<T>), std::type_identity_t<A> a,
         std::type_identity_t<B> b) {
    return value_of(wait_for(call, store(), std::move(a), std::move(b)));
  }
  // The error, which must be one.
  template <typename T, typename A>
  base::Error refused(void (JobStore::*call)(A, Done<T>), std::type_identity_t<A> a) {
    return error_of(wait_for(call, store(), std::move(a)));
  }
  template <typename T, typename A, typename B>
  base::Error refused(void (JobStore::*call)(A, B, Done<T>), std::type_identity_t<A> a,
                      std::type_identity_t<B> b) {
    return error_of(wait_for(call, store(), std::move(a), std::move(b)));
  }

  std::string submit(model::JobSpec spec = make_spec(), std::string owner = "owner") {
    return must(&JobStore::submit, Submission{std::move(spec), std::move(owner), {}}).id;
  }
  JobClaim claim(const std::string& id, const std::string& runner = "runner_a") {
    const auto record = must(&JobStore::claim, ClaimRequest{id, runner, {}});
    return {.id = id, .fencing_token = record.fencing_token};
  }
  model::JobRecord find(const std::string& id) {
    auto found = must(&JobStore::find, id);
    EXPECT_TRUE(found.has_value()) << id << " is not there";
    return found.value_or(model::JobRecord{});
  }
  void become(const JobClaim& held, model::JobState state) {
    JobChange change;
    change.state = state;
    must(&JobStore::update, held, change);
  }
  // Submits and ends a job.
  std::string ended(model::JobState state, model::JobSpec spec = make_spec(),
                    std::string owner = "owner") {
    const std::string id = submit(std::move(spec), std::move(owner));
    const JobClaim held = claim(id);
    if (state == model::JobState::kCompleted) become(held, model::JobState::kInference);
    become(held, state);
    return id;
  }

  std::unique_ptr<StoreBed> bed_;

 private:
  template <typename T>
  static T value_of(base::Result<T> result) {
    EXPECT_TRUE(result.has_value()) << result.error().to_string();
    return result.has_value() ? std::move(*result) : T{};
  }
  template <typename T>
  static base::Error error_of(base::Result<T> result) {
    EXPECT_FALSE(result.has_value());
    return result.has_value() ? base::Error{} : std::move(result).error();
  }
};

}  // namespace airlock::store
