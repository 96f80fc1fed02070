// Two moons: a network with one hidden layer, trained on full batches. Three functions, to predict, to
// compute the loss and to take a gradient step, share the same variables.

#include <croton/croton.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <random>
#include <utility>
#include <vector>

#include "../training/command_line.h"
#include "../training/results_folder.h"
#include "../training/svg.h"

using namespace croton;

namespace {

constexpr double l2 = 0.01;  // of the weights' squares, over the number of points

struct Points {
  Tensor x;  // float32[n, 2]
  Tensor y;  // int32[n]
};

/// Two half circles that reach into each other, with Gaussian noise: label 0 above, 1 below.
Points make_moons(std::int64_t count, double noise, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  const auto unit = [&] { return (static_cast<double>(engine() >> 11) + 0.5) * 0x1p-53; };
  const auto normal = [&] {  // Box and Muller
    return std::sqrt(-2 * std::log(unit())) * std::cos(2 * std::numbers::pi * unit());
  };
  Points points{Tensor::empty({count, 2}, DType::float32), Tensor::empty({count}, DType::int32)};
  const std::int64_t upper = count / 2;
  for (std::int64_t i = 0; i < count; ++i) {
    const bool below = i >= upper;
    const std::int64_t place = below ? i - upper : i;
    const std::int64_t places = below ? count - upper : upper;
    const double angle = std::numbers::pi * static_cast<double>(place) /
                         static_cast<double>(std::max<std::int64_t>(places - 1, 1));
    const double x = below ? 1 - std::cos(angle) : std::cos(angle);
    const double y = below ? 0.5 - std::sin(angle) : std::sin(angle);
    points.x.data<float>()[2 * i] = static_cast<float>(x + noise * normal());
    points.x.data<float>()[2 * i + 1] = static_cast<float>(y + noise * normal());
    points.y.data<std::int32_t>()[i] = below;
  }
  return points;
}

struct Network {
  Variable X = fmatrix("X"), y = ivector("y");
  SharedVariable W1, b1, W2, b2;
  Variable y_hat;
  Function forward_prop, predict, calculate_loss, gradient_step;
  std::vector<Update> descent;

  Network(std::int64_t hidden, double learning_rate, std::uint64_t seed) {
    std::mt19937_64 engine(seed);
    const auto weights = [&](std::int64_t in, std::int64_t out) {
      Tensor t = Tensor::empty({in, out}, DType::float32);
      const double bound = std::sqrt(3.0 / static_cast<double>(in));
      for (std::int64_t i = 0; i < in * out; ++i) {
        t.data<float>()[i] = static_cast<float>((static_cast<double>(engine() >> 11) * 0x1p-52 - 1) * bound);
      }
      return t;
    };
    W1 = shared(weights(2, hidden), "W1");
    b1 = shared(Tensor::zeros({hidden}, DType::float32), "b1");
    W2 = shared(weights(hidden, 2), "W2");
    b2 = shared(Tensor::zeros({2}, DType::float32), "b2");

    const Variable a1 = tanh(dot(X, W1) + b1);
    y_hat = softmax(dot(a1, W2) + b2);
    const Variable count = X.shape(0).astype(DType::float32);
    const Variable regularization = l2 / 2 / count * (sum(sqr(W1)) + sum(sqr(W2)));
    const Variable loss = mean(categorical_crossentropy(y_hat, y)) + regularization;
    const auto [gW2, gb2, gW1, gb1] = grad(loss, {W2, b2, W1, b1});

    forward_prop = function({X}, y_hat, {.name = "forward_prop"});
    predict = function({X}, argmax(y_hat, 1), {.name = "predict"});
    calculate_loss = function({X, y}, loss, {.name = "calculate_loss"});
    descent = {{W2, W2 - learning_rate * gW2},
               {W1, W1 - learning_rate * gW1},
               {b2, b2 - learning_rate * gb2},
               {b1, b1 - learning_rate * gb1}};
    gradient_step = function({X, y}, {}, {.updates = descent, .name = "gradient_step"});
  }
};

/// The points over the regions that the network tells apart.
void draw_boundary(const std::string& path, const Network& network, const Points& points) {
  constexpr int cells = 120;
  constexpr double size = 480, x_low = -1.8, x_high = 2.8, y_low = -1.5, y_high = 2.0;
  Tensor grid = Tensor::empty({cells * cells, 2}, DType::float32);
  for (int row = 0; row < cells; ++row) {
    for (int column = 0; column < cells; ++column) {
      float* at = grid.data<float>() + 2 * (row * cells + column);
      at[0] = static_cast<float>(x_low + (column + 0.5) / cells * (x_high - x_low));
      at[1] = static_cast<float>(y_high - (row + 0.5) / cells * (y_high - y_low));
    }
  }
  const Tensor probability = network.forward_prop(grid);
  Svg svg(size, size);
  const double cell = size / cells;
  for (int row = 0; row < cells; ++row) {
    for (int column = 0; column < cells; ++column) {
      const double p = probability.at<float>({row * cells + column, 1});
      const auto mix = [&](double from, double to) { return static_cast<int>(from + p * (to - from)); };
      svg.rectangle(column * cell, row * cell, cell + 0.3, cell + 0.3,
                    fmt::format("rgb({},{},{})", mix(244, 174), mix(178, 199), mix(168, 232)));
    }
  }
  for (std::int64_t i = 0; i < points.y.size(); ++i) {
    const double x = (points.x.at<float>({i, 0}) - x_low) / (x_high - x_low) * size;
    const double y = (y_high - points.x.at<float>({i, 1})) / (y_high - y_low) * size;
    svg.circle(x, y, points.y.size() > 1000 ? 1.5 : 3.5,
               points.y.at<std::int32_t>({i}) != 0 ? "#1f4e9c" : "#b03020");
  }
  svg.save(path);
}

void run(const std::string& folder, std::int64_t count, std::int64_t hidden, std::int64_t passes,
         double learning_rate, std::uint64_t seed, bool print_graph) {
  const Points points = make_moons(count, 0.20, seed);
  Network network(hidden, learning_rate, seed);
  fmt::print("{} points, {} hidden units, {} passes\n", count, hidden, passes);
  if (print_graph) {
    network.forward_prop(points.x);  // a function whose shapes are open is specialised by its first call
    debugprint(network.forward_prop);
  }
  std::fflush(stdout);
  network.gradient_step(points.x, points.y);
  const auto begin = std::chrono::steady_clock::now();
  for (std::int64_t pass = 1; pass < passes; ++pass) {
    network.gradient_step(points.x, points.y);
    if (passes >= 5 && pass % (passes / 5) == 0) {
      fmt::print("loss after pass {}: {:.6f}\n", pass,
                 network.calculate_loss(points.x, points.y).item<double>());
      std::fflush(stdout);
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const Tensor predicted = network.predict(points.x);
  std::int64_t right = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    right += predicted.at<std::int64_t>({i}) == points.y.at<std::int32_t>({i}) ? 1 : 0;
  }
  const std::string path = fmt::format("{}/moons_{}.svg", folder, count);
  draw_boundary(path, network, points);
  fmt::print("a gradient step takes {:.3f} ms\n",
             1000 * seconds / static_cast<double>(std::max<std::int64_t>(passes - 1, 1)));
  fmt::print("mean loss {:.4f}, training accuracy {:.2f} %, decision boundary in {}\n",
             network.calculate_loss(points.x, points.y).item<double>(),
             100.0 * static_cast<double>(right) / static_cast<double>(count), path);
}

/// Milliseconds of a gradient step on a device, with the points there too.
double step_milliseconds(const char* device, std::int64_t count, std::int64_t hidden, std::uint64_t seed) {
  const ConfigScope scope({{"device", device}});
  const Points points = make_moons(count, 0.20, seed);
  const Network network(hidden, 1.0, seed);
  const SharedVariable x = shared(points.x, "points"), y = shared(points.y, "labels");
  const Function step = function(
      {}, {},
      {.updates = network.descent, .givens = {{network.X, x}, {network.y, y}}, .name = "gradient_step"});
  const auto time_of = [&](int steps) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < steps; ++i) step();
    network.W1.get_value();  // waits for the device
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  time_of(5);
  int steps = 10;
  while (time_of(steps) < 0.2) steps *= 2;
  std::vector<double> times;
  for (int repeat = 0; repeat < 5; ++repeat) times.push_back(time_of(steps) / steps);
  std::sort(times.begin(), times.end());
  return 1000 * times[2];
}

/// One gradient step on the CPU and on the GPU.
void compare(std::uint64_t seed) {
  fmt::print("{:<32}{:>12}{:>12}{:>10}\n", "one gradient step", "CPU", "GPU", "times");
  for (const auto& [count, hidden] : {std::pair<std::int64_t, std::int64_t>{200, 3}, {5000, 1000}}) {
    const double cpu = step_milliseconds("cpu", count, hidden, seed);
    const double gpu = step_milliseconds("cuda", count, hidden, seed);
    fmt::print("{:<32}{:>9.4f} ms{:>9.4f} ms{:>10.1f}\n",
               fmt::format("{} points, {} hidden units", count, hidden), cpu, gpu, cpu / gpu);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string output = "moons-results", flags;
  std::uint64_t seed = 0;
  bool is_comparison = false;
  CLI::App app{"Trains a network with one hidden layer on two moons, small and large.", "moons"};
  app.add_option("--output", output, "folder for the drawings")->capture_default_str();
  app.add_option("--seed", seed, "of the points and the initial weights")
      ->capture_default_str()
      ->check(at_least(0));
  app.add_flag("--compare", is_comparison, "measure a gradient step on the CPU and on the GPU instead");
  app.add_option("--flags", flags, "Croton's flags: name=value,...");
  if (const auto code = read_arguments(app, argc, argv)) return *code;
  try {
    config().read_string(flags);
    (void)default_mode();  // throws now where a tag in the flags is unknown
    if (is_comparison) {
      compare(seed);
      return 0;
    }
    make_results_folder(output, "moons_200.svg");
    run(output, 200, 3, 20000, 1.0, seed, /*print_graph=*/true);
    fmt::print("\n");
    run(output, 5000, 1000, 3000, 1.0, seed, /*print_graph=*/false);
  } catch (const Error& e) {
    fmt::print(stderr, "moons: {}\n", e.what());
    return 2;
  }
}
