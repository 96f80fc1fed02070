#include <catch2/catch.hpp>

#include "croton/graph/error.h"
#include "croton/graph/text_form.h"
#include "croton/ops/evaluate.h"
#include "croton/optimizer/optimizer.h"
#include "random_cases.h"
#include "random_graphs.h"
#include "rewrite_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

void check_same(const std::vector<Tensor>& wanted, const std::vector<Tensor>& got) {
  REQUIRE(wanted.size() == got.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    INFO("output " << i << " before\n" << wanted[i] << "\nafter\n" << got[i]);
    CHECK(wanted[i].dtype() == got[i].dtype());
    REQUIRE(allclose(got[i], wanted[i], 1e-6, 1e-8, true));
  }
}

}  // namespace

TEST_CASE("random graphs keep their values and come to rest", "[optimizer][random]") {
  for (int seed = 0; seed < random_cases(400); ++seed) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed));
    const RandomGraph made = random_graph(random, 5 + seed % 40, seed % 2 == 0);
    INFO("seed " << seed << "\n" << to_text(made.outputs));
    const auto values = random_values(made.inputs, -1, 1, random);
    const std::vector<Tensor> wanted = evaluate(made.outputs, values);

    FunctionGraph graph(made.inputs, made.outputs);
    optimize(graph, Query());
    graph.check();
    INFO("optimized\n" << to_text(graph));
    check_same(wanted, evaluate(graph.outputs(), values_for(graph, made.inputs, values)));
    const std::uint64_t changes = graph.change_count();
    OptimizerReport again;
    optimize(graph, Query(), &again);
    INFO(again.text());
    CHECK(graph.change_count() == changes);

    std::vector<TensorType> types;
    for (const Variable& input : made.inputs) types.push_back({input.dtype(), values.at(input).shape()});
    const auto typed = graph.with_types(types, {});
    specialize(*typed, Query());
    INFO("specialized\n" << to_text(*typed));
    typed->check();
    check_same(wanted, evaluate(typed->outputs(), values_for(*typed, made.inputs, values)));
  }
}

TEST_CASE("every query gives the same values", "[optimizer][random][query]") {
  const std::vector<Query> queries{Query(ModeName::None),
                                   Query(ModeName::FAST_COMPILE),
                                   Query().excluding("reassociates"),
                                   Query().excluding("constant_folding"),
                                   Query().excluding("canonicalize:stabilize"),
                                   Query().requiring("fusion")};
  for (int seed = 0; seed < random_cases(60); ++seed) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed) + 1000);
    const RandomGraph made = random_graph(random, 20, true);
    const auto values = random_values(made.inputs, -1, 1, random);
    const std::vector<Tensor> wanted = evaluate(made.outputs, values);
    for (const Query& query : queries) {
      FunctionGraph graph(made.inputs, made.outputs);
      optimize(graph, query);
      specialize(graph, query);
      INFO("seed " << seed << "\n" << to_text(graph));
      graph.check();
      check_same(wanted, evaluate(graph.outputs(), values_for(graph, made.inputs, values)));
    }
  }
}
