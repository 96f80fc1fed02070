#include "croton/optimizer/conv_choice.h"

#include <catch2/catch.hpp>
#include <set>

#include "concrete_conv.h"
#include "croton/graph/error.h"
#include "croton/graph/function_graph.h"
#include "croton/ops/conv_forms.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/grad.h"
#include "croton/ops/reduce.h"

using namespace croton;

namespace {

ConvProblem problem(std::int64_t batch, std::int64_t channels, std::int64_t filters,
                    DType dtype = DType::float32) {
  const Attributes attributes =
      conv2d(tensor(dtype, {batch, channels, 12, 12}), tensor(dtype, {filters, channels, 5, 5}))
          .node()
          ->attributes();
  return conv_problem(ConvDirection::forward, attributes, {batch, channels, 12, 12},
                      {filters, channels, 5, 5}, {}, dtype);
}

std::string chosen(const ConvProblem& p, const Query& query = {}) {
  return std::string(choose_convolution(p, query).chosen->name);
}

}  // namespace

TEST_CASE("the default takes the first implementation that is not poor at a problem", "[optimizer][conv]") {
  CHECK(chosen(problem(500, 64, 64)) == "dnn");
  CHECK(chosen(problem(500, 20, 50)) == "legacy");
  CHECK(chosen(problem(500, 1, 20)) == "legacy");
  CHECK(chosen(problem(2, 20, 50)) == "gemm");
  CHECK(chosen(problem(2, 1, 1)) == "dnn");  // poor like the others, and the first of them
  CHECK(chosen(problem(500, 64, 64, DType::float64)) == "legacy");
}

TEST_CASE("on a GPU the library goes first, then generated products, then loops", "[optimizer][conv]") {
  ConvProblem p = problem(500, 20, 24);
  p.device = Device::cuda(0);
  CHECK(chosen(p) == "dnn");
  CHECK(chosen(p, Query().excluding("conv_dnn")) == "gemm");
  CHECK(chosen(p, Query().excluding("conv_dnn:conv_gemm")) == "legacy");
  CHECK_THAT(choose_convolution(p, {}).text(),
             Catch::Contains("on cuda0") && Catch::Contains("gemm: takes it") &&
                 Catch::Contains("gemm_second: poor here: only with optimizer_including=conv_gemm"));
  p.pad_lo = {1, 1};
  p.pad_hi = {0, 0};
  p.out = {9, 9};
  CHECK(chosen(p) == "gemm");
  p.filters = 4;
  CHECK_THAT(choose_convolution(p, {}).text(), Catch::Contains("gemm: poor here: a product of"));
  // Where it was measured to be faster.
  ConvProblem few_channels = problem(500, 20, 50);
  few_channels.device = Device::cuda(0);
  for (const auto& [direction, expected] :
       {std::pair{ConvDirection::forward, "gemm"}, std::pair{ConvDirection::backward_inputs, "gemm_folded"},
        std::pair{ConvDirection::backward_weights, "gemm"}}) {
    few_channels.direction = direction;
    CHECK(chosen(few_channels) == expected);
  }
}

TEST_CASE("on a GPU generated loops go before the library for few channels", "[optimizer][conv]") {
  ConvProblem first_layer = problem(500, 1, 20);
  CHECK(chosen(first_layer) == "legacy");
  for (const ConvDirection direction :
       {ConvDirection::forward, ConvDirection::backward_inputs, ConvDirection::backward_weights}) {
    first_layer.direction = direction;
    first_layer.device = Device::cuda(0);
    CHECK(chosen(first_layer) == "legacy");
    CHECK(chosen(first_layer, Query(ModeName::FAST_COMPILE)) == "dnn");
  }
  CHECK_THAT(choose_convolution(first_layer, {}).text(),
             Catch::Contains("1 channel a group and 25 kernel elements are bound by memory"));
  ConvProblem depthwise = problem(64, 16, 16);
  depthwise.device = Device::cuda(0);
  depthwise.groups = 16;
  CHECK(chosen(depthwise) == "legacy");
  ConvProblem many_filters = problem(64, 1, 128);
  many_filters.device = Device::cuda(0);
  CHECK(chosen(many_filters) == "legacy");
  many_filters.direction = ConvDirection::backward_inputs;
  CHECK(chosen(many_filters) == "dnn");
  ConvProblem many_products = problem(64, 4, 96);
  many_products.device = Device::cuda(0);
  CHECK(chosen(many_products) == "dnn");  // 100 elements
}

TEST_CASE("on a GPU generated products go before the library where it has no transforms",
          "[optimizer][conv]") {
  ConvProblem p = problem(64, 128, 128);
  p.device = Device::cuda(0);
  p.image = {56, 56};
  p.kernel = {3, 3};
  p.pad_lo = p.pad_hi = {1, 1};
  p.out = {56, 56};
  CHECK(chosen(p) == "dnn");
  p.stride = {2, 2};
  p.out = {28, 28};
  CHECK(chosen(p) == "gemm");
  CHECK_THAT(choose_convolution(p, {}).text(), Catch::Contains("with strides cuDNN has no transforms"));
  CHECK(chosen(p, Query(ModeName::FAST_COMPILE)) == "dnn");
  {
    const ConfigScope flags({{"precision", "tf32"}});
    CHECK(chosen(p) == "gemm");
  }
  const ConfigScope flags({{"precision", "bf16"}});
  CHECK(chosen(p) == "dnn");
}

TEST_CASE("on a GPU generated products go before the library for few channels under large kernels",
          "[optimizer][conv]") {
  for (const std::int64_t channels : {20, 32}) {
    ConvProblem p = problem(500, channels, 64);
    p.device = Device::cuda(0);
    CHECK(chosen(p) == "gemm");
    p.direction = ConvDirection::backward_weights;
    CHECK(chosen(p) == "gemm");
    p.direction = ConvDirection::backward_inputs;
    CHECK(chosen(p) == (channels == 20 ? "gemm_folded" : "dnn"));
    {
      const ConfigScope flags({{"precision", "tf32"}});
      CHECK(chosen(p) == "gemm_folded");
    }
    p.batch = 32;  // fewer images than multiprocessors
    CHECK(chosen(p) == "dnn");
  }
}

TEST_CASE("on a GPU the default goes by kernels, channels and images as measured", "[optimizer][conv]") {
  constexpr ConvDirection directions[] = {ConvDirection::forward, ConvDirection::backward_inputs,
                                          ConvDirection::backward_weights};
  const auto chosen_for = [&](const Shape& image, const Shape& filters, std::int64_t pad,
                              std::int64_t stride) {
    std::vector<std::string> names;
    for (const ConvDirection d : directions) {
      ConvProblem p = test::concrete_conv(d, image, filters, pad, stride).problem;
      p.device = Device::cuda(0);
      names.push_back(chosen(p));
    }
    return names;
  };
  using Names = std::vector<std::string>;
  const Names generated{"gemm", "gemm_folded", "gemm"}, library(3, "dnn"), products(3, "gemm");
  // First layers of large kernels; the same over more channels, for which the library has transforms.
  CHECK(chosen_for({128, 3, 67, 67}, {96, 3, 11, 11}, 2, 4) == generated);
  CHECK(chosen_for({128, 3, 28, 28}, {64, 3, 5, 5}, 2, 1) == generated);
  CHECK(chosen_for({128, 16, 28, 28}, {64, 16, 5, 5}, 2, 1) == library);
  // Three axes.
  CHECK(chosen_for({8, 8, 16, 16, 8}, {16, 8, 3, 3, 3}, 1, 1) == products);
  CHECK(chosen_for({8, 64, 12, 12, 8}, {64, 64, 3, 3, 3}, 1, 1) == products);
  // Filters of few elements: a product of 27 rows.
  CHECK(chosen_for({128, 3, 4, 16, 16}, {128, 3, 1, 3, 3}, 0, 1)[2] == "gemm");
  const ConfigScope flags({{"precision", "tf32"}});
  CHECK(chosen_for({8, 8, 16, 16, 8}, {16, 8, 3, 3, 3}, 1, 1) == products);
  CHECK(chosen_for({8, 64, 12, 12, 8}, {64, 64, 3, 3, 3}, 1, 1) == library);
}

TEST_CASE("FAST_COMPILE makes no code for a convolution that a library computes", "[optimizer][conv]") {
  const Query quick(ModeName::FAST_COMPILE);
  CHECK(chosen(problem(500, 20, 50), quick) == "dnn");
  CHECK(chosen(problem(500, 20, 50), quick.excluding("conv_dnn")) == "gemm");
  CHECK(chosen(problem(500, 20, 50), quick.including("conv_legacy")) == "legacy");
  CHECK(chosen(problem(500, 20, 50, DType::float64), quick) == "legacy");
}

TEST_CASE("queries force and exclude implementations", "[optimizer][conv]") {
  const ConvProblem p = problem(500, 64, 64);
  CHECK(chosen(p, Query().excluding("conv_dnn")) == "legacy");
  CHECK(chosen(p, Query().excluding("conv_dnn:conv_legacy")) == "gemm");
  CHECK(chosen(p, Query().including("conv_gemm")) == "gemm");
  CHECK(chosen(p, Query().including("conv_legacy:conv_gemm")) == "legacy");
  CHECK(chosen(problem(500, 64, 64, DType::float64), Query().including("conv_gemm")) == "legacy");
  CHECK_THROWS_AS(Query().including("conv_dmn"), FlagError);
}

TEST_CASE("names of 3-D convolutions mean one direction", "[optimizer][conv]") {
  ConvProblem volume =
      conv_problem(ConvDirection::forward,
                   conv3d(tensor(DType::float32, {2, 4, 6, 6, 6}), tensor(DType::float32, {4, 4, 3, 3, 3}))
                       .node()
                       ->attributes(),
                   {2, 4, 6, 6, 6}, {4, 4, 3, 3, 3}, {}, DType::float32);
  const std::pair<ConvDirection, const char*> names[] = {{ConvDirection::forward, "conv3d"},
                                                         {ConvDirection::backward_weights, "convgrad3d"},
                                                         {ConvDirection::backward_inputs, "convtransp3d"}};
  // Their errors do not matter here.
  const ConfigScope scope({{"metaopt.max_error", "1"}});
  for (const auto& [direction, of_direction] : names) {
    volume.direction = direction;
    for (const auto& [other, name] : names) {
      const std::string fft = std::string(name) + "_fft", gemm = std::string(name) + "_gemm";
      const ConvChoice with_fft = choose_convolution(volume, Query().including(fft));
      CHECK((with_fft.entries.front().candidate->tag == "conv_fft") == (direction == other));
      CHECK(with_fft.entries.front().is_wanted == (direction == other));
      const ConvChoice without = choose_convolution(volume, Query().excluding(gemm));
      CHECK((without.text().find("gemm: excluded by optimizer_excluding=" + gemm) != std::string::npos) ==
            (direction == other));
    }
  }
  CHECK(chosen(problem(500, 64, 64), Query().excluding("conv3d_gemm").including("conv3d_fft")) == "dnn");
}

TEST_CASE("names of 3-D convolutions mean the parts of conv3d2d where implementations have two axes",
          "[optimizer][conv]") {
  constexpr auto volume = [](std::int64_t stride) {
    return test::concrete_conv(ConvDirection::forward, {2, 4, 6, 6, 6}, {4, 4, 3, 3, 3}, 1, stride).problem;
  };
  const ConfigScope scope({{"metaopt.max_error", "1"}});
  const auto choice = [](const ConvProblem& p, const Query& query) { return choose_convolution(p, query); };
  const ConvChoice by_fft = choice(volume(1), Query().including("conv3d_fft"));
  CHECK(by_fft.chosen == &conv_conv3d2d);
  CHECK(by_fft.version_of_parts == "fft");
  CHECK_THAT(by_fft.text(), Catch::Contains("fft: refuses: 3 spatial axes") &&
                                Catch::Contains("* conv3d2d: takes it; its 2-D convolutions ask for fft"));
  CHECK(choice(volume(1), Query().including("conv3d_gemm:conv3d_fft")).version_of_parts == "gemm");
  // Excluding beats including.
  const auto version = [&](const ConvProblem& p, const Query& query) {
    const ConvChoice made = choice(p, query);
    CHECK(made.chosen == &conv_conv3d2d);
    return made.version_of_parts;
  };
  const Query by_name = Query().including("conv3d_fft");
  CHECK(version(volume(1), by_name.excluding("conv3d_fft")) == "no_fft");
  CHECK(version(volume(1), by_name.excluding("conv_fft")) == "no_fft");
  CHECK(version(volume(1), Query().excluding("conv3d_fft")) == "no_fft");
  CHECK(version(volume(1), Query().excluding("convgrad3d_fft")).empty());
  // The version of the convolution itself goes before.
  ConvProblem versioned = volume(1);
  versioned.version = "gemm";
  CHECK(version(versioned, by_name) == "gemm");
  versioned.version = "no_fft";
  CHECK(version(versioned, by_name) == "no_fft");
  CHECK(version(versioned, Query().including("conv3d_gemm")) == "gemm");
  // What fft refuses of the parts, too, is chosen as before: strides, an error that is not allowed.
  const auto unchanged = [&](const ConvProblem& p) {
    const ConvChoice named = choice(p, by_name), before = choice(p, Query().including("conv_fft"));
    return named.text() == before.text() && named.version_of_parts == before.version_of_parts;
  };
  CHECK(!unchanged(volume(1)));
  CHECK(unchanged(volume(2)));
  {
    const ConfigScope by_default({{"metaopt.max_error", "0"}});
    CHECK(unchanged(volume(1)));
  }
  // On a GPU others take three axes, too. What is written first goes first.
  ConvProblem on_gpu = volume(1);
  on_gpu.device = Device::cuda(0);
  CHECK(chosen(on_gpu, Query().including("conv3d_gemm")) == "gemm");
  CHECK(version(on_gpu, by_name) == "fft");
  CHECK(version(on_gpu, Query().including("conv3d_fft:conv_dnn")) == "fft");
  CHECK(chosen(on_gpu, Query().including("conv_dnn:conv3d_fft")) == "dnn");
  CHECK(chosen(on_gpu, by_name.excluding("conv_fft")) == chosen(on_gpu));
}

TEST_CASE("a convolution may ask for one implementation, its gradients too", "[optimizer][conv]") {
  const Variable x = tensor(DType::float32, {2, 3, 8, 8}, "x"), w = tensor(DType::float32, {4, 3, 3, 3}, "w");
  const auto ops_of = [&](const Variable& y) {
    const auto gradients = grad(sum(sqr(y)), {x, w});
    const std::vector<Variable> outputs(gradients.begin(), gradients.end());
    FunctionGraph graph(std::vector<Variable>{x, w}, outputs);
    choose_convolutions(graph, Query().including("conv_dnn"));
    std::set<std::string_view> tags;
    for (const Ref<Node>& node : graph.nodes())
      for (const std::string_view tag : node->rewrites()) tags.insert(tag);
    return tags;
  };
  CHECK(ops_of(conv2d(x, w)) == std::set<std::string_view>{"conv_dnn"});
  CHECK(ops_of(corr_mm(x, w)) == std::set<std::string_view>{"conv_gemm"});
  CHECK(ops_of(conv2d(x, w, {.version = "legacy"})) == std::set<std::string_view>{"conv_legacy"});
  const ConfigScope scope({{"metaopt.max_error", "1"}});
  CHECK(ops_of(conv2d_fft(x, w)) == std::set<std::string_view>{"conv_fft"});
  ConvProblem p = problem(4, 3, 8, DType::float64);
  p.version = "gemm";
  try {
    choose_convolution(p, {});
    FAIL("no error");
  } catch (const DeviceError& error) {
    CHECK_THAT(error.what(), Catch::Contains("gemm: refuses: dtype float64; gemm has float32") &&
                                 Catch::Contains("legacy: the convolution asks for gemm"));
  }
}

TEST_CASE("where nothing takes a problem the error has every reason", "[optimizer][conv]") {
  const ConvProblem p = problem(4, 2, 3, DType::float64);
  try {
    choose_convolution(p, Query().excluding("conv_legacy"));
    FAIL("no error");
  } catch (const DeviceError& error) {
    const std::string text = error.what();
    CAPTURE(text);
    CHECK(text.find("dnn: refuses: dtype float64; dnn has float32") != std::string::npos);
    CHECK(text.find("gemm: refuses: dtype float64; gemm has float32") != std::string::npos);
    CHECK(text.find("legacy: excluded by optimizer_excluding=conv_legacy") != std::string::npos);
    CHECK(text.find("4x2x12x12") != std::string::npos);
  }
}

TEST_CASE("abstract convolutions become concrete where shapes are known", "[optimizer][conv]") {
  const Variable x = tensor(DType::float32, {32, 3, 9, 9}, "x"),
                 w = tensor(DType::float32, {5, 3, 3, 3}, "w");
  const Variable y = conv2d(x, w, {.border_mode = "half", .unroll_kern = 2});
  FunctionGraph graph(std::vector<Variable>{x, w}, std::vector<Variable>{y});
  choose_convolutions(graph, Query());
  graph.check();
  const Node& node = *graph.outputs()[0].node();
  CHECK(&node.op() == &direct_conv_op());
  CHECK(node.type() == y.type());
  CHECK(node.attributes().get<std::int64_t>("unroll_kern") == 2);
  CHECK(node.rewrites() == std::vector<std::string_view>{"conv_legacy"});
  CHECK(concrete_conv_problem(node) == conv_problem(*y.node()));

  const Variable open = tensor(DType::float32, {unknown, 3, 9, 9});
  FunctionGraph general(std::vector<Variable>{open, w}, std::vector<Variable>{conv2d(open, w)});
  choose_convolutions(general, Query());
  CHECK(&general.outputs()[0].node()->op() == &conv2d_op());
}
