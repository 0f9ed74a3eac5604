// Store: a place that artifacts are read from and written to, whatever it is made of.
//
// An object is named by a key: in a bucket, or relative to a root folder. Guarantees of every
// store: an object is seen whole or not at all; content goes through bounded memory; digests are
// those of the bytes that passed; nothing goes on after the deadline or, within a second, after
// `cancelled`. A key is trusted no more than its caller: stores refuse those that would lead
// out. One thread at a time per store; `cancelled` may be set by any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace airlock::artifact {

inline constexpr std::size_t kObjectsMax = 100'000;  // of one listing

struct ObjectInfo {
  std::string key;
  base::ByteCount size;
};

struct ContentDigest {
  base::ByteCount size;
  std::string sha256;  // 64 hexadecimal digits
};

// How a call can be ended early and watched. References are borrowed until the call returns.
struct Control {
  std::optional<std::chrono::steady_clock::time_point> deadline;  // kLimitExceeded
  const std::atomic<bool>* cancelled = nullptr;                   // kCancelled
  // Bytes of the object at hand that have passed; goes back when some have to be sent again.
  std::function<void(std::uint64_t bytes)> on_bytes = {};
};

struct Upload {
  std::string key;
  int fd = -1;  // a regular file, read by position: its offset stays
  base::ByteCount size;
};

struct SweepRequest {
  std::string prefix;
  std::chrono::seconds age_min{0};  // since they were begun
  std::set<std::string> keys = {};  // only of these; empty: of all below the prefix
};

class Store {
 public:
  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  // "s3://bucket/key", "file:///path": for messages.
  virtual std::string describe(std::string_view key) const = 0;

  // All whose key begins with `prefix`, sorted. More than `objects_max` is kLimitExceeded. Keys
  // are as the store has them: not checked.
  virtual base::Result<std::vector<ObjectInfo>> list(const std::string& prefix,
                                                     std::size_t objects_max,
                                                     const Control& control) = 0;

  // Writes the object to `fd`, which may be a pipe. kNotFound; kLimitExceeded above `size_max`.
  // After an error `fd` may have got a part.
  virtual base::Result<ContentDigest> get(const std::string& key, int fd, base::ByteCount size_max,
                                          const Control& control) = 0;

  // Makes or replaces the object. Not there, or as it was, after an error.
  virtual base::Result<ContentDigest> put(const Upload& upload, const Control& control) = 0;

  // Takes away what interrupted uploads left (it is never visible as an object); gives how many.
  virtual base::Result<std::size_t> sweep(const SweepRequest& request, const Control& control) = 0;
};

}  // namespace airlock::artifact
