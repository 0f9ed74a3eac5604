// SettingRow: a setting of `airlock serve` beside what it does to the options.
//
// The tables (serve_settings.cc, job_rows.cc) are made of these, with the takers below: each reads
// one kind of value, checks its range, whose both ends are in it, and puts it where `place`, a
// function of the options, points to.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "apps/airlock/serve_options.h"
#include "base/units.h"
#include "config/quantity.h"
#include "config/setting.h"
#include "config/values.h"

namespace airlock::apps {

using TakeValue = base::Status (*)(const config::Value& value, ServeOptions& options);

struct SettingRow {
  config::Setting setting;
  TakeValue take;  // null: what it does needs more than the value
};

std::span<const SettingRow> run_rows();
std::span<const SettingRow> job_rows();
std::span<const SettingRow> execution_rows();

inline constexpr std::uint32_t kAnyCount = std::numeric_limits<std::uint32_t>::max();

inline base::Status refuse_value(std::string message, std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::move(message), std::move(hint));
}

inline base::Status out_of_range(const config::Value& value, const std::string& lowest,
                                 const std::string& highest) {
  return refuse_value("\"" + value.texts.front() + "\" is out of range: " + lowest + " to " +
                      highest);
}

template <auto place, std::uint32_t lowest = 1, std::uint32_t highest = kAnyCount>
base::Status take_count(const config::Value& value, ServeOptions& options) {
  const std::string& text = value.texts.front();
  AIRLOCK_ASSIGN(const std::uint32_t count,
                 config::parse_count(text).with_context("\"" + text + "\""));
  if (count < lowest || count > highest) {
    return out_of_range(value, std::to_string(lowest), std::to_string(highest));
  }
  place(options) = count;
  return {};
}

template <auto place, std::uint64_t lowest, std::uint64_t highest>
base::Status take_bytes(const config::Value& value, ServeOptions& options) {
  AIRLOCK_ASSIGN(const base::ByteCount bytes, base::parse_byte_count(value.texts.front()));
  if (bytes.count() < lowest || bytes.count() > highest) {
    return out_of_range(value, base::format_byte_count(base::ByteCount(lowest)),
                        base::format_byte_count(base::ByteCount(highest)));
  }
  if constexpr (std::is_same_v<std::remove_cvref_t<decltype(place(options))>, std::size_t>) {
    place(options) = bytes.count();
  } else {
    place(options) = bytes;
  }
  return {};
}

template <auto place, std::int64_t lowest_ms, std::int64_t highest_ms>
base::Status take_time(const config::Value& value, ServeOptions& options) {
  AIRLOCK_ASSIGN(const std::chrono::milliseconds time, base::parse_duration(value.texts.front()));
  if (time.count() < lowest_ms || time.count() > highest_ms) {
    return out_of_range(value, base::format_duration(std::chrono::milliseconds(lowest_ms)),
                        base::format_duration(std::chrono::milliseconds(highest_ms)));
  }
  place(options) = time;
  return {};
}

// "none" is no limit.
template <auto place>
base::Status take_cores(const config::Value& value, ServeOptions& options) {
  if (value.texts.front() == "none") {
    place(options) = 0;
    return {};
  }
  AIRLOCK_ASSIGN(
      place(options),
      config::parse_cores(value.texts.front()).with_context("\"" + value.texts.front() + "\""));
  return {};
}

template <auto place>
base::Status take_switch(const config::Value& value, ServeOptions& options) {
  AIRLOCK_ASSIGN(place(options), config::parse_switch(value.texts.front()));
  return {};
}

// One list of a policy, checked by itself, so that an error has the place of its list.
template <auto list, auto place>
base::Status take_egress_list(const config::Value& value, ServeOptions& options) {
  egress::PolicySpec alone;
  alone.*list = value.texts;
  AIRLOCK_TRY(egress::Policy::make(alone));
  place(options) = value.texts;
  return {};
}

template <auto place>
base::Status take_text(const config::Value& value, ServeOptions& options) {
  place(options) = value.texts.front();
  return {};
}

}  // namespace airlock::apps
