#pragma once

#include <croton/croton.h>

#include <cstdint>
#include <string>
#include <vector>

/// The network of the deep-learning tutorial: two layers of convolution and max-pooling, a hidden layer,
/// logistic regression. Pooling comes before bias and tanh, which then work on a quarter of the elements.
class LeNet {
 public:
  /// `kernels`: filters of the two convolution layers. Weights are uniform in ±sqrt(6 / (fan_in + fan_out)),
  /// where a convolution's fan_out is divided by its pool's area (Glorot & Bengio 2010); biases and the last
  /// layer start at 0.
  LeNet(const std::vector<int>& kernels, std::uint64_t seed);

  /// log-probabilities are never formed: the optimizer finds the stable form. x: [n, 784], result [n, 10].
  croton::Variable probabilities(const croton::Variable& x) const;

  const std::vector<croton::SharedVariable>& parameters() const { return parameters_; }

 private:
  croton::SharedVariable add(const std::string& name, const croton::Tensor& value);
  std::vector<croton::SharedVariable> parameters_;
  std::vector<int> kernels_;
};

/// What the functions of training compute, over one batch: images x [n, 784], labels y [n].
struct TrainingStep {
  croton::Variable x, y;
  croton::Variable cost;    // the mean cross-entropy
  croton::Variable errors;  // how many labels are wrong
  std::vector<croton::Update> updates;

  /// Cost and updates, as a text form holds graphs.
  croton::TextGraph graph() const;
};
TrainingStep training_step(const LeNet& network, double learning_rate);
