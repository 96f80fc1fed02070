
#include "numbers.h"
#include "workload.h"

using namespace croton;

namespace {

constexpr double learning_rate = 0.1;

std::vector<SharedVariable> share(const std::vector<Tensor>& values) {
  std::vector<SharedVariable> parameters;
  for (const Tensor& value : values) {
    parameters.push_back(shared(value, "p" + std::to_string(parameters.size()), {.shape = value.shape()}));
  }
  return parameters;
}

/// A step of gradient descent on `cost`. `result`: the cost, or nothing.
Program descend(const Variable& x, const Variable& y, const Variable& result, const Variable& cost,
                const std::vector<SharedVariable>& parameters, const std::vector<Tensor>& arguments) {
  const auto gradients = grad(cost, {parameters.begin(), parameters.end()});
  Program program{{x, y}, result, {}, "step", arguments};
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    program.updates.emplace_back(parameters[i], parameters[i] - learning_rate * gradients[i]);
  }
  return program;
}

/// Weights and biases of dense layers of these widths.
std::vector<Tensor> layers(Sizes widths) {
  std::vector<Tensor> values;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    values.push_back(weights({widths[i], widths[i + 1]}, widths[i], static_cast<std::uint32_t>(i + 1)));
    values.push_back(Tensor::zeros({widths[i + 1]}, DType::float32));
  }
  return values;
}

/// Images [batch, 1, 28, 28], two layers of convolution 5x5, max-pooling 2x2 and tanh, 500 hidden units, 10
/// classes. Sizes: batch, filters of the first layer, filters of the second.
Workload lenet_step(Sizes sizes) {
  const std::int64_t batch = sizes[0], first = sizes[1], second = sizes[2], features = second * 4 * 4;
  const Tensor images = uniform({batch, 1, 28, 28}, 5, 0, 1), targets = labels(batch, 10, 6);
  const std::vector<Tensor> values = {weights({first, 1, 5, 5}, 25, 1),
                                      Tensor::zeros({first}, DType::float32),
                                      weights({second, first, 5, 5}, first * 25, 2),
                                      Tensor::zeros({second}, DType::float32),
                                      weights({features, 500}, features, 3),
                                      Tensor::zeros({500}, DType::float32),
                                      weights({500, 10}, 500, 4),
                                      Tensor::zeros({10}, DType::float32)};
  const auto begin = Clock::now();
  const auto p = share(values);
  const auto layer = [](const Variable& in, const Variable& w, const Variable& b) {
    const Variable convolved = conv2d(in, w, {.filter_flip = false});
    return tanh(pool_2d(convolved, {2, 2}) + b.dimshuffle({'x', 0, 'x', 'x'}));
  };
  const Variable x = ftensor4("x"), y = ivector("y");
  Variable h = layer(layer(x, p[0], p[1]), p[2], p[3]);
  h = tanh(dot(h.flatten(2), p[4]) + p[5]);
  const Variable cost = mean(categorical_crossentropy(softmax(dot(h, p[6]) + p[7]), y));
  return workload_of(begin, descend(x, y, cost, cost, p, {images, targets}));
}

/// VGG-A: images [batch, 3, 224, 224], eight layers of convolution 3x3 with relu, five of them max-pooled
/// 2x2, and three dense ones. Sizes: batch.
Workload vgg_step(Sizes sizes) {
  struct Layer {
    std::int64_t filters;
    bool is_pooled;
  };
  constexpr Layer convolutions[] = {{64, true},   {128, true}, {256, false}, {256, true},
                                    {512, false}, {512, true}, {512, false}, {512, true}};
  constexpr std::int64_t widths[] = {512 * 7 * 7, 4096, 4096, 1000};
  const std::int64_t batch = sizes[0];
  const Tensor images = uniform({batch, 3, 224, 224}, 5, 0, 1), targets = labels(batch, 1000, 6);
  std::vector<Tensor> values;
  std::int64_t channels = 3;
  std::uint32_t seed = 0;
  for (const Layer& layer : convolutions) {
    values.push_back(weights({layer.filters, channels, 3, 3}, channels * 9, ++seed));
    values.push_back(Tensor::zeros({layer.filters}, DType::float32));
    channels = layer.filters;
  }
  for (std::size_t i = 0; i < 3; ++i) {
    values.push_back(weights({widths[i], widths[i + 1]}, widths[i], static_cast<std::uint32_t>(i) + 21));
    values.push_back(Tensor::zeros({widths[i + 1]}, DType::float32));
  }
  const auto begin = Clock::now();
  const auto p = share(values);
  const Variable x = ftensor4("x"), y = ivector("y");
  Variable h = x;
  std::size_t next = 0;
  for (const Layer& layer : convolutions) {
    const Variable convolved = conv2d(h, p[next], {.border_mode = 1, .filter_flip = false});
    h = relu(convolved + p[next + 1].dimshuffle({'x', 0, 'x', 'x'}));
    if (layer.is_pooled) h = pool_2d(h, {2, 2});
    next += 2;
  }
  h = h.flatten(2);
  h = relu(dot(h, p[next]) + p[next + 1]);
  h = relu(dot(h, p[next + 2]) + p[next + 3]);
  const Variable cost = mean(categorical_crossentropy(softmax(dot(h, p[next + 4]) + p[next + 5]), y));
  return workload_of(begin, descend(x, y, cost, cost, p, {images, targets}));
}

/// The network of two moons, one hidden layer and an L2 term. Sizes: points, hidden units.
Workload moons_step(Sizes sizes) {
  const std::int64_t points = sizes[0], widths[] = {2, sizes[1], 2};
  const Tensor rows = uniform({points, 2}, 10), targets = labels(points, 2, 11);
  const std::vector<Tensor> values = layers(widths);
  const auto begin = Clock::now();
  const auto p = share(values);
  const Variable x = fmatrix("x"), y = ivector("y");
  const Variable y_hat = softmax(dot(tanh(dot(x, p[0]) + p[1]), p[2]) + p[3]);
  const Variable loss = mean(categorical_crossentropy(y_hat, y)) +
                        0.01 / 2 / static_cast<double>(points) * (sum(sqr(p[0])) + sum(sqr(p[2])));
  Workload work = workload_of(begin, descend(x, y, Variable(), loss, p, {rows, targets}));
  work.check = [call = work.call, w = p[0]] {
    call();
    Tensor value = w.get_value();
    for (float& v : std::span(value.data<float>(), static_cast<std::size_t>(value.size()))) v = std::abs(v);
    return mean_of(value);
  };
  return work;
}

/// Dense layers with tanh between. Sizes: batch, then the widths from input to classes.
Workload mlp_step(Sizes sizes) {
  const std::int64_t batch = sizes[0];
  const Sizes widths = sizes.subspan(1);
  const Tensor rows = uniform({batch, widths.front()}, 10), targets = labels(batch, widths.back(), 11);
  const std::vector<Tensor> values = layers(widths);
  const auto begin = Clock::now();
  const auto p = share(values);
  const Variable x = fmatrix("x"), y = ivector("y");
  Variable h = x;
  for (std::size_t i = 0; i + 2 < p.size(); i += 2) h = tanh(dot(h, p[i]) + p[i + 1]);
  const Variable y_hat = softmax(dot(h, p[p.size() - 2]) + p.back());
  const Variable cost = mean(categorical_crossentropy(y_hat, y));
  Workload work = workload_of(begin, descend(x, y, cost, cost, p, {rows, targets}));
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    // Forward, by weights, and by inputs but for the first layer, whose input needs no gradient.
    const double product = 2.0 * static_cast<double>(batch * widths[i] * widths[i + 1]);
    work.operations += (i == 0 ? 2 : 3) * product;
  }
  return work;
}

}  // namespace

std::span<const Kind> network_kinds() {
  static constexpr Kind kinds[] = {{"lenet_step", 3, lenet_step},
                                   {"vgg_step", 1, vgg_step},
                                   {"moons_step", 2, moons_step},
                                   {"mlp_step", 3, mlp_step}};
  return kinds;
}
