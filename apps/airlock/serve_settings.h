// The settings of `airlock serve`, as one table: name, default, help, and what a value does.
//
// Whoever adds a setting adds a row: flag, variable, key of the file, help and --print-config
// follow from it. A row checks its own value; what holds between two is serve_options.cc's.
#pragma once

#include <span>

#include "apps/airlock/serve_options.h"
#include "config/values.h"

namespace airlock::apps {

std::span<const config::Setting> serve_settings();

// Every value of the table into the options; what cannot be obeyed is refused with its place.
base::Status take_serve_values(const config::Values& values, ServeOptions& options);

}  // namespace airlock::apps
