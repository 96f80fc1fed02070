#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/export.h"
#include "croton/optimizer/conv_measurement.h"

namespace croton {

/// One measured convolution: every candidate's samples, workspace, error or refusal.
struct LedgerEntry {
  std::int64_t id = 0;  ///< within its ledger
  std::string problem;  ///< to_string(ConvProblem): shapes, layouts, dtype, direction, device
  std::string context;  ///< what else decides: machine, precision, determinism, versions
  std::string winner;
  bool is_pinned = false;
  std::string measured_at;  ///< UTC, "2026-11-21T17:20:05Z"
  std::vector<ConvTrial> trials;
};

/// Measurements on disk (SQLite). Several processes may use one file at a time. A file that is damaged is set
/// aside under another name, with a warning, and begun anew. Errors of the file system are ValueErrors.
class CROTON_API Ledger {
 public:
  /// Opens the file, or makes it with its folder.
  explicit Ledger(std::string path);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  const std::string& path() const { return path_; }
  std::optional<LedgerEntry> find(std::string_view problem, std::string_view context) const;
  /// In the order of their ids.
  std::vector<LedgerEntry> all() const;
  /// Adds, or replaces the entry of the same problem and context (what was pinned stays pinned unless the new
  /// entry is).
  void put(const LedgerEntry& entry);
  /// Pins one of its candidates, which is taken from then on whatever is measured; empty: no more. ValueError
  /// for an unknown id or a candidate that the entry does not have.
  void pin(std::int64_t id, std::string_view candidate);
  /// How many entries there were.
  std::int64_t clear();

 private:
  struct Database;
  std::string path_;
  std::unique_ptr<Database> database_;
};

/// The file that the flag metaopt.ledger means; empty for none.
CROTON_API std::string ledger_path();

/// An entry as one line of JSON, and back; ValueError for text that is none.
CROTON_API std::string to_json_line(const LedgerEntry& entry);
CROTON_API LedgerEntry ledger_entry_from_json(std::string_view line);

/// "1.23 ms": three digits.
CROTON_API std::string time_text(double seconds);

}  // namespace croton
