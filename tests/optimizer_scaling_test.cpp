#include <catch2/catch.hpp>
#include <set>

#include "croton/graph/subgraph.h"
#include "croton/ops/composite.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/reduce.h"
#include "croton/optimizer/optimizer.h"

using namespace croton;

namespace {

std::uint64_t visits(const OptimizerReport& report) {
  std::uint64_t count = 0;
  for (const OptimizerReport::Phase& phase : report.phases) count += phase.visits;
  return count;
}

}  // namespace

TEST_CASE("a chain of 48,000 nodes becomes equal kernels", "[optimizer][scaling][fusion]") {
  const Variable x = tensor(DType::float32, {1000}, "x");
  std::vector<Variable> v(7, x);
  for (int i = 6; i < 16006; ++i) {
    v.push_back(tanh(1.5 * v[static_cast<std::size_t>(i)] + v[static_cast<std::size_t>(i - 6)]));
  }
  const std::vector<Variable> inputs{x}, outputs{v.back()};
  FunctionGraph graph(inputs, outputs);
  CHECK(graph.apply_count() == 48000);
  OptimizerReport report;
  optimize(graph, Query(), &report);
  specialize(graph, Query(), {}, &report);
  // Each phase looks at each node a few times, however many there are.
  CHECK(visits(report) < 15 * 48000);
  // Towards the end some values have one reader only, and kernels are larger.
  CHECK(graph.apply_count() <= 16000);
  CHECK(graph.apply_count() > 15900);
  std::set<const Subgraph*> bodies;
  for (const Node* node : graph.topological_order()) {
    if (&node->op() == &composite_op()) {
      bodies.insert(node->attributes().get<std::shared_ptr<const Subgraph>>("body").get());
    }
  }
  CHECK(bodies.size() <= 8);
}

TEST_CASE("100,000 nodes of every kind take work in proportion", "[optimizer][scaling]") {
  const auto work = [](int steps) {
    const Variable x = tensor(DType::float32, {8, 8}, "x");
    Variable v = x, total = sum(x);
    for (int i = 0; i < steps; ++i) {
      // Something to cancel, to fold, to stabilize, to reduce at each step.
      const Variable y = log(1 + exp(v * 2 / 2 + 0));
      v = y.T().T() - x + x * 1;
      if (i % 10 == 0) total = total + sum(v * 3);
    }
    const std::vector<Variable> inputs{x}, outputs{total, v};
    FunctionGraph graph(inputs, outputs);
    const std::size_t before = graph.apply_count();
    OptimizerReport report;
    optimize(graph, Query(), &report);
    specialize(graph, Query(), {}, &report);
    CHECK(report.applications("softplus_from_log1p") == static_cast<std::uint64_t>(steps));
    return std::pair(before, visits(report));
  };
  const auto [few_nodes, few_visits] = work(1000);
  const auto [nodes, many_visits] = work(10000);
  CHECK(nodes > 100000);
  const double ratio = static_cast<double>(nodes) / static_cast<double>(few_nodes);
  CHECK(static_cast<double>(many_visits) < 1.2 * ratio * static_cast<double>(few_visits));
}

TEST_CASE("one long sum and one variable with many readers stay cheap", "[optimizer][scaling]") {
  const Variable x = tensor(DType::float32, {8}, "x");
  Variable total = x;
  for (int i = 0; i < 30000; ++i) total = total + x * static_cast<double>(i + 2);
  const std::vector<Variable> inputs{x}, outputs{total};
  FunctionGraph graph(inputs, outputs);
  OptimizerReport report;
  optimize(graph, Query(), &report);
  specialize(graph, Query(), {}, &report);
  CHECK(visits(report) < 30 * 60000);
}
