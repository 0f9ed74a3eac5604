// What happens before main: a sandbox is begun before the C library makes itself ready, and the
// launcher forked before the libraries do that we are linked with. Both take about as long as the
// kernel takes to make a sandbox's namespaces.
#pragma once

#include "backend/native/native_backend.h"

namespace airlock::apps {

// Whether 0, 1 and 2 are open.
extern bool standard_streams_filled;

// Whether `airlock run` was allowed tier `process`, by option or variable.
extern bool early_allows_process;

// Of `airlock run`; the verb takes it over.
extern backend::native::ForkedLauncher early_launcher;

}  // namespace airlock::apps
