#include "croton/optimizer/rewriter.h"

#include <catch2/catch.hpp>

#include "croton/graph/error.h"
#include "croton/graph/message.h"
#include "croton/graph/text_form.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/nnet.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/optimizer.h"
#include "messages.h"

using namespace croton;
using namespace croton::pattern;
using Catch::Matchers::Contains;
using croton::test::Messages;

namespace {

/// The output of a graph after these rules.
std::string rewritten(const Variable& output, const std::vector<Variable>& inputs, const RuleSet& rules) {
  const std::vector<Variable> outputs{output};
  FunctionGraph graph(inputs, outputs);
  std::vector<const Rule*> list;
  for (const Rule& rule : rules) list.push_back(&rule);
  OptimizerReport::Phase report{"test", 0, 0, 0, 0, {}};
  rewrite(graph, list, report);
  graph.check();
  return to_text(graph);
}

Variable input(const char* name) { return tensor(DType::float32, {unknown}, name); }

}  // namespace

TEST_CASE("operands of sums and products match in any order, with others beside them",
          "[optimizer][rewriter]") {
  const Variable a = input("a"), b = input("b"), q = input("q");
  const RuleSet rules = {rule("pair", croton::pattern::exp(x) * croton::pattern::log(y), x - y)};
  const Variable l = croton::log(b), e = croton::exp(a);
  CHECK_THAT(rewritten(l * e, {a, b}, rules), Contains("sub(%a, %b)"));
  CHECK_THAT(rewritten(croton::mul(q, l, e), {a, b, q}, rules), Contains("mul(%q, %0)"));
  // A free wildcard stands for all that is left.
  const RuleSet rest = {rule("rest", croton::pattern::tanh(1 + x), croton::pattern::sin(x))};
  const std::string text = rewritten(
      croton::tanh(croton::add(a, Variable(uniform_constant(1, DType::float32, 1)), b)), {a, b}, rest);
  CHECK_THAT(text, Contains("add(%a, %b)") && Contains("sin(%0)"));
}

TEST_CASE("a wildcard that occurs twice is one variable", "[optimizer][rewriter]") {
  const Variable a = input("a"), b = input("b");
  const RuleSet rules = {rule("same", croton::pattern::exp(x) - croton::pattern::exp(x), 0)};
  CHECK_THAT(rewritten(croton::exp(a) - croton::exp(a), {a}, rules), !Contains("sub"));
  CHECK_THAT(rewritten(croton::exp(a) - croton::exp(b), {a, b}, rules), Contains("sub"));
}

TEST_CASE("conditions hold a rule back", "[optimizer][rewriter]") {
  const Variable a = input("a");
  const RuleSet never = {
      rule("never", croton::pattern::exp(x), x).when({[](const Match&) { return false; }, "never"})};
  CHECK_THAT(rewritten(croton::exp(a), {a}, never), Contains("exp"));
  const RuleSet consuming = {rule("sole", croton::pattern::sin(croton::pattern::exp(x)), x).consuming()};
  const Variable e = croton::exp(a);
  CHECK_THAT(rewritten(croton::sin(e), {a}, consuming), !Contains("sin"));
  CHECK_THAT(rewritten(croton::sin(e) + e, {a}, consuming), Contains("sin"));
}

TEST_CASE("a rule that never comes to rest is stopped and named", "[optimizer][rewriter]") {
  const Variable a = input("a");
  const RuleSet rules = {rule("forth", croton::pattern::exp(x), croton::pattern::sin(x)),
                         rule("back", croton::pattern::sin(x), croton::pattern::exp(x))};
  const Messages messages;
  rewritten(croton::exp(a), {a}, rules);
  REQUIRE(messages.list.size() == 2);
  CHECK_THAT(messages.list[0],
             Contains("the rewrite forth was stopped after") || Contains("the rewrite back was"));
  CHECK_THAT(messages.list[0], Contains("in phase test") && Contains("optimizer_excluding="));
}

TEST_CASE("a rule that fails is a bug that names itself", "[optimizer][rewriter][errors]") {
  const Variable a = input("a");
  const RuleSet rules = {
      rule("broken", croton::pattern::exp(x), [](Match&) -> Replacement { throw ShapeError("no"); })};
  CHECK_THROWS_WITH(rewritten(croton::exp(a), {a}, rules),
                    Contains("the rewrite broken failed on exp") && Contains(": no"));
  CHECK_THROWS_AS(rewritten(croton::exp(a), {a}, rules), InternalError);
  CHECK_THROWS_AS(rule("unknown_op", apply("no_such_op", {x}), x), InternalError);
}

TEST_CASE("verbose names every rewrite that applies", "[optimizer][rewriter]") {
  const Variable a = input("a");
  const std::vector<Variable> inputs{a}, outputs{croton::log(croton::exp(a) * 1)};
  const ConfigScope scope({{"optimizer_verbose", "true"}});
  const Messages messages;
  FunctionGraph graph(inputs, outputs);
  optimize(graph, Query());
  REQUIRE(messages.list.size() == 2);
  CHECK(messages.list[0] == "canonicalize: Elemwise{mul,no_inplace} (mul_one) -> Elemwise{exp,no_inplace}");
  CHECK(messages.list[1] ==
        "stabilize: Elemwise{log,no_inplace} (log_of_exp) -> a (float32[?], made at rewriter_test.cpp:34)");
}

TEST_CASE("nodes tell which rules made them, and stand for the user's line", "[optimizer][rewriter]") {
  const Variable a = input("a");
  const Variable made = croton::log(1 + croton::exp(a));
  const std::vector<Variable> inputs{a}, outputs{made};
  FunctionGraph graph(inputs, outputs);
  OptimizerReport report;
  optimize(graph, Query(), &report);
  const Node& node = *graph.outputs()[0].node();
  CHECK(node.op().name() == "softplus");
  CHECK(node.rewrites() == std::vector<std::string_view>{"log1p_from_log", "softplus_from_log1p"});
  CHECK(node.where().line == made.node()->where().line);
  CHECK(std::string(node.where().file) == made.node()->where().file);
  CHECK(report.applications("log1p_from_log") == 1);
  CHECK_THAT(report.text(), Contains("softplus_from_log1p"));
}
