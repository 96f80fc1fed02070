#include "croton/graph/debugprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "croton/graph/error.h"
#include "croton/graph/node.h"
#include "croton/graph/op.h"
#include "croton/graph/subgraph.h"
#include "croton/graph/tensor.h"
#include "croton/graph/text_value.h"

namespace croton {
namespace {

/// Deeper than this a line in front of every level would make the text quadratic.
constexpr int drawn_levels = 500;
constexpr std::size_t longest_constant = 20;

/// 0 is A, 25 is Z, 26 is BA: base 26 as Theano counts.
std::string letters(std::size_t number) {
  std::string text;
  do {
    text.insert(text.begin(), static_cast<char>('A' + number % 26));
    number /= 26;
  } while (number != 0);
  return text;
}

std::string map_text(char kind, const std::vector<std::pair<int, int>>& pairs) {
  std::string text;
  for (const auto& [output, input] : pairs)
    text += fmt::format("{}{}: [{}]", text.empty() ? "" : ", ", output, input);
  return text.empty() ? text : fmt::format("{}={{{}}}", kind, text);
}

constexpr std::string_view bold = "1", faint = "2", green = "32", yellow = "33", cyan = "36";

std::string shape_text(const Shape& shape) {
  std::string text = "(";
  for (const std::int64_t extent : shape)
    text += (text.size() > 1 ? ", " : "") + (extent == unknown ? "?" : fmt::format("{}", extent));
  return text + (shape.rank() == 1 ? ",)" : ")");
}

class TreePrinter {
 public:
  explicit TreePrinter(const DebugprintOptions& options)
      : options_(options), done_(options.done != nullptr ? *options.done : own_done_) {
    if (options.depth < -1)
      throw ValueError(fmt::format("debugprint: depth is {}; expected -1 (all) or more", options.depth));
  }

  /// The variables printed belong to this graph.
  void use(const FunctionGraph& graph) {
    const std::vector<Node*> order = graph.topological_order();
    for (std::size_t i = 0; i < order.size(); ++i) positions_.emplace(order[i], i);
    graph_ = &graph;
  }

  void print(const Variable& root) {
    if (options_.depth != 0) walk(root);
  }

  std::string take() {
    // The clients of what is printed early are numbered late.
    for (const auto& [at, variable] : pending_clients_) text_[at] += clients_text(variable);
    if (options_.print_inner_graphs) print_inner_graphs();
    std::string all;
    for (std::string& line : text_) {
      all += line;
      all += '\n';
    }
    return all;
  }

 private:
  struct Line {
    Variable variable;
    std::string before;  // what stands in front of it
    std::string below;   // what stands in front of its operands, but for their own branch
    int level;
  };

  void walk(const Variable& root) {
    std::vector<Line> stack{{root, margin_, margin_, 1}};
    while (!stack.empty()) {
      const Line line = std::move(stack.back());
      stack.pop_back();
      if (!print_line(line)) continue;
      const std::string child = tree(line.below + " |", line.level);
      const std::string last = tree(line.below + "  ", line.level);
      const auto inputs = line.variable.node()->inputs();
      for (std::size_t i = inputs.size(); i-- > 0;)
        stack.push_back({inputs[i], child, i + 1 == inputs.size() ? last : child, line.level + 1});
    }
  }

  static std::string tree(std::string drawn, int level) {
    return level < drawn_levels ? drawn : fmt::format(" ...{} |", level);
  }

  std::string painted(std::string text, std::string_view color) const {
    return options_.color && !text.empty() ? fmt::format("\x1b[{}m{}\x1b[0m", color, text) : text;
  }

  const std::string& id(const Node& node, bool& first) {
    const auto [entry, is_first] = done_.try_emplace(const_cast<Node&>(node).output());
    first = is_first;
    if (is_first) entry->second = id_text(done_.size() - 1);
    return entry->second;
  }

  /// Of a node that is printed, else nothing.
  std::string known_id(const Node& node) const {
    const auto entry = done_.find(const_cast<Node&>(node).output());
    return entry == done_.end() ? std::string("[]") : entry->second;
  }

  /// Answers whether the operands are to follow.
  bool print_line(const Line& line) {
    const Variable& v = line.variable;
    const Node& node = *v.node();
    bool first = false;
    std::string behind = painted(id(node, first), faint);
    if (options_.print_type) behind += painted(" <" + theano_name(v.type()) + ">", faint);
    if (options_.print_shape) behind += " " + shape_text(v.type().shape);
    std::string text = line.before;
    if (node.is_leaf()) {
      const auto standing = stands_for_.find(v);
      text += fmt::format(
          "{} {}", painted(standing == stands_for_.end() ? leaf_text(v) : standing->second.first, green),
          behind);
      if (standing != stands_for_.end()) text += standing->second.second;
      finish(std::move(text), v, first);
      return false;
    }
    const std::string label = node_label(node);
    text += painted(label, bold);
    if (node.output_count() > 1) text += fmt::format(".{}", v.output_index());
    const auto map = [&](bool wanted, char kind, const std::vector<std::pair<int, int>>& pairs) {
      return wanted ? painted(map_text(kind, pairs), yellow) : std::string();
    };
    text +=
        fmt::format(" {} {} {} {} ", behind, painted("'" + v.name() + "'", v.name().empty() ? faint : cyan),
                    map(options_.print_destroy_map, 'd', node.op().destroy_map(node)),
                    map(options_.print_view_map, 'v', node.op().view_map(node)));
    if (const auto position = positions_.find(&node); position != positions_.end())
      text += fmt::format("{}", position->second);
    if (options_.print_rewrites && node.last_rewrite() != nullptr) {
      const char* separator = " by ";
      for (std::string_view rule : node.rewrites()) {
        text += separator;
        text += rule;
        separator = ", ";
      }
    }
    finish(std::move(text), v, first);
    if (first && options_.print_inner_graphs) fused_.push_back(v);
    return first && line.level != options_.depth && !(options_.stop_on_name && !v.name().empty());
  }

  void finish(std::string text, const Variable& v, bool first) {
    if (options_.annotate) text += options_.annotate(v);
    if (options_.print_clients && first && graph_ != nullptr && graph_->contains(v) &&
        graph_->client_count(v) > 1)
      pending_clients_.emplace_back(text_.size(), v);
    text_.push_back(std::move(text));
  }

  std::string clients_text(const Variable& v) const {
    std::string text;
    for (const Use& use : v.node()->uses(v.output_index())) {
      text += fmt::format("{}[{} {} {}]", text.empty() ? "" : ", ", node_label(*use.node),
                          known_id(*use.node), use.slot);
    }
    for (std::size_t i = 0; i < graph_->outputs().size(); ++i) {
      if (graph_->outputs()[i] == v) text += fmt::format("{}[output {}]", text.empty() ? "" : ", ", i);
    }
    return painted(" clients:[" + text + "]", faint);
  }

  /// Whatever attribute of a printed node is a graph.
  void print_inner_graphs() {
    bool is_first = true;
    for (std::size_t at = 0; at < fused_.size(); ++at) {  // inner graphs may add more
      const Node& node = *fused_[at].node();
      std::size_t outer = 0;  // the node's operands that the inner inputs stand for, in order
      for (const auto& [name, value] : node.attributes()) {
        const auto* body = std::get_if<std::shared_ptr<const Subgraph>>(&value);
        if (body == nullptr || *body == nullptr) continue;
        if (std::exchange(is_first, false)) {
          text_.emplace_back();
          text_.emplace_back("Inner graphs:");
        }
        text_.emplace_back();
        text_.push_back(fmt::format("{} {} {}", painted(node_label(node), bold), known_id(node), name));
        const auto& inputs = (*body)->inputs();
        for (std::size_t i = 0; i < inputs.size(); ++i) {
          // An inner input without a name of its own that has no operand left is what the part before
          // computed.
          const bool is_inner = outer > 0 && i == 0 && inputs.size() > node.input_count() - outer;
          std::string meaning = " -> the value before";
          if (!is_inner && outer < node.input_count()) {
            meaning = " -> " + known_id(*node.input(outer).node());
            ++outer;
          }
          stands_for_[inputs[i]] = {fmt::format("i{}", i), meaning};
        }
        margin_ = " >";
        for (const Variable& output : (*body)->outputs()) walk(output);
        margin_.clear();
      }
    }
  }

  std::string id_text(std::size_t number) const {
    switch (options_.ids) {
      case DebugprintIds::at:
        return "[@" + letters(number) + "]";
      case DebugprintIds::id:
        return "[id " + letters(number) + "]";
      case DebugprintIds::number:
        return fmt::format("[@{}]", number);
      case DebugprintIds::none:
        return "";
    }
    return "";
  }

  const DebugprintOptions& options_;
  const FunctionGraph* graph_ = nullptr;
  DebugprintDone own_done_;
  DebugprintDone& done_;
  std::unordered_map<const Node*, std::size_t> positions_;
  std::vector<std::string> text_;                                  // lines
  std::vector<std::pair<std::size_t, Variable>> pending_clients_;  // with the number of their line
  std::vector<Variable> fused_;
  std::unordered_map<Variable, std::pair<std::string, std::string>> stands_for_;  // inner inputs
  std::string margin_;
};

}  // namespace

void write_debugprint(const std::string& text, const DebugprintOptions& options) {
  (options.file != nullptr ? *options.file : std::cout) << text << std::flush;
}

std::string leaf_text(const Variable& leaf) {
  if (!leaf.name().empty()) return leaf.name();
  if (!leaf.is_constant()) return "<" + theano_name(leaf.type()) + ">";
  const Tensor& value = leaf.constant_value();
  std::string text;
  if (is_complex(value.dtype())) {
    text = to_string(value.shape());
  } else if (value.rank() > 0 && (value.size() == 1 || is_uniform(value))) {
    Tensor first = value;
    while (first.rank() > 0) first = first[0];
    text = fmt::format("{} of {}", to_string(value.shape()), to_string(first));
  } else {
    text = to_string(value);
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() > longest_constant)
    text = text.substr(0, longest_constant / 2) + ".." + text.substr(text.size() - longest_constant / 2);
  return "TensorConstant{" + text + "}";
}

std::string debugprint_text(const std::vector<Variable>& variables, const DebugprintOptions& options) {
  TreePrinter printer(options);
  for (const Variable& variable : variables) {
    variable.type();  // refuses an empty handle
    printer.print(variable);
  }
  return printer.take();
}

std::string debugprint_text(const FunctionGraph& graph, const DebugprintOptions& options) {
  TreePrinter printer(options);
  printer.use(graph);
  for (const Variable& output : graph.outputs()) printer.print(output);
  return printer.take();
}

void debugprint(const Variable& variable, const DebugprintOptions& options) {
  write_debugprint(debugprint_text({variable}, options), options);
}

void debugprint(const std::vector<Variable>& variables, const DebugprintOptions& options) {
  write_debugprint(debugprint_text(variables, options), options);
}

void debugprint(const FunctionGraph& graph, const DebugprintOptions& options) {
  write_debugprint(debugprint_text(graph, options), options);
}

}  // namespace croton
