#include <nlohmann/json.hpp>

#include "croton/graph/error.h"
#include "croton/runtime/ledger.h"

namespace croton {

std::string to_json_line(const LedgerEntry& entry) {
  nlohmann::ordered_json line = {
      {"problem", entry.problem},         {"context", entry.context},
      {"winner", entry.winner},           {"pinned", entry.is_pinned},
      {"measured_at", entry.measured_at}, {"trials", nlohmann::ordered_json::array()}};
  for (const ConvTrial& trial : entry.trials) {
    nlohmann::ordered_json one = {{"name", trial.name},
                                  {"seconds", trial.seconds},
                                  {"workspace", trial.workspace},
                                  {"error", trial.error}};
    if (!trial.reason.empty()) one["reason"] = trial.reason;
    if (trial.has_failed) one["failed"] = true;
    if (trial.is_refused) one["refused"] = true;
    line["trials"].push_back(std::move(one));
  }
  return line.dump();
}

LedgerEntry ledger_entry_from_json(std::string_view text) {
  try {
    const auto line = nlohmann::json::parse(text);
    LedgerEntry entry;
    entry.problem = line.at("problem").get<std::string>();
    entry.context = line.at("context").get<std::string>();
    entry.winner = line.at("winner").get<std::string>();
    entry.is_pinned = line.at("pinned").get<bool>();
    entry.measured_at = line.at("measured_at").get<std::string>();
    for (const auto& one : line.at("trials")) {
      ConvTrial trial;
      trial.name = one.at("name").get<std::string>();
      trial.seconds = one.at("seconds").get<std::vector<double>>();
      trial.workspace = one.at("workspace").get<std::size_t>();
      trial.error = one.at("error").get<double>();
      trial.reason = one.value("reason", std::string());
      trial.has_failed = one.value("failed", false);
      trial.is_refused = one.value("refused", false);
      entry.trials.push_back(std::move(trial));
    }
    return entry;
  } catch (const nlohmann::json::exception& error) {
    throw ValueError(std::string("not a line of a ledger: ") + error.what());
  }
}

}  // namespace croton
