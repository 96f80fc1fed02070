#include "croton/ops/conv.h"

#include <catch2/catch.hpp>
#include <random>

#include "conv_cases.h"
#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/conv_problem.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/grad.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/verify_grad.h"
#include "nodes.h"
#include "random_cases.h"

using namespace croton;
using Catch::Matchers::Contains;
using test::label;

namespace {

// The definition, step by step: pad the image, spread the filter out by the dilation, turn it around, slide
// it.
Tensor plain_conv(const ConvProblem& p, const Tensor& image, const Tensor& filters) {
  const std::int64_t h = p.image[0] + p.pad_lo[0] + p.pad_hi[0], w = p.image[1] + p.pad_lo[1] + p.pad_hi[1];
  const Tensor padded = Tensor::zeros({p.batch, p.channels, h, w}, DType::float64);
  padded.slice(2, p.pad_lo[0], p.pad_lo[0] + p.image[0])
      .slice(3, p.pad_lo[1], p.pad_lo[1] + p.image[1])
      .assign(image);
  const std::int64_t kh = p.dilated_kernel(0), kw = p.dilated_kernel(1);
  Tensor spread = Tensor::zeros({p.filters, p.channels / p.groups, kh, kw}, DType::float64);
  spread.slice(2, {}, {}, p.dilation[0]).slice(3, {}, {}, p.dilation[1]).assign(filters);
  if (p.flip) spread = spread.slice(2, {}, {}, -1).slice(3, {}, {}, -1);
  const Tensor result = Tensor::zeros(p.out_shape(), DType::float64);
  const std::int64_t per_group = p.channels / p.groups;
  for_each_index(result.shape(), [&](const Shape& at) {
    double total = 0;
    for (std::int64_t c = 0; c < per_group; ++c) {
      const std::int64_t channel = at[1] / (p.filters / p.groups) * per_group + c;
      for (std::int64_t u = 0; u < kh; ++u) {
        for (std::int64_t v = 0; v < kw; ++v) {
          total += padded.at<double>({at[0], channel, at[2] * p.stride[0] + u, at[3] * p.stride[1] + v}) *
                   spread.at<double>({at[1], c, u, v});
        }
      }
    }
    result.at<double>(at) = total;
  });
  return result;
}

double inner(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  double total = 0;
  for (std::size_t i = 0; i < x.size(); ++i) total += x[i] * y[i];
  return total;
}

Variable open(DType dtype, const char* name) { return tensor(dtype, Shape::filled(4, unknown), name); }

}  // namespace

TEST_CASE("conv2d is the definition, for every border mode, stride, dilation and grouping", "[ops][conv]") {
  std::mt19937 random(21);
  for (int i = 0; i < test::random_cases(600); ++i) {
    const test::ConvCase c = test::random_conv_case(random);
    const Tensor image = test::small_integers(random, c.image, DType::float64);
    const Tensor filters = test::small_integers(random, c.filters, DType::float64);
    const Variable x = tensor(DType::float64, c.image), w = tensor(DType::float64, c.filters);
    const Variable y = conv2d(x, w, c.options);
    const ConvProblem p = conv_problem(*y.node());
    INFO(to_string(p));
    const Tensor result = evaluate(y, {{x, image}, {w, filters}});
    REQUIRE(result.shape() == y.type().shape);
    CHECK(equal(result, plain_conv(p, image, filters)));
    // Without knowledge of the shapes the same is computed, and strides do not matter.
    const Variable a = open(DType::float64, "a"), b = open(DType::float64, "b");
    const Tensor swapped = image.transpose({1, 3, 2, 0}).copy().transpose({3, 0, 2, 1});
    CHECK(equal(evaluate(conv2d(a, b, c.options), {{a, swapped}, {b, filters}}), result));
  }
}

TEST_CASE("The gradients of conv2d are its adjoints", "[ops][conv][grad]") {
  std::mt19937 random(22);
  for (int i = 0; i < test::random_cases(400); ++i) {
    const test::ConvCase c = test::random_conv_case(random);
    const bool is_static = random() % 2;
    const auto type = [&](const Shape& shape) { return is_static ? shape : Shape::filled(4, unknown); };
    const Variable x = tensor(DType::float64, type(c.image), "x"),
                   w = tensor(DType::float64, type(c.filters), "w");
    const Variable y = conv2d(x, w, c.options);
    const Variable gy = tensor(DType::float64, y.type().shape, "gy");
    std::unordered_map<Variable, Tensor> values = {
        {x, test::small_integers(random, c.image, DType::float64)},
        {w, test::small_integers(random, c.filters, DType::float64)}};
    const Tensor out = evaluate(y, values);
    values[gy] = test::small_integers(random, out.shape(), DType::float64);
    const auto gradients = grad(none, {x, w}, {.known_grads = {{y, gy}}});
    const std::vector<Tensor> result = evaluate(std::vector<Variable>{gradients[0], gradients[1]}, values);
    CHECK(result[0].shape() == c.image);
    CHECK(result[1].shape() == c.filters);
    // <conv(x, w), gy> = <x, gx> = <w, gw>, exactly: all numbers are whole.
    const double product = inner(out, values[gy]);
    CHECK(inner(values[x], result[0]) == product);
    CHECK(inner(values[w], result[1]) == product);
    if (is_static) {
      CHECK(conv_problem(*gradients[0].node()).image_shape() == c.image);
      CHECK(conv_problem(*gradients[1].node()).filter_shape() == c.filters);
    }
  }
}

TEST_CASE("conv2d is differentiable as often as one likes", "[ops][conv][grad]") {
  std::mt19937 random(23);
  const ConvOptions options = {.border_mode = {{1, 2}, {0, 1}}, .subsample = {2, 1}, .num_groups = 2};
  const Tensor x = test::small_integers(random, {2, 4, 5, 4}, DType::float64);
  const Tensor w = test::small_integers(random, {2, 2, 3, 2}, DType::float64);
  const auto cost = [&](const std::vector<Variable>& v) { return sum(sqr(conv2d(v[0], v[1], options))); };
  verify_grad(cost, {x, w});
  verify_grad([&](const std::vector<Variable>& v) { return sum(sqr(grad(cost(v), v[0]))) * 1e-3; }, {x, w});
  verify_grad([&](const std::vector<Variable>& v) { return sum(sqr(grad(cost(v), v[1]))) * 1e-3; }, {x, w});
}

TEST_CASE("A convolution flips, a correlation does not", "[ops][conv]") {
  // NumPy's convolve([1, 2, 3], [0, 1, 0.5], 'full') and correlate.
  const Tensor signal = Tensor({1.f, 2.f, 3.f}).reshape({1, 1, 1, 3});
  const Tensor kernel = Tensor({0.f, 1.f, .5f}).reshape({1, 1, 1, 3});
  CHECK(evaluate(conv2d(signal, kernel, {.border_mode = "full"})).to_vector<float>() ==
        std::vector<float>{0, 1, 2.5f, 4, 1.5f});
  CHECK(evaluate(conv2d(signal, kernel, {.border_mode = "full", .filter_flip = false})).to_vector<float>() ==
        std::vector<float>{.5f, 2, 3.5f, 3, 0});
  CHECK(evaluate(conv2d(signal, kernel)).to_vector<float>() == std::vector<float>{2.5f});
}

TEST_CASE("Partly known shapes tell what they can", "[ops][conv]") {
  const Variable x = tensor(DType::float32, {unknown, 3, 28, unknown}, "x");
  const Variable w = tensor(DType::float32, {20, unknown, 5, 5}, "w");
  CHECK(to_string(conv2d(x, w).type()) == "float32[?,20,24,?]");
  CHECK(to_string(conv2d(x, w, {.border_mode = "half", .subsample = {2, 2}}).type()) == "float32[?,20,14,?]");
  const Variable y =
      conv2d(open(DType::float32, "i"), open(DType::float32, "f"),
             {.input_shape = Shape{unknown, 1, 28, 28}, .filter_shape = Shape{20, 1, 5, unknown}});
  CHECK(to_string(y.type()) == "float32[?,20,24,?]");
  CHECK(to_string(grad(sum(y), y.node()->input(1)).type()) == "float32[20,1,5,?]");
  CHECK(
      to_string(conv2d_grad_wrt_inputs(tensor(DType::float32, {2, 20, 24, 24}), w, {2, 3, 28, 28}).type()) ==
      "float32[2,3,28,28]");
  const Variable n = lscalar("n");
  CHECK(to_string(conv2d_grad_wrt_weights(x, open(DType::float32, "g"), {20, 3, n, 5}).type()) ==
        "float32[20,3,?,5]");
  CHECK(conv2d(imatrix("m").dimshuffle({'x', 'x', 0, 1}), w).dtype() == float_x());
}

TEST_CASE("The numbers of a convolution", "[ops][conv]") {
  const Variable x = tensor(DType::float32, {500, 4, 28, 28}), w = tensor(DType::float32, {20, 2, 5, 5});
  const ConvOptions options = {.border_mode = {1, 2}, .num_groups = 2, .version = "no_fft"};
  const ConvProblem p = conv_problem(*conv2d(x, w, options).node());
  CHECK(to_string(p) ==
        "conv2d forward float32 image 500x4x28x28 filters 20x2x5x5 out 500x20x26x28 pad 1,2..1,2 stride 1,1 "
        "dilation 1,1 groups 2 flip version no_fft");
  CHECK(p.flops() == 2.0 * 500 * 20 * 2 * 26 * 28 * 25);
  CHECK(label(conv2d(x, w, options)) ==
        "AbstractConv2d{border_mode=(1, 2), subsample=(1, 1), filter_flip=True, num_groups=2, "
        "version=no_fft}");
  CHECK(label(conv2d(x, w,
                     {.border_mode = {{1, 2}, {3, 3}},
                      .filter_flip = false,
                      .filter_dilation = {2, 1},
                      .num_groups = 2})) ==
        "AbstractConv2d{border_mode=((1, 2), 3), subsample=(1, 1), filter_flip=False, filter_dilation=(2, "
        "1), num_groups=2}");
  // A padding of nothing is 'valid', and options that are not given leave no trace.
  CHECK(conv2d(x, w, {.border_mode = {0, 0}, .num_groups = 2}).node()->attributes() ==
        conv2d(x, w, {.num_groups = 2}).node()->attributes());
  const Attributes tuned =
      conv2d(x, w, {.num_groups = 2, .unroll_batch = 4, .unroll_patch = true, .openmp = false})
          .node()
          ->attributes();
  CHECK(tuned.get<std::int64_t>("unroll_batch") == 4);
  CHECK(tuned.get<bool>("unroll_patch"));
  CHECK_FALSE(tuned.get<bool>("openmp"));
  CHECK_FALSE(tuned.contains("unroll_kern"));
}

TEST_CASE("Wrong convolutions name both operands and the axis", "[ops][conv][errors]") {
  const auto image = [](const Shape& s) { return tensor(DType::float32, s, "image"); };
  const auto filters = [](const Shape& s) { return tensor(DType::float32, s, "filters"); };
  CHECK_THROWS_WITH(
      conv2d(image({2, 3, 8, 8}), filters({4, 2, 3, 3})),
      Contains("the input has 3 channels (axis 1), the filters take 2 (axis 1: 2, in 1 group)") &&
          Contains("image (float32[2,3,8,8]") && Contains("filters (float32[4,2,3,3]") &&
          Contains("conv_test.cpp"));
  CHECK_THROWS_WITH(
      conv2d(image({2, 3, 8, 8}), filters({4, 3, 3, 9})),
      Contains("on axis 3 (columns) the filter covers 9 (kernel 9, dilation 1), the image only 8"));
  CHECK_THROWS_WITH(conv2d(image({2, 3, 8, 8}), filters({4, 3, 0, 3})),
                    Contains("extent 0 on axis 2 (rows)"));
  CHECK_THROWS_AS(conv2d(image({2, 3, 8, 8}), filters({4, 1, 3, 3}), {.num_groups = 2}), ShapeError);
  CHECK_THROWS_WITH(conv2d(image({2, 4, 8, 8}), filters({3, 2, 3, 3}), {.num_groups = 2}),
                    Contains("there are 3 filters; they do not divide into 2 groups"));
  CHECK_THROWS_AS(conv2d(matrix("m"), filters({4, 3, 3, 3})), TypeError);
  CHECK_THROWS_WITH(conv2d(image({2, 3, 8, 8}), filters({4, 3, 3, 3}), {.border_mode = "same"}),
                    Contains("border_mode 'same' is not one of valid, full, half"));
  CHECK_THROWS_AS(conv2d(image({2, 3, 8, 8}), filters({4, 3, 3, 3}), {.border_mode = -1}), ValueError);
  CHECK_THROWS_AS(conv2d(image({2, 3, 8, 8}), filters({4, 3, 3, 3}), {.border_mode = {1, 2, 3}}), ValueError);
  CHECK_THROWS_AS(conv2d(image({2, 3, 8, 8}), filters({4, 3, 3, 3}), {.subsample = {0, 1}}), ValueError);
  CHECK_THROWS_AS(conv2d(image({2, 3, 8, 8}), filters({4, 3, 3, 3}), {.subsample = {1}}), ValueError);
  CHECK_THROWS_AS(conv2d(image({2, 3, 8, 8}), filters({4, 3, 3, 3}), {.filter_dilation = {1, -1}}),
                  ValueError);
  CHECK_THROWS_AS(conv2d(image({2, 3, 8, 8}), filters({4, 3, 3, 3}), {.num_groups = 0}), ValueError);
  CHECK_THROWS_WITH(conv2d(image({2, 3, 8, 8}), filters({4, 3, 3, 3}), {.version = "fast"}),
                    Contains("version 'fast' is not known; there are no_fft, dnn, gemm, legacy"));
  CHECK_THROWS_AS(conv2d(image({2, 3, 8, 8}), filters({4, 3, 3, 3}), {.unroll_kern = 0}), ValueError);
  CHECK_THROWS_WITH(conv2d(image({2, 3, 8, 8}), filters({4, 3, 3, 3}), {.input_shape = Shape{2, 3, 9, 8}}),
                    Contains("input_shape says (2, 3, 9, 8), but the operand is image"));
  CHECK_THROWS_AS(conv2d(image({2, 3, 8, 8}), filters({4, 3, 3, 3}), {.filter_shape = Shape{4, 3}}),
                  ValueError);
  CHECK_THROWS_WITH(
      conv2d_grad_wrt_inputs(tensor(DType::float32, {2, 4, 5, 6}), filters({4, 3, 3, 3}), {2, 3, 8, 8}),
      Contains(
          "on axis 2 (rows) the output gradient has extent 5; an image of 8 with a kernel of 3 gives 6"));
  CHECK_THROWS_AS(
      conv2d_grad_wrt_inputs(tensor(DType::float32, {2, 4, 6, 6}), filters({4, 3, 3, 3}), {3, 3, 8, 8}),
      ShapeError);
}

TEST_CASE("A hint that the data contradicts is told when the data is there", "[ops][conv][errors]") {
  const Variable x = open(DType::float32, "x"), w = open(DType::float32, "w");
  const Variable y = conv2d(x, w, {.input_shape = Shape{500, 1, unknown, unknown}});
  const Tensor filters = Tensor::ones({2, 1, 3, 3}, DType::float32);
  CHECK_THROWS_WITH(evaluate(y, {{x, Tensor::ones({20, 1, 5, 5}, DType::float32)}, {w, filters}}),
                    Contains("expected (500, 1, ?, ?), got (20, 1, 5, 5)") && Contains("conv_test.cpp"));
  CHECK_THROWS_WITH(evaluate(conv2d(x, w), {{x, Tensor::ones({20, 2, 5, 5}, DType::float32)}, {w, filters}}),
                    Contains("the input has 2 channels"));
}
