#include "network.h"

#include <cmath>
#include <random>
#include <span>

using namespace croton;

namespace {

/// Uniform in [-bound, bound); the same numbers with every standard library.
Tensor uniform(const Shape& shape, double bound, std::mt19937_64& engine) {
  Tensor t = Tensor::empty(shape, DType::float32);
  for (float& x : std::span(t.data<float>(), static_cast<std::size_t>(t.size()))) {
    const double unit = static_cast<double>(engine() >> 11) * 0x1p-53;
    x = static_cast<float>((2 * unit - 1) * bound);
  }
  return t;
}

}  // namespace

LeNet::LeNet(const std::vector<int>& kernels, std::uint64_t seed) : kernels_(kernels) {
  std::mt19937_64 engine(seed);
  constexpr int filter = 5, pool = 2, hidden = 500, classes = 10;
  const auto convolution = [&](const std::string& name, int in, int out) {
    const double fan_in = in * filter * filter;
    const double fan_out = static_cast<double>(out) * filter * filter / (pool * pool);
    add("W" + name, uniform({out, in, filter, filter}, std::sqrt(6 / (fan_in + fan_out)), engine));
    add("b" + name, Tensor::zeros({out}, DType::float32));
  };
  convolution("0", 1, kernels[0]);
  convolution("1", kernels[0], kernels[1]);
  const int features = kernels[1] * 4 * 4;
  add("W2", uniform({features, hidden}, std::sqrt(6.0 / (features + hidden)), engine));
  add("b2", Tensor::zeros({hidden}, DType::float32));
  add("W3", Tensor::zeros({hidden, classes}, DType::float32));
  add("b3", Tensor::zeros({classes}, DType::float32));
}

SharedVariable LeNet::add(const std::string& name, const Tensor& value) {
  parameters_.push_back(shared(value, name, {.shape = value.shape()}));
  return parameters_.back();
}

Variable LeNet::probabilities(const Variable& x) const {
  const auto& p = parameters_;
  const auto layer = [](const Variable& in, const Variable& W, const Variable& b) {
    const Variable pooled = pool_2d(conv2d(in, W), {2, 2});
    return tanh(pooled + b.dimshuffle({'x', 0, 'x', 'x'}));
  };
  Variable h = x.reshape({-1, 1, 28, 28});
  h = layer(h, p[0], p[1]);
  h = layer(h, p[2], p[3]);
  h = tanh(dot(h.flatten(2), p[4]) + p[5]);
  return softmax(dot(h, p[6]) + p[7]);
}

TrainingStep training_step(const LeNet& network, double learning_rate) {
  TrainingStep step;
  step.x = fmatrix("x");
  step.y = ivector("y");
  Variable p = network.probabilities(step.x);
  p.set_name("p");
  step.cost = mean(categorical_crossentropy(p, step.y));
  step.cost.set_name("cost");
  step.errors = sum(neq(argmax(p, 1), step.y));
  const std::vector<Variable> parameters(network.parameters().begin(), network.parameters().end());
  const std::vector<Variable> gradients = grad(step.cost, parameters);
  for (std::size_t i = 0; i < parameters.size(); ++i)
    step.updates.push_back({parameters[i], parameters[i] - learning_rate * gradients[i]});
  return step;
}

TextGraph TrainingStep::graph() const {
  TextGraph graph{"lenet_step", {x, y}, {cost}};
  for (const Update& update : updates)
    graph.updates.emplace_back(update.target, update.expression.variable());
  return graph;
}
