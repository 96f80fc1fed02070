// A share of everything that is computed on a device: every kind of kernel once for each class of dtypes,
// small enough to be watched by compute-sanitizer (tools/device_run). With the flag device at cpu it is one
// more comparison of functions with the reference.

#include <catch2/catch.hpp>

#include "croton/ops/evaluate.h"
#include "croton/runtime/croton.h"
#include "lowered.h"

using namespace croton;
using namespace croton::test;

namespace {

/// A function of inputs of these values computes what the reference does.
void check(const std::vector<Variable>& inputs, const std::vector<Tensor>& values, const Variable& expected,
           double rtol = 2e-5, double atol = 1e-5, const Mode& mode = default_mode()) {
  std::unordered_map<Variable, Tensor> by_input;
  for (std::size_t i = 0; i < inputs.size(); ++i) by_input.emplace(inputs[i], values[i]);
  const Tensor wanted = evaluate(expected, by_input);
  const Function f = function({inputs.begin(), inputs.end()}, expected, {.mode = mode});
  for (int call = 0; call < 3; ++call) {  // a device replays what it did from the third call on
    const Tensor got = f.call_all(values)[0];
    INFO("wanted\n" << wanted << "\ngot\n" << got);
    REQUIRE(got.dtype() == wanted.dtype());
    CHECK(allclose(got, wanted, rtol, atol, true));
  }
}

constexpr DType floating[] = {DType::float16, DType::bfloat16, DType::float32, DType::float64};
constexpr DType classes[] = {DType::float16, DType::bfloat16, DType::float32, DType::float64,
                             DType::int8,    DType::int32,    DType::int64,   DType::uint8};

/// The tensor, with another first element.
Tensor set_first(const Tensor& tensor, double value) {
  const Tensor wide = tensor.astype(DType::float64).copy();
  wide.data<double>()[0] = value;
  return wide.astype(tensor.dtype());
}

double tolerance(DType dtype) {
  return dtype == DType::float16 ? 4e-3 : dtype == DType::bfloat16 ? 3e-2 : 2e-5;
}

}  // namespace

TEST_CASE("a share of the elementwise kernels", "[runtime][device][gpu_share]") {
  for (const DType dtype : classes) {
    INFO(name_of(dtype));
    const Variable x = tensor(dtype, {unknown, unknown}), y = tensor(dtype, {unknown, unknown}),
                   row = tensor(dtype, {1, unknown});
    const std::vector<Tensor> values = {random_tensor({19, 37}, dtype, 1), random_tensor({19, 37}, dtype, 2),
                                        random_tensor({1, 37}, dtype, 3)};
    check({x, y, row}, values, (x + row) * y - x, tolerance(dtype), tolerance(dtype));
    check({x}, {values[0]}, x.T() + x.T(), tolerance(dtype), tolerance(dtype));
    check({x}, {values[0]}, sum(x, {0}), 5 * tolerance(dtype), 20 * tolerance(dtype));
    check({x}, {values[0]}, sum(x, {1}), 5 * tolerance(dtype), 20 * tolerance(dtype));
    check({x}, {values[0]}, max(x), tolerance(dtype));
    check({x}, {values[0]}, argmax(x, {1}), 0, 0);
    check({x, y}, {values[0], values[1]}, concatenate({x, y}, 1), 0, 0);
    check({x}, {values[0]}, x(slice(2, 17, 3), slice(none, none, -1)), 0, 0);
  }
}

TEST_CASE("a share of the large reductions", "[runtime][device][gpu_share]") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Variable x = tensor(dtype, {unknown, unknown});
    const Tensor value = random_tensor({300, 1025}, dtype, 4);
    check({x}, {value}, sum(sqr(x)), 1e-4);
    check({x}, {value}, mean(x, {0}), 1e-4, 1e-4);
    check({x}, {value}, max(x, {1}));
    check({x}, {value}, softmax(x));
    check({x}, {value}, log(sum(exp(x), {1})));
  }
}

TEST_CASE("a share of sums of columns that are computed together", "[runtime][device][gpu_share]") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const std::int64_t points : {1024, 1031}) {
      const Variable h = tensor(dtype, {unknown, unknown}), g = tensor(dtype, {unknown, unknown});
      const std::vector<Tensor> values = {random_tensor({points, 1030}, dtype, 38),
                                          random_tensor({points, 2}, dtype, 39)};
      const Variable d = h * sum(g, {1}, true);
      check({h, g}, values, concatenate({dot(h.T(), g).T(), dot(g.T(), d), sum(d, {0}, true)}, 0), 1e-4,
            2e-2);
    }
  }
}

TEST_CASE("a share of a network's kernels", "[runtime][device][gpu_share]") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Variable x = tensor(dtype, {unknown, unknown}), w = tensor(dtype, {unknown, unknown}),
                   b = tensor(dtype, {unknown}), y = ivector();
    const std::vector<Tensor> values = {random_tensor({33, 20}, dtype, 5), random_tensor({20, 10}, dtype, 6),
                                        random_tensor({10}, dtype, 7), Tensor::zeros({33}, DType::int32)};
    const Variable cost = mean(categorical_crossentropy(softmax(dot(x, w) + b), y));
    check({x, w, b, y}, values, cost);
    check({x, w, b, y}, values, grad(cost, w));
    check({x, w, b, y}, values, grad(cost, b));
    check({x, w}, {values[0], values[1]}, dot(x, w) + dot(tanh(x), w), 1e-4, 1e-4);
  }
}

TEST_CASE("a share of convolutions and pooling", "[runtime][device][gpu_share]") {
  const Variable x = ftensor4(), w = ftensor4();
  const std::vector<Tensor> values = {random_tensor({5, 3, 13, 12}, DType::float32, 8),
                                      random_tensor({7, 3, 3, 3}, DType::float32, 9)};
  const Variable y = conv2d(x, w, {.border_mode = 1, .subsample = {2, 2}});
  check(std::vector<Variable>{x, w}, values, y, 1e-4, 1e-4);
  check({x, w}, values, grad(sum(sqr(y)), x), 1e-4, 1e-3);
  check({x, w}, values, grad(sum(sqr(y)), w), 1e-4, 1e-3);
  for (const char* mode : {"max", "average_exc_pad"}) {
    const Variable pooled = pool_2d(x, {3, 3}, {.stride = {2, 2}, .mode = mode});
    check({x}, {values[0]}, pooled);
    check({x}, {values[0]}, grad(sum(sqr(pooled)), x), 1e-4, 1e-4);
  }
  // Windows side by side, whose maxima's places are kept: for a gradient, and for the filters' before them.
  const Tensor images = random_tensor({6, 1, 14, 12}, DType::float32, 12);
  const Tensor filters = random_tensor({9, 1, 5, 3}, DType::float32, 13);
  const Variable maxima = pool_2d(conv2d(x, w), {2, 2});
  check({x, w}, {images, filters}, grad(sum(sqr(maxima)), w), 1e-4, 1e-3);
  check({x}, {images}, grad(sum(sqr(pool_2d(x, {2, 3}))), x), 1e-5, 1e-5);
}

TEST_CASE("a share of indexing", "[runtime][device][gpu_share]") {
  const Variable x = fmatrix(), y = fmatrix(), i = lscalar();
  const std::vector<Tensor> values = {random_tensor({11, 6}, DType::float32, 10),
                                      random_tensor({4, 6}, DType::float32, 11), Tensor(std::int64_t{2})};
  check({x, i}, {values[0], values[2]}, x(slice(i, i + 5)) * 2);
  check({x, y}, {values[0], values[1]}, set_subtensor(x(slice(2, 10, 2)), y), 0, 0);
  check({x, y}, {values[0], values[1]}, inc_subtensor(x(slice(1, 5)), y));
}

TEST_CASE("a share of updates", "[runtime][device][gpu_share]") {
  const Tensor start = random_tensor({16, 9}, DType::float32, 12),
               value = random_tensor({16, 9}, DType::float32, 13);
  const SharedVariable state = shared(start, "state"), steps = shared(Tensor(std::int64_t{0}), "steps");
  const Variable x = fmatrix("x");
  const Function f = function({x}, sum(state), {.updates = {{state, 0.5 * state + x}, {steps, steps + 1}}});
  Tensor expected = start;
  const Variable old = fmatrix("old");
  for (int call = 0; call < 4; ++call) {
    CHECK(allclose(f(value), evaluate(sum(old), {{old, expected}}), 1e-4, 1e-4));
    expected = evaluate(0.5 * old + x, {{old, expected}, {x, value}});
  }
  CHECK(allclose(state.get_value(), expected, 1e-5, 1e-5));
  CHECK(steps.get_value().item<std::int64_t>() == 4);
}

TEST_CASE("a share of softmax and its kin in every floating dtype", "[runtime][device][gpu_share]") {
  for (const DType dtype : floating) {
    INFO(name_of(dtype));
    const double wide = 4 * tolerance(dtype);
    const Variable x = tensor(dtype, {unknown, unknown}), b = tensor(dtype, {unknown}), y = ivector();
    const std::vector<Tensor> values = {random_tensor({9, 33}, dtype, 14), random_tensor({33}, dtype, 15),
                                        Tensor::zeros({9}, DType::int32)};
    check({x, b}, {values[0], values[1]}, softmax(x + b), wide, wide);
    check({x}, {values[0]}, log_softmax(x), wide, wide);
    check({x}, {values[0]}, grad(sum(sqr(softmax(x))), x), wide, wide);
    check({x, y}, {values[0], values[2]}, categorical_crossentropy(softmax(x), y), wide, wide);
    check({x, b, y}, values, grad(mean(categorical_crossentropy(softmax(x + b), y)), x), wide, wide);
  }
}

TEST_CASE("a share of products in every floating dtype", "[runtime][device][gpu_share]") {
  for (const DType dtype : floating) {
    INFO(name_of(dtype));
    const double wide = 8 * tolerance(dtype);
    const Variable a = tensor(dtype, {unknown, unknown}), b = tensor(dtype, {unknown, unknown}),
                   v = tensor(dtype, {unknown}), u = tensor(dtype, {unknown});
    // A small one, a long thin one, large ones (float32: one of tensor cores); with a vector; of vectors.
    for (const auto& [m, k, n] :
         {std::tuple(5, 7, 3), {515, 2, 40}, {3, 300, 2}, {65, 129, 70}, {68, 260, 72}}) {
      check({a, b}, {random_tensor({m, k}, dtype, 16), random_tensor({k, n}, dtype, 17)}, dot(a, b), wide,
            16 * wide);
    }
    const Tensor square = random_tensor({256, 256}, dtype, 31), other = random_tensor({256, 256}, dtype, 32);
    check({a, b}, {square, other}, a - 0.5 * dot(b, a.T()), wide, 64 * wide);
    const Tensor matrix = random_tensor({40, 51}, dtype, 18), right = random_tensor({51}, dtype, 19),
                 left = random_tensor({40}, dtype, 20);
    check({a, v}, {matrix, right}, dot(a, v), wide, 16 * wide);
    check({a, v, u}, {matrix, right, left}, a + outer(u, v), wide, 4 * wide);
    check({a, v, u}, {matrix, right, left}, u + dot(a, v) * 0.5, wide, 16 * wide);
  }
}

TEST_CASE("a share of products with a bias and a relu", "[runtime][device][gpu_share]") {
  for (const char* precision : {"ieee", "tf32", "bf16"}) {
    const ConfigScope scope({{"precision", precision}});
    for (const DType dtype : floating) {
      INFO(name_of(dtype) << " " << precision);
      const double wide =
          dtype == DType::float32 && precision != std::string("ieee") ? 3e-2 : 8 * tolerance(dtype);
      const Variable a = tensor(dtype, {unknown, unknown}), b = tensor(dtype, {unknown, unknown}),
                     row = tensor(dtype, {unknown}), z = tensor(dtype, {unknown, unknown});
      for (const auto& [m, k, n] : {std::tuple(64, 72, 80), {35, 21, 27}, {64, 264, 72}}) {
        // NaN stays NaN.
        const Tensor left = set_first(random_tensor({m, k}, dtype, 33), std::nan(""));
        const std::vector<Tensor> values = {left, random_tensor({k, n}, dtype, 34),
                                            random_tensor({n}, dtype, 35), random_tensor({m, n}, dtype, 36)};
        const Variable product = dot(a, b);
        check({a, b, row}, {values[0], values[1], values[2]}, relu(product + row), wide, 32 * wide);
        check({a, b, row}, {values[0], values[1], values[2]}, product + row, wide, 32 * wide);
        check({a, b, z}, {values[0], values[1], values[3]}, relu(z + product), wide, 32 * wide);
        check({a, b, row}, {random_tensor({m, k}, dtype, 37), values[1], values[2]},
              grad(sum(sqr(relu(product + row))), b), 2 * wide, 64 * wide);
      }
    }
  }
}

TEST_CASE("a share of the implementations of convolutions", "[runtime][device][gpu_share]") {
  const ConfigScope scope({{"metaopt.max_error", "0.001"}});
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Variable x = tensor(dtype, {unknown, unknown, unknown, unknown}),
                   w = tensor(dtype, {unknown, unknown, unknown, unknown});
    const std::vector<Tensor> values = {random_tensor({3, 2, 11, 10}, dtype, 21),
                                        random_tensor({4, 2, 3, 3}, dtype, 22)};
    for (const std::string one : {"conv_legacy", "conv_fft", "conv_winograd"}) {
      INFO(one << " " << name_of(dtype));
      Mode mode = default_mode().including(one);
      for (const std::string other : {"conv_dnn", "conv_gemm", "conv_legacy", "conv_fft", "conv_winograd"}) {
        if (other != one) mode = mode.excluding(other);
      }
      const Variable y = conv2d(x, w, {.border_mode = 1});
      check({x, w}, values, y, 2e-3, 2e-3, mode);
      check({x, w}, values, grad(sum(sqr(y)), x), 2e-3, 2e-2, mode);
      check({x, w}, values, grad(sum(sqr(y)), w), 2e-3, 2e-2, mode);
    }
  }
}

TEST_CASE("a share of gradients that blocks fold", "[runtime][device][gpu_share]") {
  // As many images and filters as the default wants for it on a GPU.
  const Variable y = tensor(DType::float32, {128, 32, 9, 8}), w = tensor(DType::float32, {32, 3, 5, 5});
  check(
      {y, w},
      {random_tensor({128, 32, 9, 8}, DType::float32, 23), random_tensor({32, 3, 5, 5}, DType::float32, 24)},
      conv2d_grad_wrt_inputs(y, w, {128, 3, 13, 12}), 2e-5, 1e-4);
}

TEST_CASE("a share of pooling in every floating dtype", "[runtime][device][gpu_share]") {
  for (const DType dtype : floating) {
    INFO(name_of(dtype));
    const Variable x = tensor(dtype, {unknown, unknown, unknown, unknown});
    const Tensor value = random_tensor({2, 3, 9, 8}, dtype, 23);
    for (const char* mode : {"max", "sum", "average_inc_pad"}) {
      // Windows apart, and windows that overlap.
      for (const std::int64_t stride : {3, 2}) {
        const Variable pooled = pool_2d(x, {3, 3}, {.stride = {stride, stride}, .mode = mode});
        check({x}, {value}, pooled, 4 * tolerance(dtype), 8 * tolerance(dtype));
        check({x}, {value}, grad(sum(pooled), x), 4 * tolerance(dtype), 8 * tolerance(dtype));
      }
    }
  }
}

TEST_CASE("a share of random numbers", "[runtime][device][gpu_share]") {
  for (const DType dtype : {DType::float16, DType::float32, DType::float64}) {
    INFO(name_of(dtype));
    const auto draw = [&](const std::string& device) {
      RandomStreams streams(7);
      const Variable all =
          concatenate({streams.uniform({31, 5}, -1, 1, dtype), streams.normal({31, 5}, 0, 1, dtype)}, 1);
      const Function f =
          function({}, OutputList{Out(all), Out(streams.randint({17}, 0, 9))}, {.device = device});
      f();
      return f.call_all(std::vector<Tensor>{});
    };
    const Outputs expected = draw("cpu"), got = draw(std::string(config().device()));
    CHECK(allclose(got[0], expected[0], tolerance(dtype), tolerance(dtype)));
    CHECK(allclose(got[1], expected[1], 0, 0));
  }
}

TEST_CASE("a share of what makes tensors", "[runtime][device][gpu_share]") {
  for (const DType dtype : classes) {
    INFO(name_of(dtype));
    const Variable x = tensor(dtype, {unknown, unknown}), s = tensor(dtype, {});
    const Tensor value = random_tensor({7, 5}, dtype, 24), scalar = random_tensor({}, dtype, 25);
    check({x, s}, {value, scalar}, x + alloc(s, {7, 5}), tolerance(dtype), tolerance(dtype));
    check({x}, {value}, argmin(x, {0}), 0, 0);
    check({x}, {value}, min(x, {1}), 0, 0);
    check({x, s}, {value, scalar}, set_subtensor(x(slice(1, 6, 2)), s), 0, 0);
  }
}

TEST_CASE("a hundred training steps wait for no transfer once the first one has run", "[runtime][device]") {
  constexpr std::int64_t batch = 4, count = 40, classes = 3;
  const SharedVariable images = shared(random_tensor({count, 1, 10, 9}, DType::float32, 40), "images");
  const SharedVariable labels = shared(Tensor::zeros({count}, DType::int32), "labels");
  SharedVariable filters = shared(random_tensor({5, 1, 3, 3}, DType::float32, 41), "filters"),
                 weights = shared(random_tensor({5 * 4 * 3, classes}, DType::float32, 42), "weights");
  const Variable first = lscalar("first"), last = lscalar("last");
  const Variable hidden = tanh(pool_2d(conv2d(images(slice(first, last)), filters), {2, 2}));
  const Variable out = softmax(dot(flatten(hidden, 2), weights));
  const Variable cost = mean(categorical_crossentropy(out, labels(slice(first, last))));
  std::vector<Update> updates;
  for (const SharedVariable& p : {filters, weights}) updates.push_back({p, p - 0.1 * grad(cost, p)});
  const Function step = function({first, last}, cost, {.updates = updates});
  const auto cost_of = [&](std::int64_t i) {
    const std::int64_t from = i % (count / batch) * batch;
    return step(from, from + batch).item<double>();
  };
  const double before = cost_of(0);
  const ConfigScope strict({{"transfers", "raise"}});
  double after = 0;
  for (int i = 1; i <= 100; ++i) after = cost_of(i);
  CHECK(after < before);
}
