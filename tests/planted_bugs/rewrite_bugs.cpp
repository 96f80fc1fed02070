// Wrong rewrites, gradients and types: what is found before anything runs.

#include <fmt/format.h>

#include "bugs.h"
#include "croton/croton.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/phases.h"
#include "croton/runtime/bisect.h"
#include "planted_op.h"

namespace planted {

using namespace croton;

namespace {

const Tensor positive{0.5f, 1.5f, 2.5f, 4.f, 7.f};

RuleSet wrong_rules() {
  using namespace pattern;
  return {rule("planted_log_of_product", log(x * y), log(x) - log(y)).opt_in(),
          // Both are right, but which one is taken changes from time to time.
          rule("planted_undecided", Roots("sinh"), [](Match& match) -> Replacement {
            static int count = 0;
            const Variable x = match.input(0);
            const Variable twice = croton::exp(x) - croton::exp(croton::neg(x));
            return ++count % 3 == 0 ? twice * 0.5 : twice / 2.0;
          }).opt_in()};
}

void wrong_rule() {
  const Variable x = vector("x"), y = vector("y");
  const Function f = function({x, y}, log(x * y) + 1,
                              {.mode = Mode("DebugMode").including("planted_log_of_product"), .name = "f"});
  f(positive, positive);
}

/// The wrong rule deep in a graph: bisect must come back with the product and its logarithm alone.
void bisected_rule() {
  const Variable x = matrix("x"), y = matrix("y");
  SharedVariable w = shared(Tensor::ones({6, 6}), "w");
  Variable z = tanh(dot(x, w));
  for (int i = 0; i < 5; ++i) z = z + sqr(tanh(dot(z, w)) * 0.5);
  z = z + log((sqr(z) + 1.0) * exp(y));
  for (int i = 0; i < 5; ++i) z = softmax(dot(z, w) + z);
  const auto found = bisect({"f", {x, y}, {sum(z), z * 2}}, {Tensor::ones({6, 6}), Tensor::ones({6, 6})},
                            Mode("FAST_RUN").including("planted_log_of_product"));
  if (!found) throw ValueError("bisect found nothing");
  if (found->nodes_after > 3 || found->inputs.at(0).size() > 4) {
    throw ValueError(
        fmt::format("bisect stopped at {} nodes: {}", found->nodes_after, to_text(found->graph)));
  }
  if (found->program().find("return wrong == 0 ? 0 : 1;") == std::string::npos)
    throw ValueError("no program");
  throw BadOptimization(found->report);
}

void undecided_rule() {
  const Variable x = vector("x");
  const Function f =
      function({x}, sinh(x) + 1, {.mode = Mode("DebugMode").including("planted_undecided"), .name = "f"});
  f(positive);
}

void wrong_gradient() {
  const Op& cube =
      planted_op({.name = "planted_cube",
                  .infer = {},
                  .evaluate = [](std::span<const Tensor> in) -> std::vector<Tensor> {
                    const Tensor x = in[0].astype(DType::float64);
                    std::vector<double> values = x.to_vector<double>();
                    for (double& v : values) v = v * v * v;
                    return {Tensor(values, x.shape()).astype(in[0].dtype())};
                  },
                  .grad = [](const Node& node, std::span<const Variable> g) -> std::vector<InputGradient> {
                    return {g[0] * 2.0 * sqr(node.input(0))};
                  },
                  .step = {},
                  .lower = {},
                  .inplace_candidates = {}});
  const Variable x = vector("x");
  const Variable cost = sum(apply_op(cube, {x}));
  function({x}, grad(cost, x), {.mode = "DebugMode", .name = "f"});
  const Function f = function({x}, cost, {.mode = "DebugMode", .name = "f"});
  f(positive);
}

void wrong_shape() {
  const Op& op = planted_op(
      {.name = "planted_wrong_shape",
       .infer = [](std::span<const Variable> in) -> std::vector<TensorType> {
         const Shape& shape = in[0].type().shape;
         return {{in[0].dtype(), {shape[1], shape[0]}}};
       },
       .evaluate = [](std::span<const Tensor> in) -> std::vector<Tensor> { return {in[0].copy()}; },
       .grad = {},
       .step = {},
       .lower = {},
       .inplace_candidates = {}});
  const Variable x = matrix("x");
  function({x}, apply_op(op, {x}) + 1, {.mode = "DebugMode", .name = "f"})(Tensor::ones({3, 5}));
}

}  // namespace

std::vector<Bug> rewrite_bugs() {
  register_rules("canonicalize", wrong_rules());
  return {{"wrong rule", "BadOptimization", "planted_log_of_product", wrong_rule},
          {"wrong rule, bisected", "BadOptimization", "planted_log_of_product", bisected_rule},
          {"undecided rule", "StochasticOrder", "planted_undecided", undecided_rule},
          {"wrong gradient", "BadGradient", "planted_cube", wrong_gradient},
          {"wrong shape inference", "InvalidValueError", "planted_wrong_shape", wrong_shape}};
}

}  // namespace planted
