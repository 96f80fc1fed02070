#include "croton/runtime/conv_contest.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <random>
#include <thread>

#include "croton/codegen/thread_pool.h"
#include "croton/graph/error.h"
#include "croton/ops/transfer.h"
#include "croton/runtime/call_timer.h"
#include "croton/runtime/function.h"

namespace croton {

namespace {

// A sample takes so long at least: far longer than reading a clock, on a device than until the first of the
// calls begins there.
constexpr double shortest_sample = 200e-6, shortest_sample_on_device = 1e-3;
constexpr std::size_t most_calls = 200;
// So many times slower than the best in its first call: not worth another one.
constexpr double hopeless = 5;
// And after some rounds.
constexpr double far_behind = 1.2;
constexpr int rounds_before_dropping = 3;
constexpr int most_rounds = 12;
// Where two candidates disagree, the reference decides if it takes no more than this; otherwise both are out.
constexpr double most_reference_flops = 4e9;
// Errors are stated for typical data; a wrong result is wrong by far more.
constexpr double tolerance = 8;

Tensor uniform_operand(const Shape& shape, DType dtype, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> between(-1, 1);
  Tensor values = Tensor::empty(shape, DType::float32);
  for (std::int64_t i = 0; i < values.size(); ++i) values.data<float>()[i] = between(random);
  return values.astype(dtype);
}

struct Entrant {
  const ConvCandidate* candidate = nullptr;
  ConvTrial trial;
  Variable expression;
  Function function;
  std::size_t calls = 1;  // a sample
  bool is_running = false;
  Tensor result;
};

/// Shows on a terminal (standard error) how far measuring is; elsewhere nothing. The line goes with the
/// object.
class ContestProgress {
 public:
  ContestProgress(std::string problem, std::size_t candidates)
      : problem_(std::move(problem)), candidates_(candidates), columns_(columns_of_terminal()) {}
  ~ContestProgress() {
    if (columns_ > 0 && begun_ > 0) fmt::print(stderr, "\r\033[K");
  }
  ContestProgress(const ContestProgress&) = delete;
  ContestProgress& operator=(const ContestProgress&) = delete;

  /// The next candidate begins.
  void next(const std::string& candidate) {
    if (columns_ > 0) {
      fmt::print(stderr, "\r\033[K{}",
                 progress_line(begun_, candidates_, candidate + "  " + problem_, columns_ - 1));
    }
    ++begun_;
  }

 private:
  /// 0 without a terminal.
  static std::size_t columns_of_terminal() {
    constexpr std::size_t usual = 80;
    if (isatty(STDERR_FILENO) == 0) return 0;
    winsize size{};
    const bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return is_known ? size.ws_col : usual;
  }

  std::string problem_;
  std::size_t candidates_, begun_ = 0, columns_;
};

class Contest final : public ConvContest {
 public:
  explicit Contest(const ConvTask& task) : p_(task.problem), timer_(make_call_timer(p_.device)) {
    const bool is_forward = p_.direction == ConvDirection::forward;
    const bool has_image = p_.direction != ConvDirection::backward_inputs;
    first_ = uniform_operand(has_image ? p_.image_shape() : p_.filter_shape(), p_.dtype, 1);
    second_ = uniform_operand(is_forward ? p_.filter_shape() : p_.out_shape(), p_.dtype, 2);
    const Variable first = lying(first_, "first", p_.layouts.first),
                   second = lying(second_, "second", p_.layouts.second);
    for (const ConvCandidate* candidate : task.candidates) {
      Entrant entrant;
      entrant.candidate = candidate;
      entrant.trial.name = candidate->name;
      entrant.trial.workspace = candidate->workspace(p_);
      entrant.trial.error = candidate->error(p_);
      attempt(entrant, [&] { entrant.expression = build(*candidate, first, second); });
      entrants_.push_back(std::move(entrant));
    }
  }

  std::size_t size() const { return entrants_.size(); }

  /// One candidate; others may be compiled by other threads meanwhile.
  void compile(std::size_t number) {
    Entrant& entrant = entrants_[number];
    if (entrant.trial.has_failed) return;
    attempt(entrant, [&] {
      // Of what a candidate is made is not measured again.
      FunctionOptions options{.mode = Mode(ModeName::FAST_RUN).excluding("conv_meta"),
                              .name = "measuring " + std::string(entrant.candidate->name)};
      options.device = to_string(p_.device);
      entrant.function = function({}, entrant.expression, options);
    });
  }

  ConvMeasurement run(double budget) override {
    budget_ = budget;
    begin_ = std::chrono::steady_clock::now();
    ContestProgress progress(to_string(p_), entrants_.size());
    for (Entrant& entrant : entrants_) {
      progress.next(entrant.trial.name);
      warm_up(entrant);
    }
    for (int round = 0; round < most_rounds && running() > 1 && (round == 0 || !is_spent()); ++round) {
      for (Entrant& entrant : entrants_) {
        if (entrant.is_running) take_sample(entrant);
      }
      if (round + 1 >= rounds_before_dropping) drop_those_behind();
    }
    // One that is alone has its first call only.
    for (Entrant& entrant : entrants_) {
      if (entrant.is_running && entrant.trial.seconds.size() < 2) take_sample(entrant);
    }
    ConvMeasurement measurement;
    measurement.origin = "measured now";
    if (const Entrant* winner = verified_winner()) measurement.winner = winner->trial.name;
    for (Entrant& entrant : entrants_) measurement.trials.push_back(std::move(entrant.trial));
    return measurement;
  }

 private:
  bool is_spent() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count() > budget_;
  }
  double best() const {
    double least = INFINITY;
    for (const Entrant& entrant : entrants_) {
      if (!entrant.trial.has_failed) least = std::min(least, entrant.trial.best());
    }
    return least;
  }
  std::size_t running() const {
    return static_cast<std::size_t>(std::ranges::count_if(entrants_, &Entrant::is_running));
  }

  template <class F>
  void attempt(Entrant& entrant, const F& f) {
    try {
      f();
    } catch (const std::exception& error) {
      const std::string text = error.what();
      entrant.trial.reason = text.substr(0, text.find('\n'));
      entrant.trial.has_failed = true;
      entrant.is_running = false;
    }
  }

  /// An operand that all candidates share, in memory as it lies in the graph around the problem.
  static Variable lying(const Tensor& value, const char* name, ConvLayout layout) {
    const std::size_t axes = value.shape().size();
    const Tensor placed = value.transpose(Shape(axes_into(layout, axes))).contiguous();
    const Variable leaf = shared(placed, name, {.shape = placed.shape()});
    return shuffled(leaf, axes_out_of(layout, axes));
  }
  static Variable shuffled(const Variable& x, const std::vector<std::int64_t>& pattern) {
    return x.dimshuffle(std::vector<int>(pattern.begin(), pattern.end()));
  }

  Variable build(const ConvCandidate& candidate, const Variable& first, const Variable& second) const {
    const Variable result =
        shuffled(candidate.build(p_, first, second, conv_attributes(p_)),
                 axes_into(p_.layouts.result, static_cast<std::size_t>(axes_of_result())));
    return p_.device.is_cuda() ? transfer(result, to_string(p_.device)) : result;
  }
  int axes_of_result() const {
    const bool has_positions = p_.unshared && p_.direction == ConvDirection::backward_weights;
    return 2 + p_.rank * (has_positions ? 2 : 1);
  }

  void warm_up(Entrant& entrant) {
    if (is_spent() && best() < INFINITY) {
      entrant.trial.reason = "not measured: the budget was spent (metaopt.budget)";
      return;
    }
    if (entrant.trial.has_failed) return;
    attempt(entrant, [&] {
      entrant.result = entrant.function()[0].to_host();
      timer_->finish();
      const double seconds = timer_->seconds([&] { entrant.function(); });
      entrant.trial.seconds.push_back(seconds);
      entrant.is_running = true;
      const double shortest = p_.device.is_cuda() ? shortest_sample_on_device : shortest_sample;
      entrant.calls = std::clamp<std::size_t>(static_cast<std::size_t>(shortest / std::max(seconds, 1e-9)), 1,
                                              most_calls);
    });
    if (!entrant.is_running) return;
    const double least = best();
    for (Entrant& other : entrants_) {
      if (other.is_running && other.trial.best() > hopeless * least)
        drop(other, fmt::format("{:.3g} times the best in its first call", other.trial.best() / least));
    }
  }

  static void drop(Entrant& entrant, std::string reason) {
    entrant.is_running = false;
    entrant.function = {};  // and its memory
    entrant.trial.reason = std::move(reason);
  }

  void take_sample(Entrant& entrant) {
    attempt(entrant, [&] {
      const double seconds = timer_->seconds([&] {
        for (std::size_t i = 0; i < entrant.calls; ++i) entrant.function();
      });
      entrant.trial.seconds.push_back(seconds / static_cast<double>(entrant.calls));
    });
  }

  void drop_those_behind() {
    const double least = best();
    for (Entrant& entrant : entrants_) {
      if (!entrant.is_running || entrant.trial.best() <= far_behind * least) continue;
      drop(entrant, fmt::format("{:.3g} times the best after {} samples", entrant.trial.best() / least,
                                entrant.trial.seconds.size()));
    }
  }

  /// The largest difference, relative to the largest of `expected`.
  static double difference(const Tensor& result, const Tensor& expected) {
    const Tensor a = result.astype(DType::float64).contiguous(),
                 b = expected.astype(DType::float64).contiguous();
    double largest = 0, most = 0;
    for (std::int64_t i = 0; i < b.size(); ++i) {
      const double d = std::abs(a.data<double>()[i] - b.data<double>()[i]);
      if (!(d <= most)) most = std::isnan(d) ? INFINITY : d;
      largest = std::max(largest, std::abs(b.data<double>()[i]));
    }
    return most == 0 ? 0 : most / largest;
  }

  bool agree(const Entrant& a, const Entrant& b) const {
    return difference(a.result, b.result) <= tolerance * (a.trial.error + b.trial.error);
  }

  /// The fastest whose result another one confirms. One that disagrees with the next two is wrong.
  Entrant* verified_winner() {
    std::vector<Entrant*> order;
    for (Entrant& entrant : entrants_) {
      if (entrant.trial.is_measured()) order.push_back(&entrant);
    }
    std::ranges::stable_sort(order, {}, [](const Entrant* entrant) { return entrant->trial.best(); });
    for (Entrant* entrant : order) {
      for (const Entrant* other : order) {
        if (other != entrant && agree(*entrant, *other)) return entrant;
      }
      if (p_.flops() > most_reference_flops && order.size() == 1) return entrant;  // nobody to ask
      if (p_.flops() <= most_reference_flops &&
          difference(entrant->result, reference()) <=
              tolerance * (entrant->trial.error + sequential_error(p_))) {
        return entrant;
      }
      entrant->trial.has_failed = true;
      entrant->trial.reason = "its result differs from the others'";
    }
    return nullptr;
  }

  /// As results lie.
  Tensor reference() const {
    const Tensor result = conv_reference(p_, first_, second_);
    return result.transpose(Shape(axes_into(p_.layouts.result, result.shape().size()))).contiguous();
  }

  const ConvProblem p_;
  double budget_ = 0;
  std::chrono::steady_clock::time_point begin_;
  const std::unique_ptr<CallTimer> timer_;
  Tensor first_, second_;
  std::vector<Entrant> entrants_;
};

}  // namespace

std::string progress_line(std::size_t done, std::size_t all, const std::string& what, std::size_t columns) {
  constexpr std::size_t cells = 20;
  const std::size_t full = all == 0 ? cells : cells * done / all;
  const std::string line = fmt::format("[{}{}] {} of {}  {}", std::string(full, '#'),
                                       std::string(cells - full, '.'), done, all, what);
  return line.substr(0, columns);
}

std::vector<std::unique_ptr<ConvContest>> prepare_contests(std::span<const ConvTask> tasks) {
  std::vector<std::unique_ptr<ConvContest>> contests;
  std::vector<std::pair<Contest*, std::size_t>> work;
  for (const ConvTask& task : tasks) {
    auto contest = std::make_unique<Contest>(task);
    for (std::size_t i = 0; i < contest->size(); ++i) work.emplace_back(contest.get(), i);
    contests.push_back(std::move(contest));
  }
  std::atomic<std::size_t> next{0};
  const auto compile_some = [&] {
    for (std::size_t i = next++; i < work.size(); i = next++) work[i].first->compile(work[i].second);
  };
  const std::size_t workers = std::min(work.size(), static_cast<std::size_t>(available_cores()));
  std::vector<std::jthread> threads;
  for (std::size_t i = 1; i < workers; ++i) threads.emplace_back(compile_some);
  compile_some();
  return contests;
}

}  // namespace croton
