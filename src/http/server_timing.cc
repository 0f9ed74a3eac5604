#include "http/server_timing.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace airlock::http {
namespace {

using Duration = model::RunTimings::Duration;

constexpr std::size_t kDigitsMax = 20;

// 0.021 of 21 microseconds. Its own way, because printf would cost more than the rest of it.
void append_ms(std::string& text, Duration duration) {
  const auto us = std::max<std::int64_t>(
      0, std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
  char digits[kDigitsMax];
  const auto whole = std::to_chars(digits, digits + kDigitsMax, us / 1'000);
  text.append(digits, whole.ptr);
  const auto rest = std::to_chars(digits, digits + kDigitsMax, 1'000 + us % 1'000);
  digits[0] = '.';
  text.append(digits, rest.ptr);
}

void append_step(std::string& text, std::string_view name, Duration duration) {
  if (duration == Duration::zero()) return;
  if (!text.empty()) text += ", ";
  text += name;
  text += ";dur=";
  append_ms(text, duration);
}

}  // namespace

std::string server_timing(const ServiceTimings& timings) {
  const model::RunTimings& run = timings.run;
  std::string text;
  text.reserve(256);
  append_step(text, "parse", timings.parse);
  append_step(text, "wait", run.wait);
  append_step(text, "sandbox", run.sandbox);
  append_step(text, "compile", run.compile);
  append_step(text, "start", run.start);
  append_step(text, "program", run.program);
  append_step(text, "report", run.report);
  append_step(text, "collect", run.collect);
  append_step(text, "close", run.close);
  append_step(text, "answer", timings.answer);
  return text;
}

}  // namespace airlock::http
