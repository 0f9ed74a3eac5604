// MemoryBudget: how many bytes all connections of a server may hold together.
//
// A Share is what one connection holds of it. The first kFreeShareBytes of each do not count: small
// requests and answers go on when large ones have used everything up. Counts, and allocates
// nothing. One thread; the budget outlives shares that hold something.
#pragma once

#include <algorithm>
#include <cstddef>

namespace airlock::http {

inline constexpr std::size_t kFreeShareBytes = 16 * 1024;

class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  std::size_t bytes_max() const { return bytes_max_; }
  std::size_t held() const { return held_; }
  // Whether somebody who holds nothing yet could hold so much now.
  bool has_room_for(std::size_t bytes) const { return held_ + counted(bytes) <= bytes_max_; }

  class Share {
   public:
    explicit Share(MemoryBudget& budget) : budget_(budget) {}
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    // One that holds nothing may outlive its budget.
    ~Share() {
      if (bytes_ != 0) release();
    }

    std::size_t bytes() const { return bytes_; }
    // Holds `bytes` from now on, instead of what it was. False if that is beyond the budget; then
    // nothing has changed.
    [[nodiscard]] bool try_hold(std::size_t bytes) {
      const std::size_t others = budget_.held_ - counted(bytes_);
      if (counted(bytes) > 0 && others + counted(bytes) > budget_.bytes_max_) return false;
      hold(bytes);
      return true;
    }
    // The same, beyond the budget, too.
    void hold(std::size_t bytes) {
      budget_.held_ = budget_.held_ - counted(bytes_) + counted(bytes);
      bytes_ = bytes;
    }
    void release() { hold(0); }

   private:
    MemoryBudget& budget_;
    std::size_t bytes_ = 0;
  };

 private:
  static std::size_t counted(std::size_t bytes) { return bytes - std::min(bytes, kFreeShareBytes); }

  const std::size_t bytes_max_;
  std::size_t held_ = 0;
};

}  // namespace airlock::http
