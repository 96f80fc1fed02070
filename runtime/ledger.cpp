#include "croton/runtime/ledger.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <thread>

#include "croton/codegen/kernel_cache.h"
#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/message.h"

namespace croton {

namespace {

/// How long another process may keep the file.
constexpr std::chrono::milliseconds patience(10'000);

/// SQLite's own waiting leaves out what might be a deadlock: two that switch a new file to another journal,
/// or repair one, at once. These are asked again here.
template <class Attempt>
int while_busy(const Attempt& attempt) {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (std::chrono::milliseconds pause(1);; pause = std::min(2 * pause, std::chrono::milliseconds(50))) {
    const int status = attempt();
    const bool is_busy = (status & 0xff) == SQLITE_BUSY || (status & 0xff) == SQLITE_LOCKED;
    if (!is_busy || std::chrono::steady_clock::now() >= end) return status;
    std::this_thread::sleep_for(pause);
  }
}

/// The file is not a database, or not one that can be read.
struct DamagedLedger : ValueError {
  using ValueError::ValueError;
};

/// One statement; finalized at the end.
class LedgerStatement {
 public:
  LedgerStatement(sqlite3* database, const char* sql) : database_(database) {
    check(while_busy([&] { return sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr); }));
  }
  ~LedgerStatement() { sqlite3_finalize(statement_); }
  LedgerStatement(const LedgerStatement&) = delete;
  LedgerStatement& operator=(const LedgerStatement&) = delete;

  LedgerStatement& bind(int at, std::string_view text) {
    check(sqlite3_bind_text(statement_, at, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT));
    return *this;
  }
  LedgerStatement& bind(int at, std::int64_t number) {
    check(sqlite3_bind_int64(statement_, at, number));
    return *this;
  }
  /// Whether there is a (further) row.
  bool step() {
    int status = sqlite3_step(statement_);
    if (!has_begun_ && status != SQLITE_ROW && status != SQLITE_DONE) {
      status = while_busy([&] {
        sqlite3_reset(statement_);
        return sqlite3_step(statement_);
      });
    }
    has_begun_ = true;
    if (status == SQLITE_ROW) return true;
    if (status != SQLITE_DONE) check(status);
    return false;
  }
  std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes == nullptr
               ? std::string()
               : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
  }
  std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }

 private:
  void check(int status) const {
    if (status == SQLITE_OK) return;
    const std::string reason = sqlite3_errmsg(database_);
    if (status == SQLITE_CORRUPT || status == SQLITE_NOTADB || status == SQLITE_ERROR)
      throw DamagedLedger("the ledger of measurements: " + reason);
    if (status == SQLITE_BUSY || status == SQLITE_LOCKED) {
      throw ValueError(fmt::format(
          "the ledger of measurements {} is in use by another process for more than {} s ({}): end that "
          "process, or name another file with metaopt.ledger",
          sqlite3_db_filename(database_, "main"), patience.count() / 1000, reason));
    }
    throw ValueError("the ledger of measurements: " + reason);
  }

  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
  bool has_begun_ = false;
};

// A column for each part of the key; the trials are JSON, which nothing asks the database about.
constexpr const char* schema =
    "CREATE TABLE IF NOT EXISTS convolutions ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT, problem TEXT NOT NULL, context TEXT NOT NULL, winner TEXT NOT "
    "NULL,"
    "pinned INTEGER NOT NULL, measured_at TEXT NOT NULL, trials TEXT NOT NULL, UNIQUE (problem, context))";
constexpr const char* columns = "id, problem, context, winner, pinned, measured_at, trials";

LedgerEntry read_row(const LedgerStatement& row) {
  LedgerEntry entry = ledger_entry_from_json(row.text(6));
  entry.id = row.number(0);
  entry.problem = row.text(1);
  entry.context = row.text(2);
  entry.winner = row.text(3);
  entry.is_pinned = row.number(4) != 0;
  entry.measured_at = row.text(5);
  return entry;
}

}  // namespace

struct Ledger::Database {
  sqlite3* handle = nullptr;

  explicit Database(const std::string& path) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
    if (sqlite3_open_v2(path.c_str(), &handle, flags, nullptr) != SQLITE_OK) {
      const std::string reason = handle == nullptr ? "out of memory" : sqlite3_errmsg(handle);
      sqlite3_close(handle);
      throw ValueError(
          fmt::format("the ledger {} cannot be opened: {} (metaopt.ledger names another)", path, reason));
    }
    sqlite3_busy_timeout(handle, static_cast<int>(patience.count()));
    try {
      // Readers and a writer at once, in several processes.
      LedgerStatement(handle, "PRAGMA journal_mode = WAL").step();
      LedgerStatement(handle, schema).step();
      LedgerStatement check(handle, "PRAGMA quick_check(1)");
      if (check.step() && check.text(0) != "ok") throw DamagedLedger(check.text(0));
      LedgerStatement(handle, fmt::format("SELECT {} FROM convolutions LIMIT 1", columns).c_str()).step();
    } catch (...) {
      sqlite3_close(handle);
      throw;
    }
  }
  ~Database() { sqlite3_close(handle); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
};

Ledger::Ledger(std::string path) : path_(std::move(path)) {
  std::error_code ignored;
  if (const auto folder = std::filesystem::path(path_).parent_path();
      !folder.empty() && !std::filesystem::exists(folder, ignored)) {
    std::filesystem::create_directories(folder, ignored);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, ignored);
  }
  try {
    database_ = std::make_unique<Database>(path_);
  } catch (const DamagedLedger& damage) {
    const std::string aside = fmt::format("{}.damaged-{}", path_, std::time(nullptr));
    std::filesystem::rename(path_, aside, ignored);
    if (ignored)
      throw ValueError(
          fmt::format("the ledger {} is damaged ({}) and cannot be renamed", path_, damage.what()));
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(path_ + suffix, ignored);
    send_message(Severity::warning,
                 fmt::format("the ledger {} is damaged ({}); it is kept as {}, and a new one begun", path_,
                             damage.what(), aside));
    database_ = std::make_unique<Database>(path_);
  }
}

Ledger::~Ledger() = default;

std::optional<LedgerEntry> Ledger::find(std::string_view problem, std::string_view context) const {
  LedgerStatement statement(
      database_->handle,
      fmt::format("SELECT {} FROM convolutions WHERE problem = ? AND context = ?", columns).c_str());
  statement.bind(1, problem).bind(2, context);
  if (!statement.step()) return std::nullopt;
  return read_row(statement);
}

std::vector<LedgerEntry> Ledger::all() const {
  LedgerStatement statement(database_->handle,
                            fmt::format("SELECT {} FROM convolutions ORDER BY id", columns).c_str());
  std::vector<LedgerEntry> entries;
  while (statement.step()) entries.push_back(read_row(statement));
  return entries;
}

void Ledger::put(const LedgerEntry& entry) {
  LedgerStatement statement(database_->handle,
                            "INSERT INTO convolutions (problem, context, winner, pinned, measured_at, "
                            "trials) VALUES (?, ?, ?, ?, ?, ?) "
                            "ON CONFLICT (problem, context) DO UPDATE SET "
                            "winner = CASE WHEN convolutions.pinned AND NOT excluded.pinned THEN "
                            "convolutions.winner ELSE excluded.winner END, "
                            "pinned = max(convolutions.pinned, excluded.pinned), "
                            "measured_at = excluded.measured_at, trials = excluded.trials");
  statement.bind(1, entry.problem).bind(2, entry.context).bind(3, entry.winner);
  statement.bind(4, std::int64_t{entry.is_pinned}).bind(5, entry.measured_at).bind(6, to_json_line(entry));
  statement.step();
}

void Ledger::pin(std::int64_t id, std::string_view candidate) {
  LedgerStatement get(database_->handle,
                      fmt::format("SELECT {} FROM convolutions WHERE id = ?", columns).c_str());
  get.bind(1, id);
  if (!get.step()) throw ValueError(fmt::format("the ledger {} has no entry {}", path_, id));
  LedgerEntry entry = read_row(get);
  std::string names;
  const ConvTrial* best = nullptr;
  bool is_known = candidate.empty();
  for (const ConvTrial& trial : entry.trials) {
    if (trial.is_refused) continue;
    names += (names.empty() ? "" : ", ") + trial.name;
    is_known = is_known || (trial.name == candidate && !trial.has_failed);
    if (trial.is_measured() && (best == nullptr || trial.best() < best->best())) best = &trial;
  }
  if (!is_known)
    throw ValueError(
        fmt::format("entry {} has no candidate '{}' that works; it has {}", id, candidate, names));
  const std::string winner = candidate.empty() ? (best == nullptr ? "" : best->name) : std::string(candidate);
  LedgerStatement set(database_->handle, "UPDATE convolutions SET winner = ?, pinned = ? WHERE id = ?");
  set.bind(1, winner).bind(2, std::int64_t{!candidate.empty()}).bind(3, id).step();
}

std::int64_t Ledger::clear() {
  LedgerStatement count(database_->handle, "SELECT count(*) FROM convolutions");
  count.step();
  const std::int64_t entries = count.number(0);
  LedgerStatement(database_->handle, "DELETE FROM convolutions").step();
  return entries;
}

std::string ledger_path() {
  const std::string said = config().metaopt_ledger().string();
  if (said == "none") return {};
  if (!said.empty()) return said;
  const std::string cache = config().cache_dir().string();
  const std::string folder = cache.empty() ? kernel_cache_folder() : cache;
  return folder.empty() || folder == "none" ? std::string() : folder + "/convolutions.sqlite";
}

std::string time_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  return fmt::format("{:.3g} s", seconds);
}

}  // namespace croton
