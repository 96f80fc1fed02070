// croton tune: what was measured of convolutions, and what is taken.

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>

#include <croton/graph/error.h>
#include <croton/runtime/ledger.h>

#include "command.h"

namespace {

using croton::ConvTrial;
using croton::Ledger;
using croton::LedgerEntry;

std::unique_ptr<Ledger> the_ledger() {
  const std::string path = croton::ledger_path();
  if (path.empty()) throw croton::ValueError("there is no ledger (metaopt.ledger=none, or no cache folder)");
  return std::make_unique<Ledger>(path);
}

std::string candidate_line(const LedgerEntry& entry, const ConvTrial& trial) {
  std::string line = fmt::format("    {} {:<22}", trial.name == entry.winner ? "*" : " ", trial.name);
  if (trial.is_refused) return line + fmt::format(" {:>15}  refuses: {}\n", "-", trial.reason);
  if (trial.is_measured()) {
    line += fmt::format(" {:>9} of {:>2}", croton::time_text(trial.best()), trial.seconds.size());
  } else {
    line += fmt::format(" {:>15}", "-");
  }
  line += fmt::format("  workspace {:>8.2f} MiB  error {:.1e}",
                      static_cast<double>(trial.workspace) / (1 << 20), trial.error);
  return line + (trial.reason.empty() ? "\n" : "  (" + trial.reason + ")\n");
}

void show(const std::string& text) {
  const auto ledger = the_ledger();
  std::string context;
  std::size_t shown = 0;
  for (const LedgerEntry& entry : ledger->all()) {
    if (entry.problem.find(text) == std::string::npos) continue;
    if (entry.context != context) fmt::print("{}\n", entry.context);
    context = entry.context;
    fmt::print("{:>4}  {}{}\n", entry.id, entry.problem, entry.is_pinned ? "  [pinned]" : "");
    for (const ConvTrial& trial : entry.trials) fmt::print("{}", candidate_line(entry, trial));
    ++shown;
  }
  const std::string with = text.empty() ? "" : fmt::format(" with '{}'", text);
  fmt::print("{} {}{} in {}\n", shown, shown == 1 ? "entry" : "entries", with, ledger->path());
}

/// What a measurement cannot say.
void check_trials(const LedgerEntry& entry) {
  for (const ConvTrial& trial : entry.trials) {
    for (const double seconds : trial.seconds) {
      if (!(seconds > 0))
        throw croton::ValueError(fmt::format("{} was measured with {} seconds", trial.name, seconds));
    }
  }
  const auto is_winner = [&](const ConvTrial& trial) {
    return trial.name == entry.winner && trial.is_measured();
  };
  if (!entry.winner.empty() && std::ranges::none_of(entry.trials, is_winner))
    throw croton::ValueError(fmt::format("the winner, {}, was not measured", entry.winner));
}

std::vector<LedgerEntry> read_lines(const std::string& file) {
  std::ifstream opened;
  if (file != "-") {
    opened.open(file);
    if (!opened) throw croton::ValueError("cannot read " + file);
  }
  std::istream& input = file == "-" ? std::cin : opened;
  std::vector<LedgerEntry> entries;
  std::size_t number = 0;
  for (std::string line; std::getline(input, line);) {
    ++number;
    if (line.empty()) continue;
    try {
      entries.push_back(croton::ledger_entry_from_json(line));
      check_trials(entries.back());
    } catch (const croton::ValueError& error) {
      throw croton::ValueError(fmt::format("{}:{}: {}", file, number, error.what()));
    }
  }
  return entries;
}

void export_to(const std::string& file) {
  const auto ledger = the_ledger();
  std::string text;
  for (const LedgerEntry& entry : ledger->all()) text += to_json_line(entry) + "\n";
  if (file.empty() || file == "-") {
    fmt::print("{}", text);
    return;
  }
  std::ofstream out(file);
  out << text;
  if (!out.flush()) throw croton::ValueError("cannot write " + file);
}

void import_from(const std::string& file) {
  const auto ledger = the_ledger();
  const std::vector<LedgerEntry> entries = read_lines(file);
  for (const LedgerEntry& entry : entries) ledger->put(entry);
  fmt::print("{} measurements into {}\n", entries.size(), ledger->path());
}

/// The time of the winner, infinity where there is none.
double winning_time(const LedgerEntry& entry) {
  for (const ConvTrial& trial : entry.trials) {
    if (trial.name == entry.winner) return trial.best();
  }
  return ConvTrial{}.best();
}

/// What a file of measurements says otherwise than the ledger, by problem: context may differ, so that
/// machines and versions can be compared.
void print_difference(const std::string& file) {
  const auto ledger = the_ledger();
  std::map<std::string, LedgerEntry> ours;
  for (LedgerEntry& entry : ledger->all()) ours.insert_or_assign(entry.problem, std::move(entry));
  std::size_t same = 0;
  for (const LedgerEntry& theirs : read_lines(file)) {
    const auto found = ours.find(theirs.problem);
    if (found == ours.end()) {
      fmt::print("only in {}: {}\n", file, theirs.problem);
      continue;
    }
    const LedgerEntry& entry = found->second;
    const double before = winning_time(theirs), now = winning_time(entry);
    if (entry.winner == theirs.winner && now < 1.1 * before && before < 1.1 * now) {
      ++same;
    } else {
      fmt::print("{}\n    {}: {} {}\n    here: {} {}  ({:.2f} times)\n", entry.problem, file, theirs.winner,
                 croton::time_text(before), entry.winner, croton::time_text(now), now / before);
    }
    ours.erase(found);
  }
  for (const auto& [problem, entry] : ours) fmt::print("only here: {}\n", problem);
  fmt::print("{} the same (winner, and time within 10 %)\n", same);
}

}  // namespace

void add_tune_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("tune", "The ledger of measured convolutions (optimizer_including=conv_meta).");
  command->require_subcommand(1);
  struct TuneOptions {
    std::string text, file, candidate;
    std::int64_t id = 0;
  };
  const auto options = std::make_shared<TuneOptions>();

  CLI::App* showing = command->add_subcommand("show", "Every entry: candidates, times, what is taken.");
  showing->add_option("text", options->text, "Only problems with this in their line");
  showing->callback([options] { show(options->text); });

  CLI::App* exporting = command->add_subcommand("export", "Write all entries as lines of JSON.");
  exporting->add_option("file", options->file, "Where to; standard output without it");
  exporting->callback([options] { export_to(options->file); });

  CLI::App* importing =
      command->add_subcommand("import", "Add such lines; entries of the same key are replaced.");
  importing->add_option("file", options->file, "Where from; - is standard input")->required();
  importing->callback([options] { import_from(options->file); });

  CLI::App* pinning = command->add_subcommand("pin", "Take a candidate from now on, whatever is measured.");
  pinning->add_option("id", options->id, "The number that show prints")->required();
  pinning->add_option("candidate", options->candidate, "Its name; without it the fastest is taken again");
  pinning->callback([options] {
    the_ledger()->pin(options->id, options->candidate);
    fmt::print("entry {}: {}\n", options->id,
               options->candidate.empty() ? "the fastest" : "pinned to " + options->candidate);
  });

  CLI::App* comparing =
      command->add_subcommand("diff", "Compare with lines of JSON: other winners, other times.");
  comparing->add_option("file", options->file, "What export wrote")->required();
  comparing->callback([options] { print_difference(options->file); });

  CLI::App* clearing = command->add_subcommand("clear", "Remove every entry.");
  clearing->callback([] {
    const auto ledger = the_ledger();
    fmt::print("removed {} measurements from {}\n", ledger->clear(), ledger->path());
  });

  for (CLI::App* one : {showing, exporting, importing, pinning, comparing, clearing}) add_flags_option(*one);
}
