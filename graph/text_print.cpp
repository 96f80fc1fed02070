// Writes graphs as text. See docs/text_form.md.

#include <fmt/format.h>

#include <unordered_set>

#include "croton/graph/node.h"
#include "croton/graph/op.h"
#include "croton/graph/shared_variable.h"
#include "croton/graph/subgraph.h"
#include "croton/graph/text.h"
#include "croton/graph/text_form.h"
#include "croton/graph/text_names.h"
#include "croton/graph/text_value.h"

namespace croton {
namespace {

/// Constants in definitions: so many elements are listed, more are base64.
constexpr std::int64_t listed_elements = 64;

class GraphPrinter {
 public:
  GraphPrinter(const TextOptions& options, std::size_t indent) : options_(options), margin_(indent, ' ') {}

  std::string print(std::string_view name, std::span<const Variable> inputs,
                    std::span<const Variable> outputs, std::span<Node* const> order,
                    std::span<const std::pair<Variable, Variable>> updates = {}) {
    text_ = "graph";
    if (!name.empty()) text_ += ' ' + (is_identifier(name) ? std::string(name) : quoted_text(name));
    text_ += '(';
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (i > 0) text_ += ", ";
      text_ += names_.define(inputs[i]) + ": " + to_string(inputs[i].type());
      add_location(*inputs[i].node());
    }
    text_ += ") {\n";
    for (const Node* node : order) {
      for (const Variable& input : node->inputs()) declare_leaf(input);
    }
    for (const Variable& output : outputs) declare_leaf(output);
    for (const auto& [target, value] : updates) {
      declare_leaf(target);
      declare_leaf(value);
    }
    for (const Node* node : order) add_node(*node);
    start_line() += "return";
    for (std::size_t i = 0; i < outputs.size(); ++i) text_ += (i > 0 ? ", " : " ") + operand(outputs[i]);
    text_ += '\n';
    for (const auto& [target, value] : updates)
      start_line() += fmt::format("update {} = {}\n", names_.use(target), operand(value));
    text_ += margin_ + '}';
    return std::move(text_);
  }

 private:
  std::string& start_line() { return text_ += margin_ + "  "; }

  void add_location(const Node& node) {
    if (options_.locations && node.where().known())
      text_ += fmt::format(" at {}:{}", quoted_text(node.where().file), node.where().line);
  }

  bool is_inline(const Variable& v) const {
    return v.is_constant() && v.name().empty() && !names_.knows(v) &&
           (v.constant_value().size() <= options_.inline_elements || is_uniform(v.constant_value()));
  }

  /// Shared variables, inputs that are in no list (as `input`) and larger constants.
  void declare_leaf(const Variable& v) {
    if (v.node()->is_apply() || names_.knows(v)) return;
    switch (v.node()->kind()) {
      case Node::Kind::constant:
        if (is_inline(v)) return;
        start_line() +=
            "const " + names_.define(v) + " = " + constant_text(v.constant_value(), listed_elements);
        break;
      case Node::Kind::shared:
        start_line() += "shared " + names_.define(v) + ": " + to_string(v.type());
        if (options_.shared_values) add_shared_value(*v.node()->cell());
        break;
      default:
        start_line() += "input " + names_.define(v) + ": " + to_string(v.type());
    }
    add_location(*v.node());
    text_ += '\n';
  }

  void add_shared_value(SharedCell& cell) {
    const std::shared_lock lock(cell.mutex());
    if (cell.value().defined()) text_ += " = " + constant_text(cell.value(), listed_elements);
  }

  std::string operand(const Variable& v) const {
    return is_inline(v) ? constant_text(v.constant_value(), listed_elements) : names_.use(v);
  }

  void add_node(const Node& node) {
    start_line();
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      if (i > 0) text_ += ", ";
      text_ += names_.define(node.output(i));
    }
    text_ += " = " + node.op().name() + '(';
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (i > 0) text_ += ", ";
      text_ += operand(node.input(i));
    }
    text_ += ')';
    add_attributes(node.attributes());
    for (std::size_t i = 0; i < node.output_count(); ++i)
      text_ += (i == 0 ? " : " : ", ") + to_string(node.type(i));
    add_location(node);
    if (options_.rewrites && node.last_rewrite() != nullptr) {
      text_ += "  // by";
      for (std::string_view rule : node.rewrites()) text_ += ' ' + std::string(rule);
    }
    text_ += '\n';
  }

  void add_attributes(const Attributes& attributes) {
    if (attributes.empty()) return;
    text_ += " {";
    bool first = true;
    for (const auto& [name, value] : attributes) {
      if (!first) text_ += ", ";
      first = false;
      text_ += (is_identifier(name) ? name : quoted_text(name)) + '=';
      if (const auto* body = std::get_if<std::shared_ptr<const Subgraph>>(&value)) {
        text_ += GraphPrinter(options_, margin_.size() + 2)
                     .print("", (*body)->inputs(), (*body)->outputs(), (*body)->nodes());
      } else if (const auto* word = std::get_if<std::string>(&value)) {
        text_ += is_bare_word(*word) ? *word : quoted_text(*word);
      } else if (const auto* number = std::get_if<double>(&value)) {
        text_ += double_text(*number);
      } else {
        text_ += to_string(value);
      }
    }
    text_ += '}';
  }

  const TextOptions& options_;
  std::string margin_;
  std::string text_;
  TextNames names_;
};

}  // namespace

std::vector<Variable> TextGraph::results() const {
  std::vector<Variable> all = outputs;
  for (const auto& [target, value] : updates) all.push_back(value);
  return all;
}

TextGraph cut_at_inputs(const TextGraph& graph) {
  std::unordered_map<Variable, Variable> fresh;
  for (const Variable& input : graph.inputs) {
    if (!input.is_input())
      fresh.emplace(input, Variable(Node::make_input(input.type(), input.name(), input.node()->where())));
  }
  if (fresh.empty()) return graph;
  // All at once, so that what they share stays shared.
  const std::vector<Variable> results = clone(graph.results(), fresh);
  const auto end = results.begin() + static_cast<std::ptrdiff_t>(graph.outputs.size());
  TextGraph cut{graph.name, graph.inputs, {results.begin(), end}};
  for (std::size_t i = 0; i < graph.updates.size(); ++i)
    cut.updates.emplace_back(graph.updates[i].first, end[static_cast<std::ptrdiff_t>(i)]);
  for (Variable& input : cut.inputs) {
    if (const auto entry = fresh.find(input); entry != fresh.end()) input = entry->second;
  }
  return cut;
}

std::string to_text(const TextGraph& graph, const TextOptions& options) {
  const TextGraph cut = cut_at_inputs(graph);
  const std::vector<Node*> order = topological_order(cut.results());
  return GraphPrinter(options, 0).print(cut.name, cut.inputs, cut.outputs, order, cut.updates) + '\n';
}

std::string to_text(const FunctionGraph& graph, std::string name, const TextOptions& options) {
  return GraphPrinter(options, 0).print(name, graph.inputs(), graph.outputs(), graph.topological_order()) +
         '\n';
}

std::string to_text(const std::vector<Variable>& outputs, const TextOptions& options) {
  return to_text(text_graph(outputs), options);
}

TextGraph text_graph(const std::vector<Variable>& outputs) {
  TextGraph graph{"", {}, outputs};
  std::unordered_set<Variable> seen;
  const auto meet = [&](const Variable& v) {
    if (v.is_input() && seen.insert(v).second) graph.inputs.push_back(v);
  };
  for (const Node* node : topological_order(outputs)) {
    for (const Variable& input : node->inputs()) meet(input);
  }
  for (const Variable& output : outputs) meet(output);
  return graph;
}

TextGraph text_graph(const FunctionGraph& graph, std::string name) {
  return {std::move(name), graph.inputs(), graph.outputs(), {}};
}

}  // namespace croton
