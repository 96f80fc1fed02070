#include "croton/optimizer/lint.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/nnet.h"
#include "croton/ops/reduce.h"
#include "croton/optimizer/conv_choice.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/match.h"
#include "croton/optimizer/rewrite_view.h"

namespace croton {

namespace {

using Findings = std::vector<LintFinding>;

std::string line_of(const Node& node) { return to_string(node.where()); }

std::string name_or_expression(const Variable& v) { return v.name().empty() ? spell_node(v) : v.name(); }

/// float64 that no operand asked for alone: it appears where a float32 (or narrower) value, cast on the way,
/// meets a float64 one.
void find_float64(const FunctionGraph& graph, Findings& findings) {
  if (float_x() == DType::float64) return;
  std::unordered_set<const Node*> mixed;    // float64 because of a mixture, here or before
  std::unordered_set<const Node*> widened;  // casts from a narrower type
  for (Node* node : graph.topological_order()) {
    if (node->type().dtype != DType::float64) continue;
    const auto* op = as_elementwise(node->op());
    if (op != nullptr && op->row().rule == DTypeRule::cast) {
      const DType from = node->input(0).dtype();
      if (is_floating(from) && from != DType::float64) widened.insert(node);
      continue;
    }
    bool follows = false;
    std::string narrow, wide;
    const auto add = [](std::string& list, const Variable& v) {
      list += (list.empty() ? "" : ", ") + name_or_expression(v);
    };
    for (const Variable& input : node->inputs()) {
      follows = follows || mixed.contains(input.node());
      if (widened.contains(input.node())) {
        add(narrow, input.node()->input(0));
      } else if (input.dtype() == DType::float64) {
        add(wide, input);
      }
    }
    if (narrow.empty() || wide.empty()) {
      if (follows) mixed.insert(node);
      continue;
    }
    mixed.insert(node);
    if (follows) continue;
    findings.push_back(
        {"float64", line_of(*node),
         fmt::format("{} is float64: {} is float64, {} is not", spell_node(node->output()), wide, narrow),
         fmt::format("make {} {}: declare it so (fmatrix, Tensor of float), or .astype(DType::{})", wide,
                     name_of(float_x()), name_of(float_x()))});
  }
}

/// An axis that an operand was given in order to broadcast, where every other operand has extent 1 too.
void find_broadcasts(const FunctionGraph& graph, Findings& findings) {
  for (Node* node : graph.topological_order()) {
    if (as_elementwise(node->op()) == nullptr || node->input_count() < 2) continue;
    for (int axis = 0; axis < node->type().rank(); ++axis) {
      bool all_ones = true;
      std::size_t others = 0;
      const Variable* spread = nullptr;
      for (const Variable& input : node->inputs()) {
        all_ones = all_ones && input.type().broadcastable(axis);
        const Node* shuffle = node_of(input, "dimshuffle");
        if (shuffle != nullptr && shuffle_pattern(*shuffle)[static_cast<std::size_t>(axis)] < 0) {
          spread = &input;
        } else if (!input.is_constant()) {
          ++others;
        }
      }
      if (!all_ones || spread == nullptr || others == 0) continue;
      const Variable& source = spread->node()->input(0);
      findings.push_back(
          {"broadcast", line_of(*node),
           fmt::format("{} never broadcasts along axis {}: every operand has extent 1 there",
                       spell_node(node->output()), axis),
           fmt::format(
               "leave the axis out of the dimshuffle of {}, or declare the operand with more than one "
               "element along it",
               source.name().empty() ? spell_node(source) : source.name())});
      break;
    }
  }
}

/// What computes v, views and slices looked through.
const Node* behind_views(const Variable& v) {
  const Node* node = v.node();
  for (int depth = 0; depth < 8 && node->is_apply(); ++depth) {
    const std::string& name = node->op().name();
    if (name != "dimshuffle" && name != "subtensor" && name != "reshape") break;
    node = node->input(0).node();
  }
  return node->is_apply() ? node : nullptr;
}

bool is(const Node* node, std::string_view op) { return node != nullptr && node->op().name() == op; }

/// A number that all elements of an operand are equal to, views looked through.
bool is_number(const Variable& v, double number) { return uniform_value(v) == std::optional(number); }

void find_unstable_log(const Node& node, const auto& report) {
  const Node* argument = behind_views(node.input(0));
  bool has_epsilon = false;
  if (is(argument, "add")) {  // log(p + 1e-8): the guard that one then writes
    for (const Variable& input : argument->inputs()) {
      const Node* summand = behind_views(input);
      if (is(summand, "softmax") || is(summand, "sigmoid")) {
        argument = summand;
        has_epsilon = true;
        break;
      }
    }
  }
  const char* guard =
      has_epsilon ? " (the constant that is added hides the overflow and bends the result)" : "";
  if (is(argument, "softmax"))
    return report(std::string("log of a softmax is -inf where softmax underflows") + guard,
                  "log_softmax(x), or categorical_crossentropy(softmax(x), y) as it is");
  if (is(argument, "sigmoid"))
    return report(std::string("log of a sigmoid is -inf below about -100") + guard, "-softplus(-x)");
  if (is(argument, "sum")) {
    const Node* summand = behind_views(argument->input(0));
    if (is(summand, "exp"))
      report("log of a sum of exponentials overflows above about 88",
             "subtract the maximum: m + log(sum(exp(x - m))) with m = max(x)");
    else if (is(summand, "softmax"))
      report("log of a part of a softmax is -inf where softmax underflows",
             "add up log_softmax(x), or use categorical_crossentropy(softmax(x), y) as it is");
  }
  if (is(argument, "mul")) {
    for (const Variable& input : argument->inputs()) {
      const Node* factor = behind_views(input);
      if (!is(factor, "softmax") && !is(factor, "sigmoid") && !is(factor, "exp")) continue;
      return report(fmt::format("log of a product with {} loses what underflows there", factor->op().name()),
                    "the sum of the logarithms of the factors");
    }
  }
}

void find_unstable(const FunctionGraph& graph, Findings& findings) {
  for (Node* node : graph.topological_order()) {
    const auto report = [&](const std::string& what, const std::string& advice) {
      findings.push_back(
          {"unstable", line_of(*node), fmt::format("{}: {}", spell_node(node->output()), what), advice});
    };
    const std::string& name = node->op().name();
    if (name == "log") find_unstable_log(*node, report);
    if (name == "true_div" && is(behind_views(node->input(0)), "exp") &&
        is(behind_views(node->input(1)), "sum")) {
      const Node* total = behind_views(node->input(1));
      if (is(behind_views(total->input(0)), "exp"))
        report("a quotient of exponentials overflows above about 88", "softmax(x, axis)");
    }
    if (name == "sub" && is(node->input(0).node()->is_apply() ? node->input(0).node() : nullptr, "exp") &&
        is_number(node->input(1), 1))
      report("exp(x) - 1 loses all digits near x = 0", "expm1(x)");
    if (name == "sub" && is(behind_views(node->input(0)), "true_div") &&
        is(behind_views(node->input(1)), "sqr")) {
      const Node* mean = behind_views(node->input(0));
      const Node* total = behind_views(mean->input(0));
      if (is(total, "sum") && is(behind_views(total->input(0)), "sqr"))
        report("mean(x**2) - mean(x)**2 cancels where the mean is large, and may be negative", "var(x)");
    }
  }
}

void find_poor_convolutions(const FunctionGraph& typed, const Query& query, const Device& device,
                            Findings& findings) {
  for (Node* node : typed.topological_order()) {
    if (!is_abstract_convolution(*node)) continue;
    const std::string label = node_label(*node);
    if (!is_open_convolution(*node)) {
      findings.push_back({"convolution", line_of(*node),
                          label + " cannot be judged: its shapes are not all known",
                          "give them: --shapes 'x=[500,1,28,28]'"});
      continue;
    }
    ConvProblem problem = conv_problem_in_graph(*node);
    if (problem.device.is_host()) problem.device = device;  // nothing is placed yet
    try {
      const ConvChoice choice = choose_convolution(problem, query);
      const auto chosen = std::ranges::find(choice.entries, choice.chosen, &ConvChoice::Entry::candidate);
      if (chosen->support.kind != Support::Kind::poor) continue;
      findings.push_back({"convolution", line_of(*node),
                          fmt::format("no implementation is good at {}\n{}", label, choice.text()),
                          chosen->support.reason.empty() ? "other options of the convolution"
                                                         : "avoid that " + chosen->support.reason});
    } catch (const DeviceError& error) {
      findings.push_back({"convolution", line_of(*node), error.what(), "exclude fewer implementations"});
    }
  }
}

void find_transfers(const FunctionGraph& specialised, Findings& findings) {
  for (Node* node : specialised.topological_order()) {
    const std::string& name = node->op().name();
    if (name != "host_from_gpu" && name != "gpu_from_host") continue;
    const bool is_result = name == "host_from_gpu" && specialised.is_output(node->output());
    const bool is_argument = name == "gpu_from_host" && node->input(0).is_input();
    if (is_result || is_argument) continue;
    std::string client = "the caller";
    for (const Use& use : node->uses()) client = node_label(*use.node);
    const Variable& moved = node->input(0);
    findings.push_back(
        {"transfer", line_of(*node),
         fmt::format("{} moves {} between the host and the device within the step, for {}", node_label(*node),
                     moved.name().empty() ? spell_node(moved) : moved.name(), client),
         "an op that has device code; `croton why-not` on that node says what keeps it on the host"});
  }
}

}  // namespace

std::vector<LintFinding> lint(const LintGraphs& graphs, const Query& query, const Device& device) {
  Findings findings;
  find_float64(graphs.built, findings);
  find_broadcasts(graphs.built, findings);
  find_unstable(graphs.general, findings);
  find_poor_convolutions(graphs.typed, query, device, findings);
  find_transfers(graphs.specialised, findings);
  // One place may be met several times: by its gradient, by copies of it.
  Findings once;
  for (LintFinding& finding : findings) {
    const bool known = std::ranges::any_of(once, [&](const LintFinding& other) {
      return other.kind == finding.kind && other.where == finding.where && other.what == finding.what;
    });
    if (!known) once.push_back(std::move(finding));
  }
  return once;
}

}  // namespace croton
