#include "trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "../training/progress.h"

using namespace croton;

namespace {

constexpr double improvement_threshold = 0.995;
constexpr std::int64_t patience_increase = 2;

/// A function of `start` and `stop` that runs on those digits of a set, which stays where it is: no digit is
/// copied.
Function on_slice(const DigitSet& set, const Variable& x, const Variable& y, const Variable& output,
                  std::vector<Update> updates, const std::string& name) {
  const SharedVariable images = shared(set.images, name + "_images", {.borrow = true});
  const SharedVariable labels = shared(set.labels, name + "_labels", {.borrow = true});
  const Variable start = lscalar("start"), stop = lscalar("stop");
  return function({start, stop}, output,
                  {.updates = std::move(updates),
                   .givens = {{x, images(slice(start, stop))}, {y, labels(slice(start, stop))}},
                   .name = name});
}

Tensor number(double value) { return Tensor(value); }

Tensor curve_tensor(const std::vector<std::pair<double, double>>& curve) {
  Tensor t = Tensor::empty({static_cast<std::int64_t>(curve.size()), 2}, DType::float64);
  for (std::size_t i = 0; i < curve.size(); ++i) {
    t.data<double>()[2 * i] = curve[i].first;
    t.data<double>()[2 * i + 1] = curve[i].second;
  }
  return t;
}

std::vector<std::pair<double, double>> curve_of(const Tensor& t) {
  std::vector<std::pair<double, double>> curve;
  for (std::int64_t i = 0; i < t.shape()[0]; ++i)
    curve.emplace_back(t.at<double>({i, 0}), t.at<double>({i, 1}));
  return curve;
}

}  // namespace

Trainer::Trainer(const Options& options, const Digits& digits)
    : options_(options),
      network_(options.kernels, options.seed),
      train_count_(digits.train.count()),
      validation_count_(digits.validation.count()),
      test_count_(digits.test.count()) {
  const TrainingStep step = training_step(network_, options.learning_rate);
  step_ = on_slice(digits.train, step.x, step.y, step.cost, step.updates, "train");
  validation_errors_ = on_slice(digits.validation, step.x, step.y, step.errors, {}, "validate");
  test_errors_ = on_slice(digits.test, step.x, step.y, step.errors, {}, "test");
  state_.patience = options.patience;
}

double Trainer::error_on(const Function& errors, std::int64_t count) const {
  std::int64_t wrong = 0;
  for (std::int64_t start = 0; start < count; start += options_.batch_size) {
    wrong += errors(start, std::min(start + options_.batch_size, count)).item<std::int64_t>();
  }
  return static_cast<double>(wrong) / static_cast<double>(count);
}

double Trainer::cost_of_step(std::int64_t start) {
  using Values = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  std::optional<ConfigScope> strict;
  if (options_.no_transfers && has_stepped_) strict.emplace(Values{{"transfers", "raise"}});
  has_stepped_ = true;
  return step_(start, start + options_.batch_size).item<double>();
}

void Trainer::train() {
  const std::int64_t batches = train_count_ / options_.batch_size;
  const std::int64_t validation_frequency =
      std::max<std::int64_t>(std::min(batches, options_.patience / 2), 1);
  const auto begin = std::chrono::steady_clock::now();
  const double seconds_before = state_.seconds;
  Progress progress(options_.epochs * batches, state_.iteration, "batches");
  bool stop = state_.iteration > 0 && state_.iteration >= state_.patience;
  while (state_.epoch < options_.epochs && !stop) {
    double cost = 0;
    double validation = -1;
    for (std::int64_t batch = 0; batch < batches && !stop; ++batch) {
      cost += cost_of_step(batch * options_.batch_size);
      progress.step();
      ++state_.iteration;
      if (state_.iteration % validation_frequency == 0) {
        validation = error_on(validation_errors_, validation_count_);
        if (validation < state_.best_validation) {
          if (validation < state_.best_validation * improvement_threshold) {
            state_.patience = std::max(state_.patience, state_.iteration * patience_increase);
          }
          state_.best_validation = validation;
          state_.best_iteration = state_.iteration;
          state_.test_at_best = error_on(test_errors_, test_count_);
        }
      }
      stop = state_.iteration >= state_.patience;
    }
    ++state_.epoch;
    const double mean_cost = cost / static_cast<double>(batches);
    state_.cost_curve.emplace_back(static_cast<double>(state_.epoch), mean_cost);
    std::string line = fmt::format("epoch {:3}/{}  cost {:.5f}", state_.epoch, options_.epochs, mean_cost);
    if (validation >= 0) {
      state_.validation_curve.emplace_back(static_cast<double>(state_.epoch), 100 * validation);
      line += fmt::format("  validation error {:.2f} %", 100 * validation);
    }
    if (state_.best_iteration > 0) {
      line += fmt::format("  best {:.2f} % (test {:.2f} %)", 100 * state_.best_validation,
                          100 * state_.test_at_best);
    }
    progress.note(line);
    state_.seconds =
        seconds_before + std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (!(mean_cost < 1e30)) {
      throw ValueError(fmt::format(
          "the cost became {} in epoch {}: training diverged; try a smaller --learning-rate than {}",
          mean_cost, state_.epoch, options_.learning_rate));
    }
    save(options_.output + "/lenet.npz");
  }
  if (stop)
    progress.note(fmt::format("stopped early: no better validation error for long enough (patience {})",
                              state_.patience));
}

void Trainer::save(const std::string& path) const {
  NamedTensors file;
  for (const SharedVariable& parameter : network_.parameters())
    file.add(parameter.name(), parameter.get_value());
  file.add("state", Tensor{static_cast<double>(state_.epoch), static_cast<double>(state_.iteration),
                           static_cast<double>(state_.patience), state_.best_validation,
                           static_cast<double>(state_.best_iteration), state_.test_at_best, state_.seconds});
  file.add("validation_curve", curve_tensor(state_.validation_curve));
  file.add("cost_curve", curve_tensor(state_.cost_curve));
  file.add("batch_size", number(static_cast<double>(options_.batch_size)));
  save_npz(path, file);
}

void Trainer::resume(const std::string& path) {
  const NamedTensors file = load_npz(path);
  const auto entry = [&](const std::string& name, const Shape& shape) -> const Tensor& {
    const Tensor& t = file.at(name);
    if (t.shape() != shape) {
      throw ValueError(
          fmt::format("{}: '{}' has shape {}, but this network needs {}: was it saved with another --nkerns?",
                      path, name, to_string(t.shape()), to_string(shape)));
    }
    return t;
  };
  std::vector<Tensor> values;
  for (const SharedVariable& parameter : network_.parameters()) {
    values.push_back(entry(parameter.name(), parameter.get_value(true).shape()));
  }
  const auto state = entry("state", {7}).astype(DType::float64).to_vector<double>();
  if (!std::ranges::all_of(state, [](double x) { return x >= 0 && x < 0x1p53; }))
    throw ValueError(fmt::format("{}: 'state' has values that no training leaves", path));
  if (entry("batch_size", {}).item<double>() != static_cast<double>(options_.batch_size)) {
    throw ValueError(fmt::format("{}: it was saved with --batch-size {}, not {}", path,
                                 file.at("batch_size").item<double>(), options_.batch_size));
  }
  const auto curve = [&](const std::string& name) {
    const Tensor& t = file.at(name);
    if (t.dtype() != DType::float64 || t.rank() != 2 || t.shape()[1] != 2) {
      throw ValueError(fmt::format("{}: '{}' is no curve: it is {} of {}, not float64 of (n, 2)", path, name,
                                   to_string(t.shape()), name_of(t.dtype())));
    }
    return curve_of(t);
  };
  state_.validation_curve = curve("validation_curve");
  state_.cost_curve = curve("cost_curve");
  for (std::size_t i = 0; i < values.size(); ++i)
    SharedVariable(network_.parameters()[i]).set_value(values[i]);
  state_.epoch = static_cast<std::int64_t>(state[0]);
  state_.iteration = static_cast<std::int64_t>(state[1]);
  state_.patience = std::max(static_cast<std::int64_t>(state[2]), options_.patience);
  state_.best_validation = state[3];
  state_.best_iteration = static_cast<std::int64_t>(state[4]);
  state_.test_at_best = state[5];
  state_.seconds = state[6];
}
