#include "croton/optimizer/conv_choice.h"

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/ops/conv.h"

namespace croton {

namespace {

bool has_static_shapes(const Node& node) {
  return node.type().shape.is_known() && node.input(0).type().shape.is_known() &&
         node.input(1).type().shape.is_known();
}

std::vector<const ConvCandidate*> in_order(const Query& query) {
  std::vector<const ConvCandidate*> order;
  const auto add = [&](const ConvCandidate* candidate) {
    if (std::ranges::find(order, candidate) == order.end()) order.push_back(candidate);
  };
  for (const std::string& name : query.included()) {
    for (const ConvCandidate* candidate : conv_candidates()) {
      if (candidate->tag == name) add(candidate);
    }
  }
  for (const ConvCandidate* candidate : conv_candidates()) add(candidate);
  return order;
}

std::string answer(const ConvChoice::Entry& entry) {
  if (entry.is_excluded) return fmt::format("excluded by optimizer_excluding={}", entry.candidate->tag);
  switch (entry.support.kind) {
    case Support::Kind::accept:
      return "takes it";
    case Support::Kind::poor:
      return "poor here: " + entry.support.reason;
    default:
      return "refuses: " + entry.support.reason;
  }
}

}  // namespace

std::string ConvChoice::text() const {
  std::string text = to_string(problem) + "\n";
  for (const Entry& entry : entries) {
    text += fmt::format("  {} {}: {}\n", entry.candidate == chosen ? "*" : " ", entry.candidate->name,
                        answer(entry));
  }
  return text;
}

ConvChoice choose_convolution(const ConvProblem& problem, const Query& query) {
  ConvChoice choice;
  choice.problem = problem;
  const ConvCandidate* first_poor = nullptr;
  for (const ConvCandidate* candidate : in_order(query)) {
    ConvChoice::Entry entry{candidate, query.excludes(candidate->tag), {}};
    if (!entry.is_excluded) {
      entry.support = candidate->support(problem);
      if (candidate->costly && query.mode() == ModeName::FAST_COMPILE &&
          entry.support.kind == Support::Kind::accept) {
        entry.support = poor("FAST_COMPILE makes no machine code for a convolution");
      }
      // What the user asks for by name is taken, poor or not.
      const bool is_wanted = query.includes(candidate->tag) && entry.support.kind != Support::Kind::refuse;
      if (choice.chosen == nullptr && (is_wanted || entry.support.kind == Support::Kind::accept)) {
        choice.chosen = candidate;
      }
      if (first_poor == nullptr && entry.support.kind == Support::Kind::poor) first_poor = candidate;
    }
    choice.entries.push_back(std::move(entry));
  }
  if (choice.chosen == nullptr) choice.chosen = first_poor;
  if (choice.chosen == nullptr) {
    throw DeviceError("no implementation takes this convolution:\n" + choice.text() +
                      "exclude fewer of them, or change the options of the convolution");
  }
  return choice;
}

bool is_abstract_convolution(const Node& node) {
  if (!node.is_apply()) return false;
  const Op* op = &node.op();
  return op == &conv2d_op() || op == &conv2d_grad_inputs_op() || op == &conv2d_grad_weights_op();
}

bool is_open_convolution(const Node& node) {
  return is_abstract_convolution(node) && has_static_shapes(node);
}

void choose_convolutions(FunctionGraph& graph, const Query& query) {
  std::vector<Ref<Node>> found;
  for (const Ref<Node>& node : graph.nodes()) {
    if (is_open_convolution(*node)) found.push_back(node);
  }
  // By age, so that two compilations of one graph make their nodes in the same order.
  std::ranges::sort(found, {}, [](const Ref<Node>& node) { return node->id(); });
  for (const Ref<Node>& node : found) {
    const ConvProblem problem = conv_problem(*node);
    const ConvCandidate& chosen = *choose_convolution(problem, query).chosen;
    const Variable result = chosen.build(problem, node->input(0), node->input(1), node->attributes());
    graph.replace(node->output(), result, chosen.tag);
  }
}

std::span<const std::string_view> conv_tags() {
  static const std::vector<std::string_view> tags = [] {
    std::vector<std::string_view> all;
    for (const ConvCandidate* candidate : conv_candidates()) all.push_back(candidate->tag);
    return all;
  }();
  return tags;
}

}  // namespace croton
