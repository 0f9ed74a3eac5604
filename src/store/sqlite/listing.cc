#include "store/sqlite/listing.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "store/sqlite/job_rows.h"
#include "store/sqlite/write_context.h"

namespace airlock::store::sqlite {
namespace {

constexpr std::string_view kFirstFrom =
    "SELECT seq FROM jobs INDEXED BY jobs_by_time WHERE submitted_at >= ?1 "
    "ORDER BY submitted_at, seq LIMIT 1";
constexpr std::string_view kLastBefore =
    "SELECT seq FROM jobs INDEXED BY jobs_by_time WHERE submitted_at < ?1 "
    "ORDER BY submitted_at DESC, seq DESC LIMIT 1";
constexpr std::string_view kNewest = "SELECT max(seq) FROM jobs";
constexpr std::string_view kTextMatches =
    "instr(lower(id || ' ' || repo_url || ' ' || validator_hotkey || ' ' || miner_hotkey), "
    "lower(?9)) > 0";

// Which filter an index answers; the others are looked at job by job.
enum class Key { kNone, kMiner, kValidator, kOwner };

Key key_of(const JobFilter& filter) {
  if (filter.miner_hotkey) return Key::kMiner;
  if (filter.validator_hotkey) return Key::kValidator;
  if (filter.owner) return Key::kOwner;
  return Key::kNone;
}

bool has_scan(const JobFilter& filter) {
  const int keys = filter.miner_hotkey.has_value() + filter.validator_hotkey.has_value() +
                   filter.owner.has_value();
  return keys > 1 || filter.weight_class || filter.text;
}

const std::optional<std::string>& key_value(const JobFilter& filter) {
  switch (key_of(filter)) {
    case Key::kMiner: return filter.miner_hotkey;
    case Key::kValidator: return filter.validator_hotkey;
    default: return filter.owner;
  }
}

// Jobs from `from` on and before `before`, by seq.
struct Range {
  std::int64_t from = 0;
  std::int64_t before = std::numeric_limits<std::int64_t>::max();
};

base::Result<std::int64_t> parse_cursor(const std::string& cursor) {
  std::int64_t seq = 0;
  const char* const end = cursor.data() + cursor.size();
  const auto [rest, code] = std::from_chars(cursor.data(), end, seq, 16);
  if (code != std::errc() || rest != end || seq < 1) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "the cursor is none that a list of jobs gave",
                      "Take `next` of the page before as it is.");
  }
  return seq;
}

std::string make_cursor(std::int64_t seq) {
  char text[16];
  const auto [end, code] = std::to_chars(text, text + sizeof text, seq, 16);
  return {text, end};
}

base::Result<Range> range_of(Database& database, const JobFilter& filter) {
  Range range;
  if (!filter.cursor.empty()) { AIRLOCK_ASSIGN(range.before, parse_cursor(filter.cursor)); }
  if (filter.submitted_from) {
    AIRLOCK_ASSIGN(const auto first,
                   database.find_integer(kFirstFrom, micros(*filter.submitted_from)));
    range.from = first.value_or(range.before);
  }
  if (filter.submitted_before) {
    AIRLOCK_ASSIGN(const auto last,
                   database.find_integer(kLastBefore, micros(*filter.submitted_before)));
    range.before = std::min(range.before, last.value_or(-1) + 1);
  }
  return range;
}

// What a page that has to look at every job may look at.
base::Result<Range> scanned(Database& database, Range range) {
  AIRLOCK_ASSIGN(const auto newest, database.find_integer(kNewest));
  range.before = std::min(range.before, newest.value_or(0) + 1);
  range.from = std::max(range.from, range.before - static_cast<std::int64_t>(kListTextScan));
  return range;
}

// ?1 key, ?2 state, ?3 from, ?4 before, ?5 limit, ?6.. what else is filtered.
std::string list_sql(const JobFilter& filter, bool by_state) {
  std::string sql = "SELECT seq FROM jobs ";
  const Key key = key_of(filter);
  if (key == Key::kMiner) sql += "INDEXED BY jobs_by_miner WHERE miner_hotkey = ?1 AND ";
  if (key == Key::kValidator)
    sql += "INDEXED BY jobs_by_validator WHERE validator_hotkey = ?1 AND ";
  if (key == Key::kOwner) sql += "INDEXED BY jobs_by_owner WHERE owner = ?1 AND ";
  if (key == Key::kNone) sql += by_state ? "INDEXED BY jobs_by_state WHERE " : "WHERE ";
  if (by_state) sql += "state = ?2 AND ";
  sql += "seq >= ?3 AND seq < ?4";
  if (key > Key::kNone && key < Key::kOwner && filter.owner) sql += " AND owner = ?6";
  if (key == Key::kMiner && filter.validator_hotkey) sql += " AND validator_hotkey = ?7";
  if (filter.weight_class) sql += " AND weight_class = ?8";
  if (filter.text) sql += " AND " + std::string(kTextMatches);
  // ?9 is there in each of them, so that all take the same values.
  return sql + " AND (?9 IS NULL OR ?9 IS NOT NULL) ORDER BY seq DESC LIMIT ?5";
}

base::Status collect(Database& database, const JobFilter& filter,
                     std::optional<model::JobState> state, const Range& range,
                     std::vector<std::int64_t>& seqs) {
  const auto name = state ? std::optional(model::job_state_name(*state)) : std::nullopt;
  AIRLOCK_ASSIGN(Statement rows,
                 database.query(list_sql(filter, state.has_value()), key_value(filter), name,
                                range.from, range.before, filter.limit + 1, filter.owner,
                                filter.validator_hotkey, filter.weight_class, filter.text));
  while (true) {
    AIRLOCK_ASSIGN(const bool found, rows.step());
    if (!found) return {};
    seqs.push_back(rows.integer(0));
  }
}

// One more than the page holds, if there are.
base::Result<std::vector<std::int64_t>> find_seqs(Database& database, const JobFilter& filter,
                                                  const Range& range) {
  std::vector<std::int64_t> seqs;
  if (filter.states.empty() && key_of(filter) == Key::kNone) {
    AIRLOCK_TRY(collect(database, filter, std::nullopt, range, seqs));
    return seqs;
  }
  for (std::size_t i = 0; i < model::kJobStates; ++i) {
    const auto state = static_cast<model::JobState>(i);
    if (!filter.states.empty() && std::ranges::find(filter.states, state) == filter.states.end()) {
      continue;
    }
    AIRLOCK_TRY(collect(database, filter, state, range, seqs));
  }
  std::ranges::sort(seqs, std::greater());
  if (seqs.size() > filter.limit + 1) seqs.resize(filter.limit + 1);
  return seqs;
}

}  // namespace

base::Result<JobPage> list(Database& database, const JobFilter& filter) {
  if (filter.limit < 1 || filter.limit > kListMax) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "the limit of a list of jobs is from 1 to " + std::to_string(kListMax));
  }
  AIRLOCK_ASSIGN(const Snapshot snapshot, Snapshot::begin(database));
  AIRLOCK_ASSIGN(const Range whole, range_of(database, filter));
  Range range = whole;
  if (has_scan(filter)) { AIRLOCK_ASSIGN(range, scanned(database, whole)); }
  AIRLOCK_ASSIGN(std::vector<std::int64_t> seqs, find_seqs(database, filter, range));
  JobPage page;
  if (seqs.size() > filter.limit) {
    seqs.resize(filter.limit);
    page.next = make_cursor(seqs.back());
  } else if (range.from > std::max<std::int64_t>(whole.from, 1)) {
    page.next = make_cursor(range.from);
  }
  page.jobs.reserve(seqs.size());
  for (const std::int64_t seq : seqs) {
    AIRLOCK_ASSIGN(auto job, read_summary(database, seq));
    if (job) page.jobs.push_back(std::move(*job));
  }
  return page;
}

}  // namespace airlock::store::sqlite
