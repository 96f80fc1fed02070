// LeNet on MNIST: a convolutional network, written against the C++ API, trained on real digits.

#include <croton/croton.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "../training/command_line.h"
#include "../training/example_data.h"
#include "../training/results_folder.h"
#include "../training/svg.h"
#include "compare.h"
#include "trainer.h"

using namespace croton;

namespace {

/// The filters of the first layer as grey squares, each scaled to its own range.
void draw_filters(const std::string& path, const Tensor& filters) {
  constexpr double cell = 14, gap = 10, side = 5 * cell, top = 30;
  const std::int64_t count = filters.shape()[0];
  const std::int64_t columns = std::min<std::int64_t>(count, 10);
  const std::int64_t rows = (count + columns - 1) / columns;
  const double width = std::max(520.0, static_cast<double>(columns) * (side + gap) + gap);
  Svg svg(width, top + static_cast<double>(rows) * (side + gap) + gap);
  svg.text(gap, 24, "First-layer filters, each from its least weight (black) to its largest (white)", 13);
  for (std::int64_t f = 0; f < count; ++f) {
    const Tensor filter = filters[f][0].contiguous();
    const auto values = filter.to_vector<float>();
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const float range = *high > *low ? *high - *low : 1;
    for (std::int64_t i = 0; i < 25; ++i) {
      const int grey =
          static_cast<int>(std::lround(255 * (values[static_cast<std::size_t>(i)] - *low) / range));
      svg.rectangle(
          gap + static_cast<double>(f % columns) * (side + gap) + static_cast<double>(i % 5) * cell,
          top + gap + static_cast<double>(f / columns) * (side + gap) + static_cast<double>(i / 5) * cell,
          cell, cell, fmt::format("rgb({0},{0},{0})", grey));
    }
  }
  svg.save(path);
}

void write_text(const std::string& path, const std::string& text) {
  OutputFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

/// What --graph writes: nothing is loaded or compiled for it.
int write_graph(const Options& options) {
  const TrainingStep step = training_step(LeNet(options.kernels, options.seed), options.learning_rate);
  write_text(options.graph, to_text(step.graph(), {.locations = true}));
  return 0;
}

int run(const Options& options) {
  if (!options.graph.empty()) return write_graph(options);
  const Digits digits = load_digits(options.data);
  fmt::print("digits from {}: {} to train on, {} to validate, {} to test\n", options.data,
             digits.train.count(), digits.validation.count(), digits.test.count());
  if (options.batch_size > digits.train.count()) {
    throw ValueError(fmt::format("--batch-size {} is more than the {} digits to train on", options.batch_size,
                                 digits.train.count()));
  }
  if (options.compare_conv) {
    compare_convolutions(options, digits);
    return 0;
  }
  Trainer trainer(options, digits);
  if (!options.resume.empty()) {
    trainer.resume(options.resume);
    fmt::print("going on from {}: epoch {}\n", options.resume, trainer.state().epoch);
  }
  make_results_folder(options.output, "lenet.npz");
  fmt::print(
      "network: convolutions of {} and {} filters, 500 hidden units; batches of {}, learning rate {}, seed "
      "{}\n",
      options.kernels[0], options.kernels[1], options.batch_size, options.learning_rate, options.seed);
  std::fflush(stdout);
  trainer.train();

  const TrainingState& state = trainer.state();
  const std::string& folder = options.output;
  plot_curves(folder + "/learning_curve.svg", "LeNet on MNIST", "epoch",
              "validation error in %, mean cost x 100",
              {{"validation error", "#c0392b", state.validation_curve},
               {"cost x 100", "#2c6fbb",
                [&] {
                  auto scaled = state.cost_curve;
                  for (auto& [epoch, cost] : scaled) cost *= 100;
                  return scaled;
                }()}},
              /*log_y=*/true);
  draw_filters(folder + "/filters.svg", trainer.network().parameters()[0].get_value());
  std::string written = "learning_curve.svg, filters.svg";
  if (const auto graph = trainer.step().plan_graph()) {  // not where there was nothing left to train
    write_text(folder + "/graph.txt", debugprint_text(*graph));
    written += ", lenet.npz, graph.txt";
  }
  fmt::print("wrote {} to {}\n", written, folder);
  fmt::print("Optimization complete.\n");
  if (options.no_transfers)
    fmt::print("No step but the first waited for a transfer, of {}\n", trainer.state().iteration);
  fmt::print("Best validation error of {:.2f} % obtained at iteration {}, with test error {:.2f} %\n",
             100 * state.best_validation, state.best_iteration, 100 * state.test_at_best);
  fmt::print("The code ran for {:.2f} minutes\n", state.seconds / 60);
  fmt::print("test error {:.2f} %\n", 100 * state.test_at_best);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.data = example_data("mnist");
  std::string flags;
  CLI::App app{"Trains LeNet on the MNIST digits.", "lenet"};
  app.add_option("--data", options.data, "folder with the four IDX files, gzipped or not")
      ->capture_default_str();
  app.add_option("--output", options.output, "folder for results")->capture_default_str();
  app.add_option("--epochs", options.epochs, "most passes over the training set")
      ->capture_default_str()
      ->check(at_least(1));
  app.add_option("--batch-size", options.batch_size, "digits a step")
      ->capture_default_str()
      ->check(at_least(1));
  app.add_option("--nkerns", options.kernels, "filters of the two convolution layers")
      ->delimiter(',')
      ->expected(2)
      ->capture_default_str()
      ->check(at_least(1));
  app.add_option("--learning-rate", options.learning_rate, "step size of gradient descent")
      ->capture_default_str();
  app.add_option("--patience", options.patience, "iterations to look at least")
      ->capture_default_str()
      ->check(at_least(1));
  app.add_option("--seed", options.seed, "of the initial weights")->capture_default_str()->check(at_least(0));
  app.add_option("--resume", options.resume, "go on from this .npz, bit for bit");
  app.add_option("--graph", options.graph,
                 "write the training step as it is built to this file, in the text form, and end");
  app.add_option("--conv", options.conv, "implementation of the convolutions, where it can be used")
      ->capture_default_str()
      ->check(CLI::IsMember(conv_names()));
  app.add_flag("--compare-conv", options.compare_conv,
               "measure a training step with every implementation, or with that of --conv beside the "
               "default, print a table and end");
  app.add_flag(
      "--no-transfers", options.no_transfers,
      "end with an error when a training step behind the first one waits for a copy from the GPU, or "
      "moves a variable to it");
  app.add_option("--flags", flags, "Croton's flags: name=value,...");
  if (const auto code = read_arguments(app, argc, argv)) return *code;
  try {
    config().read_string(flags);
    if (!options.compare_conv) use_convolution(options.conv);
    (void)default_mode();  // throws now, not minutes later, where a tag in the flags is unknown
    if (!std::isfinite(options.learning_rate) || options.learning_rate <= 0) {
      throw ValueError(
          fmt::format("--learning-rate {}: it must be a positive number", options.learning_rate));
    }
    return run(options);
  } catch (const Error& e) {
    fmt::print(stderr, "lenet: {}\n", e.what());
    return 2;
  }
}
