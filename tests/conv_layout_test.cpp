// Convolutions in other layouts than bc01: what lies how, what is transposed between them, and cuDNN's
// graphs.

#include "croton/ops/conv_layout.h"

#include <catch2/catch.hpp>
#include <random>

#include "concrete_conv.h"
#include "croton/croton.h"
#include "croton/graph/flags.h"
#include "croton/ops/conv_implementations.h"
#include "croton/optimizer/conv_choice.h"
#include "croton/optimizer/conv_layouts.h"
#include "croton/optimizer/optimizer.h"
#include "croton/runtime/cuda_dnn_graph.h"
#include "nodes.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

constexpr ConvLayout layouts[] = {ConvLayout::bc01, ConvLayout::b01c, ConvLayout::c01b};

Variable channels_first(const Variable& x) { return x.dimshuffle({0, 3, 1, 2}); }
Variable channels_last(const Variable& x) { return x.dimshuffle({0, 2, 3, 1}); }

/// The transpositions of more than a bias in a graph.
std::size_t transpositions(const FunctionGraph& graph, std::int64_t of_bias) {
  return static_cast<std::size_t>(std::ranges::count_if(graph.nodes(), [&](const Ref<Node>& node) {
    return node->is_apply() && node->op().name() == "dimshuffle" && node->type().shape.count() > of_bias;
  }));
}

}  // namespace

TEST_CASE("a layout is a permutation of bc01 with its way back", "[ops][conv][layout]") {
  CHECK(axes_into(ConvLayout::b01c, 4) == std::vector<std::int64_t>{0, 2, 3, 1});
  CHECK(axes_out_of(ConvLayout::b01c, 4) == std::vector<std::int64_t>{0, 3, 1, 2});
  CHECK(axes_into(ConvLayout::c01b, 4) == std::vector<std::int64_t>{1, 2, 3, 0});
  CHECK(axes_out_of(ConvLayout::c01b, 4) == std::vector<std::int64_t>{3, 0, 1, 2});
  CHECK(axes_into(ConvLayout::b01c, 5) == std::vector<std::int64_t>{0, 2, 3, 4, 1});
  for (const ConvLayout layout : layouts) {
    for (const Shape& shape : {Shape{2, 3, 4}, Shape{2, 3, 4, 5}, Shape{2, 3, 4, 5, 6}}) {
      const Shape placed = permuted(shape, axes_into(layout, shape.size()));
      CHECK(permuted(placed, axes_out_of(layout, shape.size())) == shape);
    }
  }
}

TEST_CASE("a convolution over b01c computes what one over bc01 does", "[ops][conv][layout]") {
  std::mt19937 random(11);
  for (int i = 0; i < random_cases(30); ++i) {
    const int rank = 1 + i % 3;
    const ConcreteConvCase c = random_concrete_conv(random, DType::float64, rank);
    INFO(to_string(c.problem));
    const std::size_t axes = c.first.shape().size();
    const auto placed = [&](const Tensor& x) {
      return x.transpose(Shape(axes_into(ConvLayout::b01c, axes))).contiguous();
    };
    const Tensor first = placed(c.first), second = placed(c.second);
    const Variable y = apply_concrete_conv(dnn_b01c_conv_op(), c.problem, input_like(first),
                                           input_like(second), c.attributes);
    CHECK(concrete_conv_problem(*y.node()) == c.problem);
    const Tensor result = y.node()->op().evaluate(*y.node(), std::vector{first, second})[0];
    CHECK(result.shape() == y.type().shape);
    check_conv(c, result.transpose(Shape(axes_out_of(ConvLayout::b01c, axes))).contiguous());
  }
}

TEST_CASE("between convolutions over b01c nothing is transposed", "[optimizer][conv][layout]") {
  const Variable x = tensor(DType::float32, {2, 3, 12, 12}), w1 = tensor(DType::float32, {8, 3, 3, 3}),
                 w2 = tensor(DType::float32, {4, 8, 3, 3}), b = tensor(DType::float32, {8});
  const auto by_b01c = [](const Variable& image, const Variable& filters) {
    const ConvProblem p = conv_problem(*conv2d(image, filters, {.filter_flip = false}).node());
    return conv_dnn_b01c.build(p, image, filters, conv_attributes(p));
  };
  const Variable y = by_b01c(tanh(by_b01c(x, w1) + b.dimshuffle({'x', 0, 'x', 'x'})), w2);
  FunctionGraph graph(std::vector<Variable>{x, w1, w2, b}, std::vector<Variable>{y});
  specialize(graph, Query(), {});
  CHECK(transpositions(graph, 8) == 4);  // of image, filters and result, and none of what lies between
  // The reference computes them here.
  const Variable expected =
      conv2d(tanh(conv2d(x, w1, {.filter_flip = false}) + b.dimshuffle({'x', 0, 'x', 'x'})), w2,
             {.filter_flip = false});
  std::mt19937 random(8);
  std::vector<Tensor> values;
  for (const Variable& v : {x, w1, w2, b})
    values.push_back(uniform_tensor(v.type().shape, DType::float32, random));
  CHECK(allclose(function({x, w1, w2, b}, y).call_all(values)[0],
                 function({x, w1, w2, b}, expected).call_all(values)[0], 1e-4, 1e-4));
}

TEST_CASE("pooling between convolutions keeps their layout", "[optimizer][conv][layout]") {
  std::mt19937 random(21);
  const auto pooled = [&](const ConvCandidate& candidate, const PoolOptions& options, std::size_t left) {
    const Variable x = tensor(DType::float32, {17, 3, 14, 13}), w1 = tensor(DType::float32, {8, 3, 3, 3}),
                   w2 = tensor(DType::float32, {4, 8, 3, 3});
    const auto by = [&](const ConvCandidate* by_candidate) {
      const auto convolved = [&](const Variable& image, const Variable& filters) {
        const Variable y = conv2d(image, filters, {.filter_flip = false});
        if (by_candidate == nullptr) return y;
        const ConvProblem p = conv_problem(*y.node());
        return by_candidate->build(p, image, filters, conv_attributes(p));
      };
      return convolved(pool_2d(tanh(convolved(x, w1)), {2, 3}, options), w2);
    };
    FunctionGraph graph(std::vector<Variable>{x, w1, w2}, std::vector<Variable>{by(&candidate)});
    specialize(graph, Query(), {});
    CHECK(transpositions(graph, 0) == left);
    std::vector<Tensor> values;
    for (const Variable& v : {x, w1, w2})
      values.push_back(uniform_tensor(v.type().shape, DType::float32, random));
    CHECK(allclose(function({x, w1, w2}, by(&candidate)).call_all(values)[0],
                   function({x, w1, w2}, by(nullptr)).call_all(values)[0], 1e-4, 1e-4));
  };
  for (const ConvCandidate* candidate : {&conv_c01b, &conv_dnn_b01c}) {
    for (const char* mode : {"max", "sum", "average_exc_pad"}) {
      pooled(*candidate, {.mode = mode}, 4);                    // of image, filters and result
      pooled(*candidate, {.stride = {1, 2}, .mode = mode}, 4);  // windows that overlap
      pooled(*candidate, {.pad = {1, 1}, .mode = mode}, 6);     // windows that reach outside
      pooled(*candidate, {.ignore_border = false, .mode = mode}, 6);
    }
  }
}

TEST_CASE("filters are turned around outside of cuDNN's graphs", "[optimizer][conv][layout]") {
  std::mt19937 random(12);
  int computed = 0;
  for (int i = 0; i < random_cases(60) || computed <= 5; ++i) {
    REQUIRE(i < 600);
    const ConcreteConvCase c = random_concrete_conv(random, DType::float64, 1 + i % 3);
    if (conv_dnn_b01c.support(c.problem).kind == Support::Kind::refuse) continue;
    INFO(to_string(c.problem));
    ++computed;
    const Variable a = tensor(DType::float64, c.first.shape()), b = tensor(DType::float64, c.second.shape());
    for (const ConvCandidate* candidate : {&conv_dnn_b01c, &conv_dnn_graph}) {
      const Function f =
          function({a, b}, candidate->build(c.problem, a, b, c.attributes), {.mode = Mode(ModeName::None)});
      check_conv(c, f(c.first, c.second)[0]);
    }
  }
}

TEST_CASE("what lies channels last in a graph is part of the problem", "[optimizer][conv][layout]") {
  const Variable x = tensor(DType::float32, {2, 12, 12, 8}), w = tensor(DType::float32, {16, 3, 3, 8}),
                 b = tensor(DType::float32, {8}), other = tensor(DType::float32, {2, 8, 12, 12});
  const auto layouts_in = [&](const Variable& image, bool is_wanted_last) {
    const Variable y = conv2d(image, channels_first(w));
    FunctionGraph graph(std::vector<Variable>{x, w, b, other},
                        std::vector<Variable>{is_wanted_last ? channels_last(y) : y});
    for (const Ref<Node>& node : graph.nodes()) {
      if (is_open_convolution(*node)) return conv_problem_in_graph(*node).layouts;
    }
    throw std::logic_error("no convolution");
  };
  using Lie = ConvOperandLayouts;
  CHECK(layouts_in(channels_first(x), true) == Lie{ConvLayout::b01c, ConvLayout::b01c, ConvLayout::b01c});
  CHECK(layouts_in(channels_first(x), false) == Lie{ConvLayout::b01c, ConvLayout::b01c, ConvLayout::bc01});
  CHECK(layouts_in(tanh(channels_first(x) + b.dimshuffle({'x', 0, 'x', 'x'})), true).first ==
        ConvLayout::b01c);
  CHECK(layouts_in(channels_first(x) * other, true).first == ConvLayout::bc01);
  CHECK(layouts_in(other, true) == Lie{ConvLayout::bc01, ConvLayout::b01c, ConvLayout::b01c});

  ConvProblem p = concrete_conv(ConvDirection::forward, {2, 8, 12, 12}, {16, 8, 3, 3}).problem;
  CHECK_THAT(to_string(p), !Catch::Contains(" in "));
  p.layouts = {ConvLayout::b01c, ConvLayout::b01c, ConvLayout::c01b};
  CHECK_THAT(to_string(p), Catch::EndsWith(" in b01c,b01c to c01b"));
  // On a GPU that multiplies by tensor cores they are computed as they lie.
  p.device = Device::cuda(0);
  CHECK(choose_convolution(p, {}).chosen->name != "dnn_b01c");
  p.dtype = DType::float16;
  CHECK(choose_convolution(p, {}).chosen->name == "dnn_b01c");
  p.layouts = {};
  CHECK(choose_convolution(p, {}).chosen->name != "dnn_b01c");
}

TEST_CASE("candidates are measured on operands that lie as in the graph", "[runtime][conv][layout]") {
  const ConfigScope scope({{"metaopt.ledger", "none"}, {"metaopt.budget", "1"}});
  const Variable x = tensor(DType::float32, {3, 9, 10, 4}), w = tensor(DType::float32, {5, 3, 2, 4});
  const Variable y = channels_last(conv2d(channels_first(x), channels_first(w), {.border_mode = 1}));
  std::mt19937 random(9);
  const Tensor image = uniform_tensor({3, 9, 10, 4}, DType::float32, random),
               filters = uniform_tensor({5, 3, 2, 4}, DType::float32, random);
  const Function f = function({x, w}, y, {.mode = default_mode().including("conv_meta")});
  CHECK(allclose(f(image, filters)[0], function({x, w}, y)(image, filters)[0], 1e-5, 1e-5));
}

TEST_CASE("strides of cuDNN's tensors in each layout", "[runtime][cuda][layout]") {
  using cudnn::strides_in;
  CHECK(strides_in(ConvLayout::bc01, {2, 3, 4, 5}) == std::vector<std::int64_t>{60, 20, 5, 1});
  CHECK(strides_in(ConvLayout::b01c, {2, 3, 4, 5}) == std::vector<std::int64_t>{60, 1, 15, 3});
  CHECK(strides_in(ConvLayout::b01c, {2, 3, 4, 5, 6}) == std::vector<std::int64_t>{360, 1, 90, 18, 3});
}

TEST_CASE("cuDNN takes the description of a convolution's graph", "[runtime][cuda][layout]") {
  if (!cudnn::library().problem.empty()) return;
  for (const ConvDirection direction :
       {ConvDirection::forward, ConvDirection::backward_inputs, ConvDirection::backward_weights}) {
    const ConvProblem p = concrete_conv(direction, {2, 8, 12, 12}, {16, 4, 3, 3}, 1, 2, 1, 2, false).problem;
    std::string reason;
    const auto numbers = cudnn_problem(p, reason);
    REQUIRE(numbers);
    for (const ConvLayout layout : {ConvLayout::bc01, ConvLayout::b01c}) {
      cudnn::GraphConvolution graph{.direction = direction, .problem = *numbers, .layout = layout};
      CHECK(cudnn::convolution_operation(graph).size() == 5);
      graph.problem.stride[0] = 0;
      CHECK_THROWS_AS(cudnn::convolution_operation(graph), DeviceError);
    }
  }
}
