// optimizer_including=conv_meta: what was measured before is taken from the ledger, what is new is measured.

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <map>
#include <mutex>

#include "croton/codegen/thread_pool.h"
#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/message.h"
#include "croton/graph/version.h"
#include "croton/optimizer/conv_measurement.h"
#include "croton/runtime/conv_contest.h"
#include "croton/runtime/device_info.h"
#include "croton/runtime/dnn_convolution.h"
#include "croton/runtime/ledger.h"

namespace croton {

namespace {

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

std::string parts_of_gpu(Device device) {
  static const DeviceInfo info = device_info();
  std::string text;
  for (const GpuInfo& gpu : info.gpus) {
    if (gpu.device == to_string(device)) text = gpu.name;
  }
  for (const GpuPart& part : info.parts) {
    if (part.is_found) text += fmt::format("; {} {}", part.name, part.version);
  }
  return text;
}

/// What beside the problem decides how fast a candidate is.
std::string context_of(const ConvProblem& problem) {
  static const std::string processor = processor_name();
  const std::string machine = problem.device.is_cuda()
                                  ? parts_of_gpu(problem.device)
                                  : fmt::format("{}, {} threads; oneDNN {}", processor,
                                                ThreadPool::instance().threads(), dnn_version());
  return fmt::format("{}; croton {}; precision={}; deterministic={}; bc01", machine, version(),
                     config().get("precision"), config().get("deterministic"));
}

std::string now() {
  const std::time_t time = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// The measurements of this process; those on disk may be switched off.
struct Memory {
  std::recursive_mutex mutex;  // a candidate may be made of other convolutions
  std::map<std::pair<std::string, std::string>, LedgerEntry> entries;
  std::unique_ptr<Ledger> ledger;
};

Memory& memory() {
  static Memory& instance = *new Memory;
  return instance;
}

/// Null when there is none. Called with the mutex held.
Ledger* open_ledger() {
  const std::string path = ledger_path();
  if (path.empty()) return nullptr;
  std::unique_ptr<Ledger>& open = memory().ledger;
  if (open == nullptr || open->path() != path) open = std::make_unique<Ledger>(path);
  return open.get();
}

/// What an entry says when these candidates may be taken; nothing when it lacks one of them.
std::optional<ConvMeasurement> recall(const LedgerEntry& entry,
                                      std::span<const ConvCandidate* const> candidates) {
  ConvMeasurement measurement;
  const ConvTrial* best = nullptr;
  for (const ConvCandidate* candidate : candidates) {
    const auto trial = std::ranges::find(entry.trials, candidate->name, &ConvTrial::name);
    if (trial == entry.trials.end() || trial->is_refused) return std::nullopt;
    measurement.trials.push_back(*trial);
    if (trial->is_measured() && (best == nullptr || trial->best() < best->best())) best = &*trial;
    if (trial->name == entry.winner && !trial->has_failed) measurement.winner = entry.winner;
  }
  if (measurement.winner.empty() && best != nullptr) measurement.winner = best->name;
  const bool is_pinned = entry.is_pinned && measurement.winner == entry.winner;
  measurement.origin = is_pinned ? "pinned in the ledger" : "from the ledger";
  return measurement;
}

ConvMeasurement measure_convolution(const ConvProblem& problem,
                                    std::span<const ConvCandidate* const> candidates,
                                    std::span<const ConvTrial> refused) {
  const std::string text = to_string(problem), context = context_of(problem);
  const LedgerReplay replay = config().metaopt_replay();
  Memory& known = memory();
  // One at a time: measurements at the same time would disturb each other.
  const std::lock_guard guard(known.mutex);
  Ledger* const ledger = replay == LedgerReplay::off ? nullptr : open_ledger();
  std::optional<LedgerEntry> entry;
  if (ledger != nullptr) entry = ledger->find(text, context);
  if (!entry && replay != LedgerReplay::strict) {
    if (const auto here = known.entries.find({text, context}); here != known.entries.end()) {
      entry = here->second;
      if (ledger != nullptr) ledger->put(*entry);  // another ledger than before
    }
  }
  if (entry) {
    if (auto recalled = recall(*entry, candidates)) return *recalled;
  }
  if (replay == LedgerReplay::strict) {
    throw DeviceError(
        fmt::format("metaopt.replay=strict: the ledger {} has no measurement of\n  {}\nfor {}; measure it "
                    "with metaopt.replay=on, "
                    "or import it (croton tune import)",
                    ledger == nullptr ? "(none: metaopt.ledger)" : ledger->path(), text, context));
  }
  ConvMeasurement measurement = hold_contest(problem, candidates, config().metaopt_budget() / 1e3);
  LedgerEntry measured;
  measured.problem = text;
  measured.context = context;
  measured.winner = measurement.winner;
  measured.measured_at = now();
  measured.trials = measurement.trials;
  measured.trials.insert(measured.trials.end(), refused.begin(), refused.end());
  known.entries.insert_or_assign({text, context}, measured);
  if (ledger != nullptr) {
    try {
      ledger->put(measured);
    } catch (const ValueError& error) {
      send_message(Severity::warning, std::string("a measurement could not be kept: ") + error.what());
    }
  }
  return measurement;
}

[[maybe_unused]] const bool measures_from_the_start = [] {
  set_conv_measurer(measure_convolution);
  return true;
}();

}  // namespace

}  // namespace croton
