// Ids: names that nothing else has, "run_" and 26 characters of 128 random bits.
//
// Guarantees: only [a-z0-9_], so that an id is safe in a path, a URL, a cgroup name and a log line;
// never longer than kIdBytesMax. Not a secret: an id grants nothing. Randomness is passed in;
// SeededRandom repeats itself and is for tests and simulation only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace airlock::base {

class RandomSource {
 public:
  RandomSource() = default;
  RandomSource(const RandomSource&) = delete;
  RandomSource& operator=(const RandomSource&) = delete;
  virtual ~RandomSource() = default;
  virtual void fill(std::span<std::byte> bytes) = 0;
};

// getrandom(2); waits for the kernel's pool at boot, never fails after that.
class SystemRandom final : public RandomSource {
 public:
  void fill(std::span<std::byte> bytes) override;
};

// The same bytes for the same seed, on every machine.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::byte> bytes) override;

 private:
  std::uint64_t next();
  std::uint64_t state_;
};

inline constexpr std::size_t kIdPrefixBytesMax = 8;
inline constexpr std::size_t kIdRandomChars = 26;  // 128 bits, five to a character
inline constexpr std::size_t kIdBytesMax = kIdPrefixBytesMax + 1 + kIdRandomChars;

// "run_4f0y..."; the prefix is 1 to 8 letters of a-z.
std::string make_id(std::string_view prefix, RandomSource& random);

// `count` random bytes as twice as many digits of 0-9a-f. Empty for 0.
std::string make_hex(std::size_t count, RandomSource& random);

// Whether `text` could have come from make_id(prefix, ...).
bool is_id(std::string_view prefix, std::string_view text);

}  // namespace airlock::base
