// Follows docs/add_a_rewrite.md: every line of C++ on that page stands here.
#include <catch2/catch.hpp>
#include <fstream>
#include <set>

#include "croton/graph/text_form.h"
#include "croton/ops/expression.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rewriter.h"
#include "places.h"

namespace croton {
namespace {

using namespace pattern;
using Catch::Matchers::Contains;

const RuleSet& angle_rules() {
  static const RuleSet rules = {
      rule("sin_of_arcsin", sin(arcsin(x)), x).assumes_finite().on(-0.9, 0.9).tagged("trigonometry"),
      rule("circle", sqr(sin(x)) + sqr(cos(x)), 1).assumes_finite().tagged("trigonometry"),
  };
  return rules;
}

/// abs of a product is the product of the abs of its factors.
Replacement abs_of_product(Match& match) {
  const Node* product = node_of(match.input(0), "mul");
  if (product == nullptr || !match.sole_use(match.input(0))) return {};
  std::vector<Variable> factors;
  for (const Variable& factor : product->inputs()) factors.push_back(elementwise("abs", {factor}));
  return elementwise("mul", factors);
}

const RuleSet& product_of_abs_rules() {
  static const RuleSet rules = {
      // clang-format off
rule("abs_of_product", Roots("abs"), abs_of_product)
      // clang-format on
  };
  return rules;
}

std::string rewritten(const char* expression, const RuleSet& rules) {
  const std::vector<Variable> inputs = parse_declarations("x: vector, y: vector");
  FunctionGraph graph(inputs, parse_expression(expression, inputs));
  std::vector<const Rule*> list;
  for (const Rule& rule : rules) list.push_back(&rule);
  OptimizerReport::Phase report{"recipe", 0, 0, 0, 0, {}};
  rewrite(graph, list, report);
  return to_text(graph);
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("the rules of the recipe work as it says", "[optimizer][docs]") {
  CHECK_THAT(rewritten("sin(arcsin(x))", angle_rules()), Contains("return %x"));
  CHECK_THAT(rewritten("sqr(sin(x)) + sqr(cos(x)) + y", angle_rules()), !Contains("cos"));
  CHECK_THAT(rewritten("abs(x * y)", product_of_abs_rules()), Contains("mul(%1, %0)"));
}

TEST_CASE("the recipe for rewrites is what the test follows", "[optimizer][docs]") {
  const std::vector<std::string> here = lines_of(test::source_file("tests/add_a_rewrite_test.cpp"));
  const std::set<std::string> known(here.begin(), here.end());
  bool code = false;
  int compared = 0;
  for (const std::string& line : lines_of(test::source_file("docs/add_a_rewrite.md"))) {
    if (line.starts_with("```")) {
      code = line == "```cpp";
    } else if (code && !line.empty()) {
      INFO(line);
      CHECK(known.contains(line));
      ++compared;
    }
  }
  CHECK(compared > 15);
}

}  // namespace croton
