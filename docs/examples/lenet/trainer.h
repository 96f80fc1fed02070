#pragma once

#include <croton/croton.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "../training/digits.h"
#include "network.h"

struct Options {
  std::string data;
  std::string output = "lenet-results";
  std::string resume;
  std::string graph;
  std::string conv = "default";  // of conv_names()
  bool compare_conv = false;
  bool no_transfers = false;
  std::int64_t epochs = 200;
  std::int64_t batch_size = 500;
  std::vector<int> kernels = {20, 50};
  double learning_rate = 0.1;
  std::int64_t patience = 10000;
  std::uint64_t seed = 0;
};

/// Where training stands; saved with the parameters after every epoch, so that it can go on bit for bit.
struct TrainingState {
  std::int64_t epoch = 0;
  std::int64_t iteration = 0;
  std::int64_t patience = 0;
  double best_validation = 1;  // a fraction, as all errors
  std::int64_t best_iteration = 0;
  double test_at_best = 1;
  double seconds = 0;
  std::vector<std::pair<double, double>> validation_curve;  // (epoch, percent)
  std::vector<std::pair<double, double>> cost_curve;        // (epoch, mean cost)
};

/// Compiles the functions of a network and trains it by gradient descent in mini-batches, with early stopping
/// by patience: training goes on while the iteration is below the patience, which grows to twice the
/// iteration whenever the validation error falls below 0.995 of the best.
class Trainer {
 public:
  Trainer(const Options& options, const Digits& digits);
  /// Goes on from a file that save() wrote. croton::FileError or croton::ValueError where it does not fit.
  void resume(const std::string& path);
  void train();
  void save(const std::string& path) const;
  const TrainingState& state() const { return state_; }
  const LeNet& network() const { return network_; }
  const croton::Function& step() const { return step_; }

 private:
  double error_on(const croton::Function& errors, std::int64_t count) const;
  double cost_of_step(std::int64_t start);
  const Options& options_;
  LeNet network_;
  std::int64_t train_count_, validation_count_, test_count_;
  croton::Function step_, validation_errors_, test_errors_;
  TrainingState state_;
  bool has_stepped_ = false;
};
