#include "croton/ops/conv3d.h"

#include <catch2/catch.hpp>
#include <random>

#include "croton/croton.h"
#include "croton/ops/conv_problem.h"
#include "croton/ops/evaluate.h"
#include "lowered.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

struct VolumeCase {
  Shape image, filters;
  Conv3dOptions options;
};

VolumeCase random_volume_case(std::mt19937& random) {
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(high - low + 1));
  };
  VolumeCase c;
  const std::int64_t groups = pick(1, 3) == 1 ? 2 : 1;
  c.options.num_groups = groups;
  c.options.filter_flip = random() % 2 == 0;
  c.image = {pick(1, 3), groups * pick(1, 3), 0, 0, 0};
  c.filters = {groups * pick(1, 3), c.image[1] / groups, 0, 0, 0};
  std::vector<ConvPad> pads;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    c.options.subsample[axis] = pick(1, 2);
    c.options.filter_dilation[axis] = pick(1, 2);
    c.filters[2 + axis] = pick(1, 3);
    const std::int64_t reach = (c.filters[2 + axis] - 1) * c.options.filter_dilation[axis] + 1;
    pads.emplace_back(pick(0, 2), pick(0, 2));
    c.image[2 + axis] = pick(std::max<std::int64_t>(1, reach - pads.back().lo - pads.back().hi), reach + 5);
  }
  c.options.border_mode = BorderMode(pads);
  return c;
}

/// A function of two operands against the reference evaluator.
void check_expression(const Variable& a, const Variable& b, const Variable& y, const Tensor& first,
                      const Tensor& second) {
  const Tensor expected =
      function({a, b}, y, {.mode = Mode("None"), .on_unused_input = OnUnusedInput::ignore})(first, second);
  const Tensor got = function({a, b}, y, {.on_unused_input = OnUnusedInput::ignore})(first, second);
  CHECK(allclose(got, expected, 1e-4, 1e-4));
}

}  // namespace

TEST_CASE("conv3d and its gradients are sums of planes", "[ops][conv][conv3d]") {
  std::mt19937 random(60);
  for (int i = 0; i < random_cases(25); ++i) {
    const VolumeCase c = random_volume_case(random);
    const Variable x = tensor(DType::float32, c.image, "x"), w = tensor(DType::float32, c.filters, "w");
    const Variable y = conv3d(x, w, c.options);
    const Tensor image = random_tensor(c.image, DType::float32, random()),
                 filters = random_tensor(c.filters, DType::float32, random()),
                 gradient = random_tensor(y.type().shape, DType::float32, random());
    INFO(to_string(conv_problem(*y.node())));
    check_expression(x, w, y, image, filters);
    const Variable gy = tensor(DType::float32, gradient.shape(), "gy");
    const Variable gx = grad(none, x, {.known_grads = {{y, gy}}}),
                   gw = grad(none, w, {.known_grads = {{y, gy}}});
    check_expression(w, gy, gx, filters, gradient);
    check_expression(x, gy, gw, image, gradient);
  }
}

TEST_CASE("conv3d with float64, unknown shapes and the functions for its gradients", "[ops][conv][conv3d]") {
  const Variable x = tensor(DType::float64, Shape::filled(5, unknown), "x"),
                 w = tensor(DType::float64, Shape::filled(5, unknown), "w");
  const Tensor image = random_tensor({2, 3, 5, 6, 7}, DType::float64, 1),
               filters = random_tensor({4, 3, 2, 3, 3}, DType::float64, 2);
  const Conv3dOptions half{.border_mode = "half"};
  check_expression(x, w, conv3d(x, w, half), image, filters);
  const Variable gx = conv3d_grad_wrt_inputs(x, w, {2, 3, 5, 6, 7}, {.border_mode = "half"});
  check_expression(x, w, gx, random_tensor({2, 4, 6, 6, 7}, DType::float64, 3), filters);
  const Variable gw = conv3d_grad_wrt_weights(x, w, {4, 3, 2, 3, 3}, {.border_mode = "half"});
  check_expression(x, w, gw, image, random_tensor({2, 4, 6, 6, 7}, DType::float64, 4));
  CHECK_THROWS_AS(conv3d(x, w, {.border_mode = {1, 2}}), ValueError);
  CHECK_THROWS_WITH(conv3d_grad_wrt_inputs(x, w, {2, 3, 5, 6}), Catch::Contains("it needs 5"));
}

TEST_CASE("transposed, separable and causal convolutions", "[ops][conv]") {
  const Variable x = ftensor4("x"), w = ftensor4("w");
  const Tensor image = random_tensor({2, 6, 5, 5}, DType::float32, 1);
  const Tensor filters = random_tensor({6, 3, 3, 3}, DType::float32, 2);
  const Function transpose = function({x, w}, conv2d_transpose(x, w, {2, 3, 11, 11}, {.subsample = {2, 2}}));
  CHECK(transpose(image, filters)[0].to_host().shape() == Shape{2, 3, 11, 11});
  // The transpose of what takes [2, 3, 11, 11] to [2, 6, 5, 5]: the inner products agree.
  const Tensor other = random_tensor({2, 3, 11, 11}, DType::float32, 3);
  const Tensor there = function({x, w}, conv2d(x, w, {.subsample = {2, 2}}))(other, filters);
  const Tensor back = transpose(image, filters);
  double left = 0, right = 0;
  for (std::int64_t i = 0; i < there.size(); ++i) left += there.data<float>()[i] * image.data<float>()[i];
  for (std::int64_t i = 0; i < back.size(); ++i) right += back.data<float>()[i] * other.data<float>()[i];
  CHECK(left == Approx(right).epsilon(1e-4));

  const Variable depthwise = ftensor4("d"), pointwise = ftensor4("p");
  const Tensor d = random_tensor({12, 1, 3, 3}, DType::float32, 4),
               p = random_tensor({5, 12, 1, 1}, DType::float32, 5);
  const Tensor separable =
      function({x, depthwise, pointwise}, separable_conv2d(x, depthwise, pointwise, 6, {.border_mode = 1}))(
          image, d, p);
  const Tensor inner =
      function({x, depthwise}, conv2d(x, depthwise, {.border_mode = 1, .num_groups = 6}))(image, d);
  const Tensor expected = function({x, pointwise}, conv2d(x, pointwise))(inner, p);
  CHECK(allclose(separable, expected, 1e-4, 1e-4));

  const Variable signal = ftensor3("s"), taps = tensor(DType::float32, {2, 1, 3}, "t");
  const Tensor causal = function({signal, taps}, causal_conv1d(signal, taps, 1, false, 2))(
      Tensor({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}).reshape({1, 1, 6}),
      Tensor({1.f, 10.f, 100.f, 0.f, 0.f, 1.f}).reshape({2, 1, 3}));
  CHECK(causal.reshape({12}).to_vector<float>() ==
        std::vector<float>{100, 200, 310, 420, 531, 642, 1, 2, 3, 4, 5, 6});
  // Filters whose length their type does not say, as those of a shared variable.
  const Tensor noise = random_tensor({2, 3, 11}, DType::float32, 6),
               values = random_tensor({4, 3, 4}, DType::float32, 7);
  const SharedVariable open = shared(values, "open");
  const Variable known = tensor(DType::float32, {4, 3, 4}, "known");
  for (const std::int64_t step : {1, 2, 3}) {
    for (const std::int64_t length : {11, 2, 1}) {
      const Tensor part = noise.slice(2, 0, length).contiguous();
      const Tensor said =
          function({signal, known}, causal_conv1d(signal, known, step, true, 2))(part, values);
      const Tensor found = function({signal}, causal_conv1d(signal, open, step, true, 2))(part);
      CHECK(found.shape() == Shape{2, 4, (length + step - 1) / step});
      CHECK(allclose(found, said, 1e-5, 1e-5));
    }
  }
}

TEST_CASE("convolutions by other conventions", "[ops][conv]") {
  // signal::conv2d has no channels.
  const Tensor image = random_tensor({3, 7, 6}, DType::float32, 1),
               filters = random_tensor({2, 3, 2}, DType::float32, 2);
  const Variable x = ftensor3("x"), w = ftensor3("w"), plane = fmatrix("p"), kernel = fmatrix("k");
  const Tensor y = function({x, w}, signal::conv2d(x, w))(image, filters);
  REQUIRE(y.shape() == Shape{3, 2, 5, 5});
  const Tensor one = function({plane, kernel}, signal::conv2d(plane, kernel))(image[1].contiguous(),
                                                                              filters[1].contiguous());
  CHECK(allclose(one, y[1][1], 1e-5, 1e-5));
  const Tensor images =
      function({x, kernel}, signal::conv2d(x, kernel, "full"))(image, filters[0].contiguous());
  CHECK(images.shape() == Shape{3, 9, 7});
  CHECK_THROWS_AS(signal::conv2d(fvector("v"), kernel), TypeError);

  // conv3D: channels last, a bias, strides, no flip.
  const Variable V = ftensor5("V"), W = ftensor5("W"), b = fvector("b"), H = ftensor5("H");
  const Tensor v = random_tensor({2, 6, 5, 4, 3}, DType::float32, 3),
               k = random_tensor({4, 2, 3, 2, 3}, DType::float32, 4),
               bias = random_tensor({4}, DType::float32, 5);
  const std::array<std::int64_t, 3> d{2, 1, 2};
  const Tensor h = function({V, W, b}, conv3D(V, W, b, d))(v, k, bias);
  REQUIRE(h.shape() == Shape{2, 3, 3, 2, 4});
  double expected = bias.at<float>({3});
  for (std::int64_t r = 0; r < 2; ++r)
    for (std::int64_t c = 0; c < 3; ++c)
      for (std::int64_t t = 0; t < 2; ++t)
        for (std::int64_t z = 0; z < 3; ++z)
          expected += v.at<float>({1, 2 + r, 1 + c, 2 + t, z}) * k.at<float>({3, r, c, t, z});
  CHECK(h.at<float>({1, 1, 1, 1, 3}) == Approx(expected).epsilon(1e-4));
  // Its partners are its gradients.
  const Variable out = conv3D(V, W, b, d);
  const Tensor g = random_tensor(h.shape(), DType::float32, 6), no_bias = Tensor::zeros({3});
  const auto gradient = [&](const Variable& wrt) {
    return function({V, W, b, H}, grad(none, wrt, {.known_grads = {{out, H}}}),
                    {.on_unused_input = OnUnusedInput::ignore})(v, k, bias, g)[0]
        .to_host();
  };
  CHECK(allclose(function({V, H}, convGrad3D(V, d, {4, 2, 3, 2, 3}, H))(v, g)[0], gradient(W), 1e-4, 1e-4));
  CHECK(allclose(function({W, b, H}, convTransp3D(W, b, d, H, {6, 5, 4}))(k, no_bias, g)[0], gradient(V),
                 1e-4, 1e-4));

  // conv3d2d::conv3d has the time before the channels.
  const Variable s = ftensor5("s"), f = ftensor5("f");
  const Tensor signals = random_tensor({2, 5, 3, 6, 6}, DType::float32, 7),
               bank = random_tensor({4, 2, 3, 3, 3}, DType::float32, 8);
  const Tensor merged = function({s, f}, conv3d2d::conv3d(s, f))(signals, bank);
  const Tensor plain = function({s, f}, conv3d(s, f))(signals.transpose({0, 2, 1, 3, 4}).contiguous(),
                                                      bank.transpose({0, 2, 1, 3, 4}).contiguous());
  CHECK(allclose(merged, plain.transpose({0, 2, 1, 3, 4}), 1e-5, 1e-5));
}

TEST_CASE("convolutions by one implementation compute what conv2d does", "[runtime][conv]") {
  const Variable x = tensor4("x"), w = tensor4("w");
  const ConfigScope scope({{"metaopt.max_error", "1e-5"}});
  for (const std::int64_t width : {7, 8}) {
    const Tensor image = random_tensor({2, 3, 9, width}, DType::float32, 1),
                 filters = random_tensor({4, 3, 3, 2}, DType::float32, 2);
    for (const char* border_mode : {"valid", "full", "half"}) {
      const Tensor expected = function({x, w}, conv2d(x, w, {.border_mode = border_mode}))(image, filters);
      for (const bool pad_last_dim : {false, true}) {
        CHECK(allclose(function({x, w}, conv2d_fft(x, w, std::nullopt, std::nullopt, border_mode,
                                                   pad_last_dim))(image, filters),
                       expected, 1e-4, 1e-4));
      }
      CHECK(allclose(
          function({x, w}, corr_mm(x, w, {.border_mode = border_mode}))(image, filters),
          function({x, w}, conv2d(x, w, {.border_mode = border_mode, .filter_flip = false}))(image, filters),
          1e-4, 1e-4));
    }
  }
}

TEST_CASE("corr3d_mm is the correlation that conv3d computes without flipping", "[runtime][conv]") {
  const Variable x = tensor5("x"), w = tensor5("w");
  const Tensor image = random_tensor({2, 3, 5, 6, 7}, DType::float32, 1),
               filters = random_tensor({4, 3, 2, 3, 2}, DType::float32, 2);
  for (const char* border_mode : {"valid", "full"}) {
    const Variable by_gemm = corr3d_mm(x, w, {.border_mode = border_mode});
    const Variable any = conv3d(x, w, {.border_mode = border_mode, .filter_flip = false});
    const auto with_gradients = [&](const Variable& y) {
      const Variable cost = sum(sqr(y));
      return std::vector<Out>{y, grad(cost, x), grad(cost, w)};
    };
    const auto expected = function({x, w}, with_gradients(any))(image, filters);
    const Function f = function({x, w}, with_gradients(by_gemm));
    const auto found = f(image, filters);
    for (std::size_t i = 0; i < 3; ++i) CHECK(allclose(found[i], expected[i], 1e-3, 1e-3));
    CHECK_THAT(debugprint_text(*f.plan_graph()),
               Catch::Contains("CorrMM") && !Catch::Contains("DirectConv") && !Catch::Contains("DnnConv"));
    const Function reference = function({x, w}, by_gemm, {.mode = Mode("None")});
    CHECK(allclose(reference(image, filters), expected[0], 1e-4, 1e-4));
  }
}

TEST_CASE("names of 3-D convolutions in a query reach the parts of one direction", "[runtime][conv]") {
  const Variable x = tensor(DType::float32, {2, 3, 5, 6, 7}, "x"),
                 w = tensor(DType::float32, {4, 3, 2, 3, 2}, "w");
  const Variable y = conv3d(x, w, {.border_mode = "half"});
  const Tensor image = random_tensor(x.type().shape, DType::float32, 1),
               filters = random_tensor(w.type().shape, DType::float32, 2),
               gradient = random_tensor(y.type().shape, DType::float32, 3);
  const Variable gy = tensor(DType::float32, gradient.shape(), "gy");
  struct Direction {
    std::string name;
    Variable a, b, result;
    Tensor first, second;
  };
  const Direction directions[] = {
      {"conv3d", x, w, y, image, filters},
      {"convgrad3d", x, gy, grad(none, w, {.known_grads = {{y, gy}}}), image, gradient},
      {"convtransp3d", w, gy, grad(none, x, {.known_grads = {{y, gy}}}), filters, gradient}};
  // The error of fft does not matter here.
  const ConfigScope scope({{"metaopt.max_error", "1e-4"}});
  for (const auto& [implementation, op] : {std::pair{"fft", "FftConv"}, std::pair{"gemm", "CorrMM"}}) {
    for (const Direction& direction : directions) {
      const Tensor expected = function({direction.a, direction.b}, direction.result,
                                       {.mode = Mode("None"), .on_unused_input = OnUnusedInput::ignore})(
          direction.first, direction.second);
      for (const Direction& named : directions) {
        const std::string name = named.name + "_" + implementation;
        CAPTURE(name, direction.name);
        const Function f =
            function({direction.a, direction.b}, direction.result,
                     {.mode = default_mode().including(name), .on_unused_input = OnUnusedInput::ignore});
        CHECK(allclose(f(direction.first, direction.second), expected, 1e-4, 1e-4));
        const std::string graph = debugprint_text(*f.plan_graph());
        CHECK((graph.find(op) != std::string::npos) == (named.name == direction.name));
        if (named.name == direction.name)
          CHECK_THAT(graph, !Catch::Contains("DnnConv") && !Catch::Contains("DirectConv"));
      }
    }
  }
}
