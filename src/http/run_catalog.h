// RunCatalog: the languages that a service runs, and what its host has of them.
//
// The toolchain of a language is looked for when it is first needed and then remembered, also that
// it is missing, until refresh(). Any thread; a search blocks only those who ask for the same
// language. Does not run programs of users; a search may run a tool's version command.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "language/language_table.h"
#include "language/run_plan.h"
#include "language/toolchain_search.h"

namespace airlock::http {

class RunCatalog {
 public:
  explicit RunCatalog(language::LanguageTable table, language::ToolSearchOptions options = {});
  RunCatalog(const RunCatalog&) = delete;  // what it remembers points into its own table
  RunCatalog& operator=(const RunCatalog&) = delete;
  ~RunCatalog();

  // By name or alias. kInvalidArgument with the nearest name for an unknown language, kUnavailable
  // with the package to install where no toolchain is complete, and make_plan's own errors.
  base::Result<language::RunPlan> plan(std::string_view language_name,
                                       const language::PlanRequest& request) const;

  // Whether plan() would find a toolchain; the same errors.
  base::Status check(std::string_view language_name) const;
  bool knows(std::string_view language_name) const;  // by name or alias
  // Every name, without aliases, in the order of the table.
  std::vector<std::string> names() const;
  // The answer to GET /v1/languages. The first call runs every version command.
  std::string languages_json() const;

  // Forgets what was found: the host has changed. Plans under way end with what they have.
  void refresh();

 private:
  struct Found;
  struct Toolchain;
  std::shared_ptr<Found> found() const;
  base::Result<Toolchain> require(std::string_view language_name) const;

  const language::LanguageTable table_;
  const language::ToolSearchOptions options_;
  mutable std::mutex mutex_;  // guards the pointer, not what it points to
  std::shared_ptr<Found> found_;
};

}  // namespace airlock::http
