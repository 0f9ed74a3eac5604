// Database and Statement: SQLite with Results, for one thread at a time.
//
// A Database owns one connection and every statement that was ever prepared on it, by text: only
// literals and texts put together from a few literals may be given as SQL, values are always bound.
// A Statement borrows: it lets go in its destructor, must not outlive the Database, and the same
// text must not be in use twice at once. What went wrong is told with the name of the file and a
// hint where a person can help: a lock of another process or a full disk is kUnavailable, a
// damaged file kIo.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"

namespace airlock::store::sqlite {

class Database;

class Statement {
 public:
  Statement(Database& database, sqlite3_stmt* statement)
      : database_(&database), statement_(statement) {}
  Statement(Statement&& other) noexcept;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  // Binds the values to ?1, ?2, ... Texts are borrowed until the statement is let go of.
  template <typename... Values>
  void bind(const Values&... values) {
    int index = 0;
    (bind_one(++index, values), ...);
  }
  // Whether there is a row now.
  base::Result<bool> step();

  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  double real(int column) const { return sqlite3_column_double(statement_, column); }
  std::string text(int column) const;
  std::optional<std::int64_t> optional_integer(int column) const;

 private:
  template <std::integral Integer>
  void bind_one(int index, Integer value) {
    note(sqlite3_bind_int64(statement_, index, static_cast<sqlite3_int64>(value)));
  }
  void bind_one(int index, double value) { note(sqlite3_bind_double(statement_, index, value)); }
  void bind_one(int index, std::string_view text);
  void bind_one(int index, const std::string& text) { bind_one(index, std::string_view(text)); }
  template <typename Value>
  void bind_one(int index, const std::optional<Value>& value) {
    if (value.has_value()) {
      bind_one(index, *value);
    } else {
      note(sqlite3_bind_null(statement_, index));
    }
  }
  void note(int code) {
    if (code != SQLITE_OK) bind_code_ = code;
  }

  Database* database_;
  sqlite3_stmt* statement_;
  int bind_code_ = SQLITE_OK;
};

class Database {
 public:
  // The file must be there already. `path` is also what errors call it.
  static base::Result<std::unique_ptr<Database>> open(const std::string& path,
                                                      std::chrono::milliseconds busy_timeout);
  explicit Database(std::string path) : path_(std::move(path)) {}
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  base::Result<Statement> prepare(std::string_view sql);

  template <typename... Values>
  base::Result<Statement> query(std::string_view sql, const Values&... values) {
    AIRLOCK_ASSIGN(Statement statement, prepare(sql));
    statement.bind(values...);
    return statement;
  }
  // For statements that give no rows.
  template <typename... Values>
  base::Status run(std::string_view sql, const Values&... values) {
    AIRLOCK_ASSIGN(Statement statement, prepare(sql));
    statement.bind(values...);
    AIRLOCK_TRY(statement.step());
    return {};
  }
  // The first column of the only row; nothing without a row or with NULL in it.
  template <typename... Values>
  base::Result<std::optional<std::int64_t>> find_integer(std::string_view sql,
                                                         const Values&... values) {
    AIRLOCK_ASSIGN(Statement statement, prepare(sql));
    statement.bind(values...);
    AIRLOCK_ASSIGN(const bool found, statement.step());
    return found ? statement.optional_integer(0) : std::nullopt;
  }
  // Several statements, without values.
  base::Status run_script(const std::string& sql);

  std::int64_t last_row_id() const { return sqlite3_last_insert_rowid(connection_); }
  // SQLite ends a transaction by itself after some errors (a full disk is one of them).
  bool in_transaction() const { return sqlite3_get_autocommit(connection_) == 0; }
  // Whether the last error was that of a UNIQUE or PRIMARY KEY.
  bool is_duplicate() const;
  const std::string& path() const { return path_; }
  // Every text that was prepared; for the test of query plans.
  std::vector<std::string> prepared_texts() const;

  base::Error error(int code) const;

 private:
  std::string path_;
  sqlite3* connection_ = nullptr;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

// A transaction that only reads: everything in it sees one state of the database.
class Snapshot {
 public:
  static base::Result<Snapshot> begin(Database& database);
  Snapshot(Snapshot&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();

 private:
  explicit Snapshot(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace airlock::store::sqlite
