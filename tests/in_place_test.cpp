#include <algorithm>
#include <catch2/catch.hpp>
#include <unordered_map>
#include <unordered_set>

#include "croton/graph/shared_variable.h"
#include "croton/graph/text_form.h"
#include "croton/ops/blas.h"
#include "croton/ops/composite.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/indexing.h"
#include "croton/ops/reduce.h"
#include "croton/optimizer/optimizer.h"
#include "croton/optimizer/passes.h"
#include "random_cases.h"
#include "random_graphs.h"

using namespace croton;
using namespace croton::test;

namespace {

int marks(const FunctionGraph& graph) {
  int count = 0;
  for (const Node* node : graph.topological_order()) count += node->op().destroy_map(*node).empty() ? 0 : 1;
  return count;
}

/// Runs through the graph's order as memory would be used: nobody may read what was overwritten, and nobody
/// may overwrite what is not the graph's own.
void check_memory(const FunctionGraph& graph, const SpecializeOptions& options = {}) {
  std::unordered_map<Variable, Variable> viewed;
  const auto owner = [&](Variable v) {
    for (auto at = viewed.find(v); at != viewed.end(); at = viewed.find(v)) v = at->second;
    return v;
  };
  std::unordered_set<Variable> overwritten;
  for (const Node* node : graph.topological_order()) {
    for (const Variable& input : node->inputs()) REQUIRE_FALSE(overwritten.contains(owner(input)));
    for (const auto& [output, input] : node->op().view_map(*node)) {
      viewed.emplace(node->output(static_cast<std::size_t>(output)),
                     node->input(static_cast<std::size_t>(input)));
    }
    for (const auto& [output, input] : node->op().destroy_map(*node)) {
      const Variable target = node->input(static_cast<std::size_t>(input));
      const Variable memory = owner(target);
      REQUIRE(overwritten.insert(memory).second);
      REQUIRE_FALSE(memory.is_input());
      REQUIRE_FALSE(memory.is_constant());
      if (memory.is_shared()) {
        REQUIRE(std::ranges::any_of(options.updates, [&](const auto& update) {
          return graph.shared()[update.second] == memory &&
                 graph.outputs()[update.first] == node->output(static_cast<std::size_t>(output));
        }));
      }
      const bool by_element = as_elementwise(node->op()) != nullptr || &node->op() == &composite_op();
      for (std::size_t i = 0; i < node->input_count(); ++i) {
        if (i == static_cast<std::size_t>(input) || !(owner(node->input(i)) == memory)) continue;
        REQUIRE((by_element && node->input(i) == target));
      }
    }
  }
  for (const Variable& output : graph.outputs()) REQUIRE_FALSE(overwritten.contains(owner(output)));
}

FunctionGraph& marked(FunctionGraph& graph, const SpecializeOptions& options = {}) {
  mark_in_place(graph, options);
  graph.check();
  check_memory(graph, options);
  return graph;
}

}  // namespace

TEST_CASE("what dies is overwritten, what does not is not", "[optimizer][inplace]") {
  const Variable x = tensor(DType::float32, {3, 3}, "x");
  const std::vector<Variable> inputs{x};
  const Variable a = exp(x);
  SECTION("a temporary") {
    const std::vector<Variable> outputs{tanh(a)};
    FunctionGraph graph(inputs, outputs);
    CHECK(marks(marked(graph)) == 1);
  }
  SECTION("an input and a constant") {
    const std::vector<Variable> outputs{tanh(x), tanh(constant(Tensor::ones({3, 3})))};
    FunctionGraph graph(inputs, outputs);
    CHECK(marks(marked(graph)) == 0);
  }
  SECTION("a result") {
    const std::vector<Variable> outputs{tanh(a), a};
    FunctionGraph graph(inputs, outputs);
    CHECK(marks(marked(graph)) == 0);
  }
  SECTION("a result by way of a view") {
    const std::vector<Variable> outputs{tanh(a), a.T()};
    FunctionGraph graph(inputs, outputs);
    CHECK(marks(marked(graph)) == 0);
  }
  SECTION("two readers: the later one may") {
    const std::vector<Variable> outputs{tanh(a), sin(a)};
    FunctionGraph graph(inputs, outputs);
    CHECK(marks(marked(graph)) == 1);
  }
  SECTION("a view of it is read later") {
    const Variable b = tanh(a);
    const std::vector<Variable> outputs{dot(b, a.T())};
    FunctionGraph graph(inputs, outputs);
    CHECK(marks(marked(graph)) == 0);
  }
  SECTION("the same twice, element by element") {
    const std::vector<Variable> outputs{a * a};
    FunctionGraph graph(inputs, outputs);
    CHECK(marks(marked(graph)) == 1);
  }
  SECTION("the same twice, in another order") {
    const std::vector<Variable> outputs{a + a.T()};
    FunctionGraph graph(inputs, outputs);
    CHECK(marks(marked(graph)) == 0);
  }
  SECTION("an operand that broadcasts") {
    const Variable row = exp(tensor(DType::float32, {1, 3}, "r"));
    const std::vector<Variable> more{x, row.node()->input(0)}, outputs{x + row};
    FunctionGraph graph(more, outputs);
    CHECK(marks(marked(graph)) == 0);
  }
  SECTION("set_subtensor writes into what it is given") {
    const std::vector<Variable> outputs{set_subtensor(a(1), x(0))};
    FunctionGraph graph(inputs, outputs);
    CHECK(marks(marked(graph)) == 1);
  }
}

TEST_CASE("shared variables give way to their own new values only", "[optimizer][inplace]") {
  const SharedVariable a = shared(Tensor::ones({3, 3}), "a", {.shape = Shape{3, 3}});
  const SharedVariable b = shared(Tensor::ones({3, 3}), "b", {.shape = Shape{3, 3}});
  const auto count = [&](const std::vector<Variable>& outputs, std::vector<const SharedVariable*> updated) {
    FunctionGraph graph({}, outputs);
    SpecializeOptions options;
    for (std::size_t i = 0; i < updated.size(); ++i) {
      for (std::size_t s = 0; s < graph.shared().size(); ++s) {
        if (graph.shared()[s].node()->cell() == updated[i]->cell()) {
          options.updates.emplace_back(outputs.size() - updated.size() + i, s);
        }
      }
    }
    return marks(marked(graph, options));
  };
  CHECK(count({a + 1}, {&a}) == 1);
  CHECK(count({a + 1}, {}) == 0);
  CHECK(count({a + 1}, {&b}) == 0);
  // The old value is read by a result: that comes first.
  CHECK(count({sum(a), a + 1}, {&a}) == 1);
  CHECK(count({dot(a, b), a + 1, b * 2}, {&a, &b}) == 2);
  // The new value of b needs the old one of a, and the other way round: one of them needs memory of its own.
  CHECK(count({a + b, a - b}, {&a, &b}) == 1);
  // The old or the new value is handed out.
  CHECK(count({a, a + 1}, {&a}) == 0);
  CHECK(count({a.T(), a + 1}, {&a}) == 0);
  const Variable next = a + 1;
  CHECK(count({next, next}, {&a}) == 0);
  // A function of the new value is no harm.
  CHECK(count({sum(next), next}, {&a}) == 1);
}

TEST_CASE("random graphs never read what was overwritten", "[optimizer][inplace][random]") {
  int total = 0;
  for (int seed = 0; seed < random_cases(300); ++seed) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed) + 5000);
    const RandomGraph made = random_graph(random, 10 + seed % 50, true);
    FunctionGraph graph(made.inputs, made.outputs);
    if (seed % 2 == 0) optimize(graph, Query());
    specialize(graph, Query());
    INFO("seed " << seed << "\n" << to_text(graph));
    graph.check();
    check_memory(graph);
    total += marks(graph);
  }
  CHECK(total > random_cases(300));
}
