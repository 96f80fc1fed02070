// What the flags of checks do to functions.

#include <catch2/catch.hpp>
#include <cmath>

#include "croton/croton.h"
#include "croton/optimizer/phases.h"
#include "croton/optimizer/query.h"
#include "croton/optimizer/rewriter.h"
#include "croton/runtime/compare_values.h"
#include "messages.h"
#include "quiet.h"

using namespace croton;
using Catch::Contains;
using Catch::StartsWith;

TEST_CASE("the flag mode makes every function check", "[runtime][check][flags]") {
  const test::Quiet quiet;
  const Variable x = vector("x");
  const Tensor bad{1.f, -1.f};
  {
    const ConfigScope scope({{"mode", "NanGuardMode"}});
    CHECK(default_mode().text() == "NanGuardMode");
    CHECK_THROWS_AS(function({x}, log(x))(bad), NanGuardError);
  }
  {
    const ConfigScope scope({{"mode", "MonitorMode"}});
    const Function f = function({x}, log(x));
    const test::Messages messages;
    f(bad);
    CHECK_FALSE(messages.list.empty());
  }
  {
    const ConfigScope scope({{"mode", "DebugMode"}, {"DebugMode.check_finite", "true"}});
    const Function f = function({x}, log(x));
    CHECK(f(Tensor{1.f, 1.f})[0].size() == 2);
    CHECK_THROWS_AS(f(bad), InvalidValueError);
    CHECK_THROWS_WITH(f(bad), Contains("output 0 is not finite, though its inputs are"));
  }
  const ConfigScope scope({{"mode", "DebugMode"}});
  CHECK(std::isnan(function({x}, log(x))(bad)[0].at<float>({1})));
}

TEST_CASE("a rewrite that fails is left out, or an error, as on_opt_error says", "[optimizer][flags]") {
  const Variable a = vector("a");
  const RuleSet rules = {rule("broken", pattern::exp(pattern::x),
                              [](Match&) -> Replacement { throw ShapeError("no such shape"); })};
  const auto rewrite_with = [&](OnOptError action) {
    const std::vector<Variable> inputs{a}, outputs{exp(a)};
    FunctionGraph graph(inputs, outputs);
    OptimizerReport::Phase report{"test", 0, 0, 0, 0, {}};
    rewrite(graph, {&rules.front()}, report, {.on_error = action});
    return graph.outputs()[0].node()->op().name();
  };
  const test::Messages messages;
  CHECK(rewrite_with(OnOptError::ignore) == "exp");
  CHECK(messages.list.empty());
  CHECK(rewrite_with(OnOptError::warn) == "exp");
  REQUIRE(messages.list.size() == 1);
  CHECK_THAT(messages.list[0], StartsWith("the rewrite broken failed on exp") && Contains("no such shape") &&
                                   Contains("optimizer_excluding=broken"));
  CHECK_THROWS_AS(rewrite_with(OnOptError::raise), InternalError);
}

TEST_CASE("a rewrite stops after optdb.max_use_ratio applications for each node", "[optimizer][flags]") {
  const ConfigScope scope({{"optdb.max_use_ratio", "0"}});
  const test::Messages messages;
  const Variable x = vector("x");
  Variable y = x;
  for (int i = 0; i < 3; ++i) y = y * 1.f;
  const std::vector<Variable> inputs{x}, outputs{y};
  FunctionGraph graph(inputs, outputs);
  optimize(graph, Query());
  REQUIRE_FALSE(messages.list.empty());
  CHECK_THAT(messages.list[0], Contains("was stopped after 1 applications"));
}

TEST_CASE("optimizer and tensor.local_elemwise_fusion decide what modes run", "[optimizer][runtime][flags]") {
  const Variable x = vector("x");
  const auto nodes_of = [&](std::string_view mode) {
    const Function f = function({x}, exp(tanh(x)), {.mode = Mode(mode)});
    CHECK(f(Tensor{0.f})[0].at<float>({0}) == 1.f);
    return f.plan_graph()->apply_count();
  };
  CHECK(nodes_of("FAST_RUN") == 1);
  CHECK(nodes_of("NanGuardMode") == 1);
  const ConfigScope fused({{"tensor.local_elemwise_fusion", "false"}});
  CHECK(nodes_of("FAST_RUN") == 2);
  const ConfigScope scope({{"tensor.local_elemwise_fusion", "true"}, {"optimizer", "fast_compile"}});
  CHECK(nodes_of("FAST_RUN") == 2);
  CHECK(nodes_of("NanGuardMode") == 2);
}

TEST_CASE("a pass that fails is left, or its error is raised, as on_opt_error says", "[optimizer][flags]") {
  const Variable a = vector("a");
  RewritePhase broken;
  broken.name = "broken";
  broken.pass = [](FunctionGraph&, const PassContext&) { throw ShapeError("no such shape"); };
  const Query everything;
  const SpecializeOptions none_needed;
  const auto run = [&](std::string_view action) {
    const ConfigScope scope({{"on_opt_error", std::string(action)}});
    const std::vector<Variable> inputs{a}, outputs{exp(a)};
    FunctionGraph graph(inputs, outputs);
    run_phases({broken}, graph, {everything, none_needed});
    return graph.outputs()[0].node()->op().name();
  };
  const test::Messages messages;
  CHECK(run("ignore") == "exp");
  CHECK(messages.list.empty());
  CHECK(run("warn") == "exp");
  REQUIRE(messages.list.size() == 1);
  CHECK_THAT(messages.list[0], StartsWith("the pass broken failed and was left: ") &&
                                   Contains("no such shape") && Contains("optimizer_excluding=broken"));
  CHECK_THROWS_AS(run("raise"), ShapeError);
  broken.essential = true;  // without it nothing could be computed: its errors are the user's
  CHECK_THROWS_AS(run("ignore"), ShapeError);
}

TEST_CASE("warn_float64 names the first value that is float64", "[runtime][flags]") {
  const Variable x = vector("x"), wide = tensor(DType::float64, {unknown}, "wide");
  const auto make = [&] { return function({x, wide}, sum(x * wide), {.name = "f"}); };
  {
    const ConfigScope scope({{"warn_float64", "raise"}});
    CHECK_THROWS_AS(make(), TypeError);
    CHECK_THROWS_WITH(make(), Contains("function 'f'") &&
                                  Contains("wide (float64[?], made at check_flags_test.cpp:") &&
                                  Contains("is float64"));
    CHECK_NOTHROW(function({x}, x * 0.5 + 1));  // numbers of C++ take the dtype of their partner
    CHECK_THROWS_WITH(function({x}, x * x.astype(DType::float64)), Contains("float64[?]"));
  }
  const test::Messages messages;
  make();
  CHECK(messages.list.empty());
  const ConfigScope scope({{"warn_float64", "warn"}});
  make();
  CHECK(messages.list.size() == 1);
}

TEST_CASE("tensor.cmp_sloppy widens what may differ tenfold a step", "[runtime][check][flags]") {
  const Tolerance strict = tolerance_of(DType::float32);
  const ConfigScope scope({{"tensor.cmp_sloppy", "2"}});
  const Tolerance wide = tolerance_of(DType::float32);
  CHECK(wide.relative == Approx(100 * strict.relative));
  CHECK(wide.absolute == Approx(100 * strict.absolute));
  CHECK(tolerance_of(DType::int32).relative == 0);
}
