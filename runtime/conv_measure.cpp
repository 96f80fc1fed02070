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
  return fmt::format("{}; croton {}; precision={}; deterministic={}", machine, version(),
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

// The operands of so many convolutions are held at the same time.
constexpr std::size_t most_prepared_bytes = std::size_t{2} << 30;

std::size_t bytes_of(const ConvProblem& p) {
  const std::int64_t elements = p.image_shape().count() + p.filter_shape().count() + p.out_shape().count();
  return static_cast<std::size_t>(elements) * size_of(p.dtype);
}

/// What an entry of a ledger is found by: problem and context.
using EntryKey = std::pair<std::string, std::string>;

class Measurer final : public ConvMeasurer {
 public:
  std::shared_ptr<const void> prepare(std::span<const ConvTask> tasks) override {
    if (config().metaopt_replay() == LedgerReplay::strict) return nullptr;
    const std::lock_guard guard(mutex_);
    std::vector<EntryKey> keys;
    std::vector<ConvTask> open;
    std::size_t bytes = 0;
    for (const ConvTask& task : tasks) {
      const EntryKey key = key_of(task);
      if (task.candidates.empty() || prepared_.contains(key) || recall_known(task, key)) continue;
      bytes += bytes_of(task.problem);
      if (bytes > most_prepared_bytes) break;  // the others' candidates are compiled when they are measured
      prepared_.emplace(key, nullptr);
      keys.push_back(key);
      open.push_back(task);
    }
    std::vector<std::unique_ptr<ConvContest>> contests = prepare_contests(open);
    for (std::size_t i = 0; i < keys.size(); ++i) prepared_[keys[i]] = std::move(contests[i]);
    return {nullptr, [this, keys](const void*) {
              const std::lock_guard again(mutex_);
              for (const EntryKey& key : keys) prepared_.erase(key);
            }};
  }

  ConvMeasurement measure(const ConvTask& task) override {
    const EntryKey key = key_of(task);
    // One at a time: measurements at the same time would disturb each other.
    const std::lock_guard guard(mutex_);
    if (auto recalled = recall_known(task, key)) return *recalled;
    if (config().metaopt_replay() == LedgerReplay::strict) {
      const Ledger* const ledger = open_ledger();
      throw DeviceError(
          fmt::format("metaopt.replay=strict: the ledger {} has no measurement of\n  {}\nfor {}; measure it "
                      "with metaopt.replay=on, or import it (croton tune import)",
                      ledger == nullptr ? "(none: metaopt.ledger)" : ledger->path(), key.first, key.second));
    }
    const ConvMeasurement measurement = contest_of(task, key)->run(config().metaopt_budget() / 1e3);
    LedgerEntry measured;
    measured.problem = key.first;
    measured.context = key.second;
    measured.winner = measurement.winner;
    measured.measured_at = now();
    measured.trials = measurement.trials;
    measured.trials.insert(measured.trials.end(), task.refused.begin(), task.refused.end());
    entries_.insert_or_assign(key, measured);
    keep(measured);
    return measurement;
  }

 private:
  static EntryKey key_of(const ConvTask& task) { return {to_string(task.problem), context_of(task.problem)}; }

  /// Null when there is none. Called with the mutex held, like all below.
  Ledger* open_ledger() {
    const std::string path = config().metaopt_replay() == LedgerReplay::off ? "" : ledger_path();
    if (path.empty()) return nullptr;
    if (ledger_ == nullptr || ledger_->path() != path) ledger_ = std::make_unique<Ledger>(path);
    return ledger_.get();
  }

  void keep(const LedgerEntry& entry) {
    Ledger* const ledger = open_ledger();
    if (ledger == nullptr) return;
    try {
      ledger->put(entry);
    } catch (const ValueError& error) {
      send_message(Severity::warning, std::string("a measurement could not be kept: ") + error.what());
    }
  }

  /// What was measured before of all candidates of the task.
  std::optional<ConvMeasurement> recall_known(const ConvTask& task, const EntryKey& key) {
    Ledger* const ledger = open_ledger();
    std::optional<LedgerEntry> entry;
    if (ledger != nullptr) entry = ledger->find(key.first, key.second);
    if (!entry && config().metaopt_replay() != LedgerReplay::strict) {
      if (const auto here = entries_.find(key); here != entries_.end()) {
        entry = here->second;
        keep(*entry);  // another ledger than before
      }
    }
    return entry ? recall(*entry, task.candidates) : std::nullopt;
  }

  std::unique_ptr<ConvContest> contest_of(const ConvTask& task, const EntryKey& key) {
    if (const auto ready = prepared_.find(key); ready != prepared_.end() && ready->second != nullptr)
      return std::move(ready->second);
    return std::move(prepare_contests(std::span(&task, 1)).front());
  }

  std::mutex mutex_;
  /// The measurements of this process; those on disk may be switched off.
  std::map<EntryKey, LedgerEntry> entries_;
  std::map<EntryKey, std::unique_ptr<ConvContest>> prepared_;
  std::unique_ptr<Ledger> ledger_;
};

[[maybe_unused]] const bool measures_from_the_start = [] {
  set_conv_measurer(*new Measurer);
  return true;
}();

}  // namespace

}  // namespace croton
