#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "croton/graph/text_form.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/expression.h"
#include "croton/optimizer/optimizer.h"
#include "croton/optimizer/phases.h"
#include "places.h"
#include "rewrite_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

std::vector<std::filesystem::path> golden_files() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(source_file("tests/rewrites"))) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

void check_values(const std::vector<Variable>& outputs, const std::vector<Variable>& inputs,
                  const FunctionGraph& graph, const RewriteCase& test) {
  std::mt19937_64 random(7);
  for (int repeat = 0; repeat < 3; ++repeat) {
    const auto values = random_values(inputs, test.low, test.high, random);
    const std::vector<Tensor> before = evaluate(outputs, values);
    const std::vector<Tensor> after = evaluate(graph.outputs(), values_for(graph, inputs, values));
    for (std::size_t i = 0; i < before.size(); ++i) {
      INFO("output " << i << " before\n" << before[i] << "\nafter\n" << after[i]);
      CHECK(before[i].dtype() == after[i].dtype());
      CHECK(allclose(after[i], before[i], 2e-4, 1e-5, true));
    }
  }
}

}  // namespace

// CROTON_UPDATE_GOLDEN=1 writes what comes out into the files instead; review it as a diff.
TEST_CASE("graphs are rewritten as the golden files say", "[optimizer][golden]") {
  const bool update = std::getenv("CROTON_UPDATE_GOLDEN") != nullptr;
  std::set<std::string_view> applied;
  for (const std::filesystem::path& path : golden_files()) {
    RewriteFile file = read_rewrites(path.string());
    for (RewriteCase& test : file.cases) {
      INFO(path.filename().string() << ": " << test.name);
      const std::vector<Variable> inputs = parse_declarations(test.inputs);
      const std::vector<Variable> outputs = parse_expression(test.expression, inputs);
      FunctionGraph graph(inputs, outputs);
      OptimizerReport report;
      optimize(graph, test.query, &report);
      graph.check();
      const std::uint64_t changes = graph.change_count();
      optimize(graph, test.query);
      CHECK(graph.change_count() == changes);
      SpecializeOptions options;
      options.device = test.device;
      options.supports = [&](const Node& node) {
        return std::ranges::find(test.without, node.op().name()) == test.without.end();
      };
      options.has_epilogues = [](const Node&) { return true; };
      if (test.specialized) specialize(graph, test.query, options, &report);
      graph.check();
      for (const OptimizerReport::Phase& phase : report.phases) {
        for (const OptimizerReport::Rule& rule : phase.rules) {
          if (rule.applications != 0) applied.insert(rule.name);
        }
      }
      check_values(outputs, inputs, graph, test);
      const std::string text = to_text(graph);
      if (update) {
        test.expected = text;
      } else {
        CHECK(text == test.expected);
        CHECK(equal_graphs(parse_graph(text), parse_graph(test.expected)));
      }
    }
    if (update) write_rewrites(file);
  }
  // A rule with a pattern is sampled by itself; one without needs a case here.
  for (const std::vector<RewritePhase>* phases : {&general_phases(), &specialize_phases()}) {
    for (const RewritePhase& phase : *phases) {
      for (const RuleSet* set : phase.rules) {
        for (const Rule& rule : *set) {
          INFO("the rule " << rule.name() << " has no pattern and applies in no golden case");
          CHECK((rule.left() || applied.contains(rule.name())));
        }
      }
    }
  }
}
