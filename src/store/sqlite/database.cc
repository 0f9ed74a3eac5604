#include "store/sqlite/database.h"

#include <cstring>
#include <utility>

namespace airlock::store::sqlite {
namespace {

constexpr std::string_view kDamagedHint =
    "The file was left as it is. Stop Airlock, keep a copy of the file with its -wal and -shm, and "
    "restore a backup, or save what can be read with: sqlite3 jobs.db .recover";

constexpr std::string_view kNotTakenHint =
    "Look whether its file system is read-only, and what the kernel says (dmesg); nothing that was "
    "answered is lost.";

// Of a file that is open already: its disk has become read-only, or breaks.
bool is_not_taken(int code) {
  return code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_FSYNC ||
         code == SQLITE_IOERR_DIR_FSYNC || code == SQLITE_IOERR_TRUNCATE ||
         code == SQLITE_IOERR_SHMSIZE;
}

base::ErrorCode code_of(int primary) {
  switch (primary) {
    // Not kBusy, which of a store means that it has refused what was asked, nor kPermissionDenied,
    // which means that a claim is not held.
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
    case SQLITE_FULL:
    case SQLITE_NOMEM: return base::ErrorCode::kUnavailable;
    case SQLITE_TOOBIG: return base::ErrorCode::kLimitExceeded;
    default: return base::ErrorCode::kIo;
  }
}

std::string_view text_of(int primary) {
  switch (primary) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return "another process has it locked";
    case SQLITE_FULL: return "the disk is full";
    case SQLITE_CORRUPT: return "the file is damaged";
    case SQLITE_NOTADB: return "the file is damaged or no database";
    default: return {};
  }
}

std::string_view hint_of(int primary) {
  switch (primary) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "End the transaction of whoever has it open (fuser jobs.db); nothing is lost, the "
             "same will work then.";
    case SQLITE_FULL: return "Free some space; nothing that was answered is lost.";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return kDamagedHint;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return "The user of Airlock must be able to write the file and its folder.";
    default: return {};
  }
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      bind_code_(other.bind_code_) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Statement::bind_one(int index, std::string_view text) {
  // A null pointer would be NULL, which no empty text is.
  const char* const bytes = text.data() != nullptr ? text.data() : "";
  note(sqlite3_bind_text64(statement_, index, bytes, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

base::Result<bool> Statement::step() {
  if (bind_code_ != SQLITE_OK) return base::fail(database_->error(bind_code_));
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return base::fail(database_->error(code));
}

std::string Statement::text(int column) const {
  // Why safe: SQLite's bytes are characters, as many as it says, until the next step.
  const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::optional<std::int64_t> Statement::optional_integer(int column) const {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nullopt;
  return integer(column);
}

base::Result<std::unique_ptr<Database>> Database::open(const std::string& path,
                                                       std::chrono::milliseconds busy_timeout) {
  auto database = std::make_unique<Database>(path);
  const int code =
      sqlite3_open_v2(path.c_str(), &database->connection_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  if (database->connection_ == nullptr || code != SQLITE_OK) {
    return base::fail(database->error(code));
  }
  sqlite3_busy_timeout(database->connection_, static_cast<int>(busy_timeout.count()));
  sqlite3_db_config(database->connection_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database->connection_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

Database::~Database() {
  for (const auto& [text, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(connection_);
}

base::Result<Statement> Database::prepare(std::string_view sql) {
  auto [place, is_new] = statements_.try_emplace(std::string(sql), nullptr);
  if (is_new) {
    const int code = sqlite3_prepare_v3(connection_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &place->second, nullptr);
    if (code != SQLITE_OK) {
      statements_.erase(place);
      return base::fail(error(code));
    }
  }
  return Statement(*this, place->second);
}

base::Status Database::run_script(const std::string& sql) {
  const int code = sqlite3_exec(connection_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return base::fail(error(code));
  return {};
}

std::vector<std::string> Database::prepared_texts() const {
  std::vector<std::string> texts;
  for (const auto& [text, statement] : statements_) texts.push_back(text);
  return texts;
}

bool Database::is_duplicate() const {
  const int code = sqlite3_extended_errcode(connection_);
  return code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY;
}

base::Error Database::error(int code) const {
  const int primary = code & 0xff;
  const int os_errno = connection_ != nullptr && primary != SQLITE_CONSTRAINT
                           ? sqlite3_system_errno(connection_)
                           : 0;
  const bool not_taken = is_not_taken(code);
  std::string message = path_ + ": ";
  if (not_taken) {
    message += "the disk does not take what is written";
  } else if (const std::string_view text = text_of(primary); !text.empty()) {
    message += text;
  } else {
    message += connection_ != nullptr ? sqlite3_errmsg(connection_) : sqlite3_errstr(code);
  }
  return {.code = not_taken ? base::ErrorCode::kUnavailable : code_of(primary),
          .os_errno = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN ? os_errno : 0,
          .message = std::move(message),
          .hint = std::string(not_taken ? kNotTakenHint : hint_of(primary))};
}

base::Result<Snapshot> Snapshot::begin(Database& database) {
  AIRLOCK_TRY(database.run("BEGIN"));
  return Snapshot(database);
}

Snapshot::~Snapshot() {
  if (database_ == nullptr || !database_->in_transaction()) return;
  // A transaction that only read has nothing to lose; there is nobody to tell either.
  static_cast<void>(database_->run("COMMIT").has_value());
}

}  // namespace airlock::store::sqlite
