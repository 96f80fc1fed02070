#include "croton/optimizer/optimizer.h"

#include <catch2/catch.hpp>

#include "croton/graph/debugprint.h"
#include "croton/graph/error.h"
#include "croton/graph/shared_variable.h"
#include "croton/ops/blas.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/grad.h"
#include "croton/ops/nnet.h"
#include "croton/ops/reduce.h"
#include "croton/optimizer/phases.h"
#include "two_layers.h"

using namespace croton;

TEST_CASE("the two-layer network prints as in the seed", "[optimizer][fusion][inplace]") {
  const Variable X = matrix("X"), W1 = matrix("W1"), b1 = vector("b1"), W2 = matrix("W2"), b2 = vector("b2");
  const std::vector<Variable> inputs{X, W1, b1, W2, b2};
  const std::vector<Variable> outputs{softmax(dot(tanh(dot(X, W1) + b1), W2) + b2)};
  FunctionGraph graph(inputs, outputs);
  optimize(graph, Query());
  const char* const wanted = test::two_layers_optimized;
  SECTION("with extents that are not known") {
    specialize(graph, Query());
    graph.check();
    CHECK(debugprint_text(graph) == wanted);
  }
  SECTION("with static extents") {
    const std::vector<TensorType> types{{DType::float32, {200, 2}},
                                        {DType::float32, {2, 3}},
                                        {DType::float32, {3}},
                                        {DType::float32, {3, 2}},
                                        {DType::float32, {2}}};
    const auto typed = graph.with_types(types, {});
    specialize(*typed, Query());
    typed->check();
    CHECK(debugprint_text(*typed) == wanted);
  }
}

TEST_CASE("a gradient step updates its weights in place by one product each", "[optimizer][blas][inplace]") {
  const Variable X = matrix("X"), y = ivector("y");
  const SharedVariable W = shared(Tensor::ones({2, 3}), "W"), b = shared(Tensor::ones({3}), "b");
  const Variable loss = mean(categorical_crossentropy(softmax(dot(X, W) + b), y)) + 0.01 / 2 * sum(sqr(W));
  const auto [gW, gb] = grad(loss, {W, b});
  const std::vector<Variable> inputs{X, y}, outputs{loss, W - 0.1 * gW, b - 0.1 * gb};
  FunctionGraph graph(inputs, outputs);
  optimize(graph, Query());
  const std::vector<TensorType> types{{DType::float32, {200, 2}}, {DType::int32, {200}}};
  std::vector<TensorType> shared_types;
  SpecializeOptions options;
  for (std::size_t i = 0; i < graph.shared().size(); ++i) {
    const bool is_W = graph.shared()[i].name() == "W";
    shared_types.push_back({DType::float32, is_W ? Shape{2, 3} : Shape{3}});
    options.updates.emplace_back(is_W ? 1 : 2, i);
  }
  const auto typed = graph.with_types(types, shared_types);
  specialize(*typed, Query(), options);
  typed->check();
  const Node& step = *typed->outputs()[1].node();
  CHECK(step.op().label(step) == "Gemm{inplace}");
  CHECK(step.input(0).name() == "W");
  CHECK(step.input(4).constant_value().item<float>() == Approx(1 - 0.1 * 0.01));
}

TEST_CASE("queries include, exclude and require", "[optimizer][query]") {
  const std::vector<std::string> tags{"fast", "fusion"};
  const Selectable rule{"log_of_exp", tags, false, false};
  CHECK(Query().selects(rule));
  CHECK_FALSE(Query(ModeName::None).selects(rule));
  CHECK(Query(ModeName::None).including("fusion").selects(rule));
  CHECK_FALSE(Query().excluding("log_of_exp").selects(rule));
  // Excluding beats including, in either order.
  CHECK_FALSE(Query().excluding("fusion").including("log_of_exp").selects(rule));
  CHECK_FALSE(Query().including("log_of_exp").excluding("fusion").selects(rule));
  CHECK(Query().requiring("fusion:inplace").selects(rule));
  CHECK_FALSE(Query().requiring("inplace").selects(rule));
  const Selectable opt_in{"log_of_exp", tags, true, false}, costly{"log_of_exp", tags, false, true};
  CHECK_FALSE(Query().selects(opt_in));
  CHECK(Query().including("log_of_exp").selects(opt_in));
  CHECK_FALSE(Query(ModeName::FAST_COMPILE).selects(costly));
  CHECK(Query(ModeName::FAST_COMPILE).selects(rule));
}

TEST_CASE("unknown names of rewrites are errors that offer the nearest", "[optimizer][query][errors]") {
  CHECK_THROWS_WITH(
      Query().excluding("fushion"),
      "no rewrite or implementation has the name or tag 'fushion' (excluding); did you mean fusion?");
  Config config;
  config.read_string("optimizer_including=log_of_expp");
  CHECK_THROWS_AS(Query::from_flags(config), FlagError);
  config.read_string("optimizer_including=,optimizer_excluding=fusion:inplace,mode=FAST_COMPILE");
  CHECK(Query::from_flags(config) == Query(ModeName::FAST_COMPILE).excluding("fusion").excluding("inplace"));
}

TEST_CASE("rules and phases have names of their own", "[optimizer][query]") {
  const std::vector<std::string_view>& names = rewrite_names();
  for (const char* name : {"fusion", "inplace", "stabilize", "exact", "reassociates", "log_of_exp"}) {
    CHECK(std::ranges::find(names, name) != names.end());
  }
}
