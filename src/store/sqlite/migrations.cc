#include "store/sqlite/migrations.h"

#include <string>

namespace airlock::store::sqlite {
namespace {

struct Found {
  std::int64_t application = 0;
  std::int64_t version = 0;
  std::int64_t tables = 0;
};

base::Result<Found> look(Database& database) {
  AIRLOCK_ASSIGN(const auto application, database.find_integer("PRAGMA application_id"));
  AIRLOCK_ASSIGN(const auto version, database.find_integer("PRAGMA user_version"));
  AIRLOCK_ASSIGN(const auto tables, database.find_integer("SELECT count(*) FROM sqlite_schema"));
  return Found{.application = application.value_or(0),
               .version = version.value_or(0),
               .tables = tables.value_or(0)};
}

base::Status check(const Found& found, const std::string& path, std::int64_t newest) {
  const bool is_new = found.application == 0 && found.version == 0 && found.tables == 0;
  if (!is_new && found.application != kApplicationId) {
    return base::fail(base::ErrorCode::kInvalidArgument, path + " is a database of another program",
                      "Move it away, or give Airlock a state directory of its own.");
  }
  if (found.version > newest) {
    return base::fail(base::ErrorCode::kUnavailable,
                      path + " was written by a newer Airlock: its schema is " +
                          std::to_string(found.version) + ", this one knows " +
                          std::to_string(newest),
                      "Install that version again, or restore a backup from before it.");
  }
  return {};
}

std::string script(std::string_view sql, std::int64_t version) {
  return "BEGIN IMMEDIATE;\n" + std::string(sql) +
         "\nPRAGMA application_id = " + std::to_string(kApplicationId) +
         ";\nPRAGMA user_version = " + std::to_string(version) + ";\nCOMMIT;";
}

}  // namespace

base::Status migrate(Database& database, std::span<const std::string_view> migrations) {
  AIRLOCK_ASSIGN(const Found found, look(database));
  AIRLOCK_TRY(check(found, database.path(), static_cast<std::int64_t>(migrations.size())));
  for (auto version = static_cast<std::size_t>(found.version); version < migrations.size();
       ++version) {
    const auto next = static_cast<std::int64_t>(version) + 1;
    base::Status done = database.run_script(script(migrations[version], next));
    if (!done) {
      if (database.in_transaction()) AIRLOCK_TRY(database.run("ROLLBACK"));
      return std::move(done).with_context("schema " + std::to_string(next));
    }
  }
  return {};
}

}  // namespace airlock::store::sqlite
