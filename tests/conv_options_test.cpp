// dnn_conv, the algorithms of cuDNN by name, filters that are unshared, convolutions over c01b.

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <random>

#include "concrete_conv.h"
#include "croton/croton.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/cudnn_algorithm.h"
#include "croton/optimizer/conv_choice.h"
#include "croton/optimizer/optimizer.h"
#include "lowered.h"
#include "nodes.h"
#include "places.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

ConvProblem problem_on_gpu(ConvDirection direction = ConvDirection::forward) {
  ConvProblem p = concrete_conv(direction, {64, 32, 16, 16}, {32, 32, 3, 3}, 1).problem;
  p.device = Device::cuda(0);
  return p;
}

Support answer_of(const ConvProblem& p, std::string_view name) {
  const ConvChoice choice = choose_convolution(p, {});
  for (const ConvChoice::Entry& entry : choice.entries) {
    if (entry.candidate->name == name) return entry.support;
  }
  return refuse("not asked");
}

std::size_t count_of(const FunctionGraph& graph, const Op& op) {
  std::size_t count = 0;
  for (const Ref<Node>& node : graph.nodes()) count += node->is_apply() && &node->op() == &op;
  return count;
}

/// A column of the matrix of what supports what: a problem that has the property and no other.
struct SupportColumn {
  const char* name;
  void (*change)(ConvProblem& p);
};
constexpr SupportColumn support_columns[] = {
    {"plain", [](ConvProblem&) {}},
    {"stride", [](ConvProblem& p) { p.stride[0] = p.stride[1] = 2; }},
    {"dilation", [](ConvProblem& p) { p.dilation[0] = p.dilation[1] = 2; }},
    {"groups", [](ConvProblem& p) { p.groups = 2; }},
    {"uneven padding", [](ConvProblem& p) { p.pad_lo[0] = 0; }},
    {"no flip", [](ConvProblem& p) { p.flip = false; }},
    {"5x5", [](ConvProblem& p) { p.kernel = {5, 5}; }},
    {"unshared", [](ConvProblem& p) { p.unshared = true; }},
    {"empty batch", [](ConvProblem& p) { p.batch = 0; }},
    {"float64", [](ConvProblem& p) { p.dtype = DType::float64; }},
    {"float16", [](ConvProblem& p) { p.dtype = DType::float16; }},
    {"1-D",
     [](ConvProblem& p) {
       for (Shape* list : {&p.image, &p.kernel, &p.pad_lo, &p.pad_hi, &p.stride, &p.dilation}) list->erase(1);
       p.rank = 1;
     }},
    {"3-D",
     [](ConvProblem& p) {
       for (Shape* list : {&p.image, &p.kernel, &p.pad_lo, &p.pad_hi, &p.stride, &p.dilation})
         list->push_back((*list)[0]);
       p.rank = 3;
     }},
};

/// f, i and w for the directions in which a candidate does not refuse the problem.
std::string directions_of(const ConvCandidate& candidate, Device device, const SupportColumn& column) {
  std::string cell;
  for (const auto& [direction, letter] :
       {std::pair{ConvDirection::forward, 'f'}, std::pair{ConvDirection::backward_inputs, 'i'},
        std::pair{ConvDirection::backward_weights, 'w'}}) {
    ConvProblem p = concrete_conv(direction, {32, 32, 16, 16}, {32, 32, 3, 3}, 1).problem;
    p.device = device;
    column.change(p);
    p.out = {};
    for (int axis = 0; axis < p.rank; ++axis) {
      const auto a = static_cast<std::size_t>(axis);
      p.out.push_back((p.image[a] + p.pad_lo[a] + p.pad_hi[a] - p.dilated_kernel(axis)) / p.stride[a] + 1);
    }
    const bool knows = !p.unshared || candidate.knows_unshared;
    if (knows && candidate.support(p).kind != Support::Kind::refuse) cell += letter;
  }
  return cell.empty() ? "-" : cell == "fiw" ? "all" : cell;
}

std::string support_matrix(Device device) {
  std::string head = "|", line = "|---|", text;
  for (const SupportColumn& column : support_columns) {
    head += std::string(" | ") + column.name;
    line += "---|";
  }
  for (const ConvCandidate* candidate : conv_candidates()) {
    const bool is_here = candidate->place == ConvPlace::anywhere || device.is_cuda();
    bool takes_any = false;
    std::string row = "| " + std::string(candidate->name);
    for (const SupportColumn& column : support_columns) {
      const std::string cell = directions_of(*candidate, device, column);
      takes_any = takes_any || cell != "-";
      row += " | " + cell;
    }
    if (is_here && takes_any) text += row + " |\n";
  }
  return head + " |\n" + line + "\n" + text;
}

}  // namespace

TEST_CASE("docs/convolution.md has the matrix of what supports what", "[optimizer][conv][docs]") {
  std::ifstream file(source_file("docs/convolution.md"));
  const std::string text(std::istreambuf_iterator<char>(file), {});
  for (const Device device : {Device::host(), Device::cuda(0)}) {
    const std::string matrix = support_matrix(device);
    INFO("what it must have:\n" << matrix);
    CHECK(text.find(matrix) != std::string::npos);
  }
}

TEST_CASE("cuDNN's algorithms are candidates by the names of its flags", "[optimizer][conv][cudnn]") {
  ConvProblem p = problem_on_gpu();
  for (const char* name : {"dnn_small", "dnn_none", "dnn_large", "dnn_fft", "dnn_fft_tiling", "dnn_winograd",
                           "dnn_winograd_non_fused"}) {
    INFO(name);
    CHECK(answer_of(p, name).reason == "only with optimizer_including=conv_dnn");
  }
  CHECK(answer_of(p, "dnn_deterministic").reason == "cuDNN has no deterministic for forward");
  CHECK(answer_of(p, "dnn_time_once").reason == "not asked");
  p.stride = {2, 2};
  p.out = {8, 8};
  CHECK(answer_of(p, "dnn_fft").reason == "fft has no strides and no dilation");
  CHECK(answer_of(problem_on_gpu(ConvDirection::backward_weights), "dnn_winograd").reason ==
        "cuDNN has no winograd for backward_weights");
  {
    const ConfigScope flags({{"deterministic", "true"}});
    CHECK_THAT(answer_of(problem_on_gpu(ConvDirection::backward_weights), "dnn_small").reason,
               Catch::Contains("may differ between runs"));
  }
  // A convolution may ask for one; on the CPU that is oneDNN.
  p = problem_on_gpu();
  p.version = "dnn_fft";
  CHECK(choose_convolution(p, {}).chosen->name == "dnn_fft");
  p.version = "dnn_guess_once";
  CHECK(choose_convolution(p, {}).chosen->name == "dnn_guess_once");
  p.device = {};
  CHECK(choose_convolution(p, {}).chosen->name == "dnn");
  CHECK_THAT(choose_convolution(p, {}).text(), !Catch::Contains("dnn_small"));
}

TEST_CASE("the flags say which algorithm of cuDNN a node asks for", "[optimizer][conv][cudnn]") {
  const ConcreteConvCase c =
      concrete_conv(ConvDirection::backward_inputs, {64, 32, 16, 16}, {32, 32, 3, 3}, 1);
  ConvProblem p = c.problem;
  p.device = Device::cuda(0);
  const auto node = [&] {
    return conv_dnn.build(p, input_like(c.first), input_like(c.second), c.attributes);
  };
  CHECK_FALSE(node().node()->attributes().contains("algo"));
  const ConfigScope flags({{"dnn.conv.algo_bwd_data", "deterministic"}, {"dnn.conv.precision", "as_input"}});
  CHECK(node().node()->attributes().get<std::string>("algo") == "deterministic");
  CHECK(node().node()->attributes().get<bool>("or_none"));
  CHECK(node().node()->attributes().get<std::string>("compute_precision") == "as_input");
  CHECK_THROWS_AS(config().set("dnn.conv.algo_bwd_data", "large"), FlagError);
}

TEST_CASE("cudnn is conv_dnn on a GPU", "[optimizer][conv][cudnn]") {
  const ConvProblem p = problem_on_gpu();
  CHECK(choose_convolution(p, Query().excluding("cudnn")).chosen->name == "gemm");
  CHECK(choose_convolution(p, Query().including("cudnn:conv_fft")).chosen->name == "dnn");
  ConvProblem on_host = p;
  on_host.device = {};
  CHECK(choose_convolution(on_host, Query().excluding("cudnn")).chosen->name == "dnn");
  const Variable x = fvector("x");
  CHECK_THROWS_WITH(function({x}, x + 1, {.mode = default_mode().including("cudnn"), .device = "cpu"}),
                    Catch::Contains("optimizer_including=cudnn is for functions on a GPU"));
}

TEST_CASE("dnn_conv is conv2d by the library", "[ops][conv][cudnn]") {
  std::mt19937 random(5);
  const Tensor x = uniform_tensor({3, 4, 9, 8}, DType::float32, random),
               w = uniform_tensor({16, 4, 3, 2}, DType::float32, random);
  const Variable a = tensor(DType::float32, x.shape()), b = tensor(DType::float32, w.shape());
  const auto value = [&](const Variable& y) { return function({a, b}, y)(x, w)[0].to_host(); };
  for (const char* mode : {"conv", "cross"}) {
    const bool flip = std::string(mode) == "conv";
    INFO(mode);
    CHECK(allclose(value(dnn_conv(a, b, {.border_mode = {1, 1}, .subsample = {2, 1}, .conv_mode = mode})),
                   value(conv2d(a, b, {.border_mode = {1, 1}, .subsample = {2, 1}, .filter_flip = flip})),
                   1e-5, 1e-5));
    // As the gradients that they are as well.
    const Variable full = dnn_conv(a, b, {.border_mode = "full", .conv_mode = mode});
    CHECK(&full.node()->op() == &conv2d_grad_inputs_op());
    CHECK(
        allclose(value(full), value(conv2d(a, b, {.border_mode = "full", .filter_flip = flip})), 1e-5, 1e-5));
    const Variable valid = dnn_conv(a, b, {.conv_mode = mode, .direction_hint = "bprop weights"});
    CHECK(&valid.node()->input(0).node()->op() == &conv2d_grad_weights_op());
    CHECK(allclose(value(valid), value(conv2d(a, b, {.filter_flip = flip})), 1e-5, 1e-5));
    const Variable forward =
        dnn_conv(a, b, {.border_mode = "full", .conv_mode = mode, .direction_hint = "forward!"});
    CHECK(&forward.node()->op() == &conv2d_op());
  }
  const Variable y = dnn_conv(a, b, {.algo = "fft", .precision = "float32", .workspace = 64});
  CHECK(y.node()->attributes().get<std::string>("version") == "dnn_fft");
  CHECK(y.node()->attributes().get<std::int64_t>("workspace") == 64);
  // An algorithm is one direction's.
  CHECK(grad(sum(y), a).node()->attributes().get<std::string>("version") == "dnn");
  CHECK_THROWS_WITH(dnn_conv(a, b, {.algo = "deterministic"}), Catch::Contains("not known for forward"));
  CHECK_THROWS_AS(dnn_conv(a, b, {.conv_mode = "both"}), ValueError);
  CHECK_THROWS_AS(dnn_conv(a, b, {.direction_hint = "backwards"}), ValueError);
  CHECK_THROWS_WITH(dnn_conv(a, b, {.precision = "float16"}), Catch::Contains("add up in float16"));
  const Variable volume = tensor(DType::float32, {2, 3, 4, 5, 6}),
                 kernels = tensor(DType::float32, {2, 3, 2, 2, 2});
  CHECK(&dnn_conv(volume, kernels).node()->op() == &conv3d_op());
}

TEST_CASE("unshared filters are the output's own at every position", "[ops][conv][unshared]") {
  std::mt19937 random(6);
  for (int i = 0; i < random_cases(12); ++i) {
    ConcreteConvCase c = random_concrete_conv(random);
    ConvProblem& p = c.problem;
    p.unshared = true;
    c.attributes = c.attributes.with("unshared", true);
    const bool is_forward = p.direction == ConvDirection::forward;
    if (p.direction == ConvDirection::backward_inputs)
      c.first = uniform_tensor(p.filter_shape(), p.dtype, random);
    if (is_forward) c.second = uniform_tensor(p.filter_shape(), p.dtype, random);
    INFO(to_string(p));
    const Variable node = c.node(direct_conv_op());
    check_conv(c, run_lowered(*node.node(), {c.first, c.second})[0]);
    if (p.direction == ConvDirection::backward_weights) continue;
    // The same filters everywhere are a convolution as usual.
    ConvProblem shared = p;
    shared.unshared = false;
    const Shape filters = shared.filter_shape();
    const Tensor same = uniform_tensor(filters, p.dtype, random);
    Shape spread = p.filter_shape();
    Tensor repeated = Tensor::empty(spread, p.dtype);
    const std::int64_t one = filters.count() / std::max<std::int64_t>(1, filters[0]);
    for (std::int64_t e = 0; e < repeated.size(); ++e) {
      const std::int64_t filter = e / (p.out.count() * one);
      repeated.data<float>()[e] = same.data<float>()[filter * one + e % one];
    }
    const Tensor got =
        is_forward ? conv_reference(p, c.first, repeated) : conv_reference(p, repeated, c.second);
    const Tensor expected =
        is_forward ? conv_reference(shared, c.first, same) : conv_reference(shared, same, c.second);
    CHECK(allclose(got, expected, 1e-5, 1e-5));
  }
}

TEST_CASE("conv2d takes unshared filters of six axes", "[ops][conv][unshared]") {
  const Variable x = tensor(DType::float64, {2, 4, 5, 6}), w = tensor(DType::float64, {6, 3, 4, 2, 3, 2});
  const ConvOptions options{
      .border_mode = {{0, 0}, {0, 0}}, .subsample = {1, 1}, .num_groups = 2, .unshared = true};
  CHECK_THROWS_WITH(conv2d(x, w, options), Catch::Contains("unshared filters for 4 positions"));
  const Variable filters = tensor(DType::float64, {6, 3, 5, 2, 3, 2});
  const Variable y = conv2d(x, filters, options);
  CHECK(y.type().shape == Shape{2, 6, 3, 5});
  CHECK(choose_convolution(conv_problem(*y.node()), {}).chosen->name == "legacy");
  CHECK_NOTHROW(verify_grad([&](const std::vector<Variable>& v) { return conv2d(v[0], v[1], options); },
                            {random_tensor({2, 4, 5, 6}, DType::float64, 1),
                             random_tensor({6, 3, 5, 2, 3, 2}, DType::float64, 2)}));
  const Variable gw = conv2d_grad_wrt_weights(x, y, {6, 3, 5, 2, 3, 2}, options);
  CHECK(gw.type().shape == Shape{6, 3, 5, 2, 3, 2});
  CHECK_THROWS_AS(conv2d(x, tensor(DType::float64, {6, 2, 3, 2}), options), TypeError);
}

TEST_CASE("generated loops over c01b agree with the reference", "[codegen][conv][c01b]") {
  std::mt19937 random(7);
  int computed = 0;
  for (int i = 0; i < random_cases(24) || computed <= 3; ++i) {
    REQUIRE(i < 240);
    ConcreteConvCase c = random_concrete_conv(random, i % 4 == 3 ? DType::float16 : DType::float32);
    if (conv_c01b.support(c.problem).kind == Support::Kind::refuse) continue;
    INFO(to_string(c.problem));
    ++computed;
    const auto to_c01b = [](const Tensor& x) { return x.transpose({1, 2, 3, 0}).contiguous(); };
    const Tensor first = to_c01b(c.first), second = to_c01b(c.second);
    const Variable node =
        apply_concrete_conv(c01b_conv_op(), c.problem, input_like(first), input_like(second), c.attributes);
    check_conv(c, run_lowered(*node.node(), {first, second})[0].transpose({3, 0, 1, 2}).contiguous());
    check_conv(c, node.node()
                      ->op()
                      .evaluate(*node.node(), std::vector{first, second})[0]
                      .transpose({3, 0, 1, 2})
                      .contiguous());
  }
}

TEST_CASE("between convolutions over c01b nothing is transposed", "[optimizer][conv][c01b]") {
  const Variable x = tensor(DType::float32, {32, 3, 12, 12}), w1 = tensor(DType::float32, {8, 3, 3, 3}),
                 w2 = tensor(DType::float32, {4, 8, 3, 3}), b = tensor(DType::float32, {8});
  const Variable hidden = tanh(conv2d(x, w1) + b.dimshuffle({'x', 0, 'x', 'x'}));
  const Variable y = conv2d(hidden, w2);
  FunctionGraph graph(std::vector<Variable>{x, w1, w2, b}, std::vector<Variable>{y});
  specialize(graph, Query().including("conv_c01b"), {});
  CHECK(count_of(graph, c01b_conv_op()) == 2);
  std::size_t transpositions = 0;
  for (const Ref<Node>& node : graph.nodes()) {
    const bool is_dimshuffle = node->is_apply() && node->op().name() == "dimshuffle";
    transpositions += is_dimshuffle && node->type().shape.count() > 8;  // the bias is spread
  }
  CHECK(transpositions == 4);  // of image, filters and result, and none of what lies between

  const Function of_c01b = function({x, w1, w2, b}, y, {.mode = default_mode().including("conv_c01b")});
  std::mt19937 random(8);
  const auto operand = [&](const Variable& v) {
    return uniform_tensor(v.type().shape, DType::float32, random);
  };
  const Tensor vx = operand(x), v1 = operand(w1), v2 = operand(w2), vb = operand(b);
  CHECK(allclose(of_c01b(vx, v1, v2, vb)[0], function({x, w1, w2, b}, y)(vx, v1, v2, vb)[0], 1e-4, 1e-4));
}

TEST_CASE("strict_cuda_convnet has the original's limits", "[ops][c01b]") {
  const Variable x = tensor(DType::float32, {3, 12, 12, 128}), w = tensor(DType::float32, {3, 5, 5, 16}),
                 odd = tensor(DType::float32, {3, 5, 5, 10}), wide = tensor(DType::float32, {3, 12, 13, 128});
  CHECK_NOTHROW(FilterActs()(x, odd));
  const ConfigScope flags({{"strict_cuda_convnet", "true"}});
  CHECK_NOTHROW(FilterActs()(x, w));
  CHECK_THROWS_WITH(FilterActs()(x, odd),
                    Catch::Contains("strict_cuda_convnet=true") && Catch::Contains("multiples of 16"));
  CHECK_THROWS_WITH(FilterActs()(wide, w), Catch::Contains("takes squares"));
  CHECK_THROWS_WITH(FilterActs()(tensor(DType::float32, {3, 12, 12, 100}), w),
                    Catch::Contains("multiples of 128"));
  CHECK_THROWS_WITH(FilterActs(0, std::nullopt, 6)(x, w), Catch::Contains("a stride of 6"));
  CHECK_THROWS_WITH(max_pool_c01b(x, 2, 2), Catch::Contains("multiples of 16"));
  const ConvProblem p = concrete_conv(ConvDirection::forward, {100, 4, 12, 12}, {16, 4, 3, 3}).problem;
  CHECK_THAT(conv_c01b.support(p).reason, Catch::Contains("a batch of 100"));
}
