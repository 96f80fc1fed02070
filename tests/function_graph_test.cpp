#include "croton/graph/function_graph.h"

#include <catch2/catch.hpp>

#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/graph/shared_variable.h"
#include "croton/graph/subgraph.h"

using namespace croton;

namespace {

// A toy op of any arity over vectors: enough to test the graph itself.
class ToyOp final : public Op {
 public:
  using Op::Op;
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    if (inputs.empty()) throw TypeError("toy needs an operand");
    return {inputs[0].type()};
  }
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    return {inputs[0].copy()};
  }
};
const ToyOp toy_f("toy_f");
const ToyOp toy_g("toy_g");

class ToyView final : public Op {
 public:
  using Op::Op;
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    return {inputs[0].type()};
  }
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    return {inputs[0]};
  }
  std::vector<std::pair<int, int>> view_map(const Node&) const override { return {{0, 0}}; }
};
const ToyView toy_view("toy_view");

Variable input(const char* name) { return Variable(Node::make_input({DType::float32, {unknown}}, name, {})); }
Variable f(std::vector<Variable> v) { return apply_op(toy_f, std::move(v)); }
Variable g(std::vector<Variable> v) { return apply_op(toy_g, std::move(v)); }
Attributes in_place() { return Attributes{{"inplace", std::vector<std::int64_t>{0, 0}}}; }

}  // namespace

TEST_CASE("equal nodes and equal constants become one", "[graph][function_graph]") {
  const Variable x = input("x");
  const Variable a = f({x, constant(Tensor{1.f, 2.f})});
  const Variable b = f({x, constant(Tensor{1.f, 2.f})});
  const std::vector<Variable> inputs{x}, outputs{g({a, b})};
  const FunctionGraph graph(inputs, outputs);
  graph.check();
  CHECK(graph.apply_count() == 2);
  const Node& root = *graph.outputs()[0].node();
  CHECK(root.input(0) == root.input(1));
  CHECK(a.node()->graph() == nullptr);  // the user's nodes are not touched
  CHECK(graph.client_count(root.input(0)) == 2);
}

TEST_CASE("a replacement merges what has become equal, upwards", "[graph][function_graph]") {
  const Variable x = input("x"), y = input("y");
  const Variable left = g({g({f({x})})}), right = g({g({f({y})})});
  const std::vector<Variable> inputs{x, y}, outputs{left, right, f({left, right})};
  FunctionGraph graph(inputs, outputs);
  CHECK(graph.apply_count() == 7);
  // y stands in for x nowhere else: after it the two towers are one.
  graph.replace(graph.inputs()[1], graph.inputs()[0], "y_is_x");
  graph.check();
  CHECK(graph.apply_count() == 4);
  CHECK(graph.outputs()[0] == graph.outputs()[1]);
  CHECK(graph.change_count() == 1);
}

TEST_CASE("new nodes carry their history, name and line", "[graph][function_graph]") {
  const Variable x = input("x");
  Variable a = f({x});
  a.set_name("a");
  const std::vector<Variable> inputs{x}, outputs{g({a})};
  FunctionGraph graph(inputs, outputs);
  Variable old = graph.outputs()[0].node()->input(0);
  graph.replace(old, g({g({graph.inputs()[0]})}), "first");
  old = graph.outputs()[0].node()->input(0);
  CHECK(old.name() == "a");
  graph.replace(old, f({graph.inputs()[0], graph.inputs()[0]}), "second");
  graph.check();
  const Variable now = graph.outputs()[0].node()->input(0);
  CHECK(now.node()->rewrites() == std::vector<std::string_view>{"first", "second"});
  CHECK(graph.apply_count() == 2);
}

TEST_CASE("wrapping a variable in its own expression leaves the wrapper's operand alone",
          "[graph][function_graph]") {
  const Variable x = input("x");
  const std::vector<Variable> inputs{x}, outputs{f({x}), x};
  FunctionGraph graph(inputs, outputs);
  graph.replace(graph.inputs()[0], g({graph.inputs()[0]}), "wrap");
  graph.check();
  CHECK(graph.outputs()[1].node()->input(0) == graph.inputs()[0]);
  CHECK(graph.outputs()[0].node()->input(0) == graph.outputs()[1]);
}

TEST_CASE("a missing input names itself and who needs it", "[graph][function_graph][errors]") {
  const Variable x = input("x"), y = input("y");
  const std::vector<Variable> inputs{x}, outputs{f({x, y})};
  CHECK_THROWS_WITH(
      FunctionGraph(inputs, outputs),
      "y (float32[?]) is needed to compute toy_f, but it is not among the function's inputs and has no "
      "value: add it to the inputs or give it a value with givens");
}

TEST_CASE("destroyers run after every other reader, views included", "[graph][function_graph][inplace]") {
  const Variable x = input("x");
  const Variable a = f({x});
  const Variable view = apply_op(toy_view, {a});
  const Variable reader = g({view});
  const Variable destroyer = apply_op(toy_f, {a}, in_place());
  const std::vector<Variable> inputs{x};
  SECTION("ordered") {
    const std::vector<Variable> outputs{destroyer, reader};
    const FunctionGraph graph(inputs, outputs);
    const auto order = graph.topological_order();
    REQUIRE(order.size() == 4);
    CHECK(order.back()->attributes().contains("inplace"));
  }
  SECTION("a reader that needs the destroyer's result") {
    const std::vector<Variable> outputs{g({view, destroyer})};
    CHECK_THROWS_AS(FunctionGraph(inputs, outputs).topological_order(), InconsistencyError);
  }
  SECTION("two destroyers") {
    const std::vector<Variable> outputs{destroyer, apply_op(toy_g, {view}, in_place())};
    CHECK_THROWS_AS(FunctionGraph(inputs, outputs).topological_order(), InconsistencyError);
  }
}

TEST_CASE("100,000 nodes in a chain are built, cloned, rewritten and freed", "[graph][function_graph]") {
  const Variable x = input("x");
  Variable v = x;
  for (int i = 0; i < 100000; ++i) v = f({v, x});
  const std::vector<Variable> inputs{x}, outputs{v};
  v = Variable();
  FunctionGraph graph(inputs, outputs);
  CHECK(graph.apply_count() == 100000);
  CHECK(graph.topological_order().size() == 100000);
  // Exchanging the variable that every node reads, one by one, touches each use once.
  const std::vector<Node*> order = graph.topological_order();
  for (std::size_t i = 0; i < order.size(); i += 2) {
    const Variable old = order[i]->output();
    graph.replace(old, g({order[i]->input(0), order[i]->input(1)}), "f_to_g");
  }
  graph.check();
  CHECK(graph.apply_count() == 100000);
  CHECK(graph.change_count() == 50000);
}

TEST_CASE("types are inferred anew and merged with what was known", "[graph][function_graph]") {
  const Variable x = input("x");
  const SharedVariable w = shared(Tensor{1.f, 2.f, 3.f}, "w");
  const std::vector<Variable> inputs{x}, outputs{f({x, w}), f({w})};
  const FunctionGraph graph(inputs, outputs);
  REQUIRE(graph.shared().size() == 1);
  const std::vector<TensorType> input_types{{DType::float32, {7}}}, shared_types{{DType::float32, {3}}};
  const auto typed = graph.with_types(input_types, shared_types);
  typed->check();
  CHECK(to_string(typed->outputs()[0].type()) == "float32[7]");
  CHECK(to_string(typed->outputs()[1].type()) == "float32[3]");
  CHECK(typed->shared()[0].node()->cell() == w.cell());
}

TEST_CASE("subgraphs compare by structure", "[graph][subgraph]") {
  const auto body = [](const char* name, bool swap) {
    const Variable x = input(name), y = input("y");
    const Variable out = f({g({x}), constant(Tensor{1.f}), y});
    return Subgraph(swap ? std::vector{y, x} : std::vector{x, y}, {out});
  };
  CHECK(body("x", false) == body("z", false));
  CHECK(body("x", false).hash() == body("z", false).hash());
  CHECK_FALSE(body("x", false) == body("x", true));
  const SharedVariable w = shared(Tensor{1.f}, "w");
  CHECK_THROWS_AS(Subgraph({}, {f({w})}), InternalError);
}

TEST_CASE("shared variables keep their type", "[graph][shared]") {
  SharedVariable w = shared(Tensor{{1.f, 2.f}}, "w");
  CHECK(to_string(w.type()) == "float32[?,?]");
  Tensor borrowed = w.get_value();
  borrowed.fill(5.f);
  CHECK(w.get_value().at<float>({0, 1}) == 2.f);
  w.set_value(Tensor{{1.f}, {2.f}, {3.f}});
  CHECK(w.get_value().shape() == Shape{3, 1});
  CHECK_THROWS_AS(w.set_value(Tensor{1.f}), TypeError);
  CHECK_THROWS_AS(w.set_value(Tensor{{1.0}}), TypeError);
  const SharedVariable fixed = shared(Tensor{{1.f, 2.f}}, "fixed", {.shape = Shape{1, 2}});
  CHECK_THROWS_AS(SharedVariable(fixed).set_value(Tensor{{1.f}}), ShapeError);
}
