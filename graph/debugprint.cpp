#include "croton/graph/debugprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "croton/graph/error.h"
#include "croton/graph/node.h"
#include "croton/graph/op.h"
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

class TreePrinter {
 public:
  explicit TreePrinter(const DebugprintOptions& options)
      : options_(options), done_(options.done != nullptr ? *options.done : own_done_) {
    if (options.depth < -1)
      throw ValueError(fmt::format("debugprint: depth is {}; expected -1 (all) or more", options.depth));
  }

  void number(const std::vector<Node*>& order) {
    for (std::size_t i = 0; i < order.size(); ++i) positions_.emplace(order[i], i);
  }

  void print(const Variable& root) {
    if (options_.depth == 0) return;
    std::vector<Line> stack{{root, "", "", 1}};
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

  std::string take() { return std::move(text_); }

 private:
  struct Line {
    Variable variable;
    std::string before;  // what stands in front of it
    std::string below;   // what stands in front of its operands, but for their own branch
    int level;
  };

  static std::string tree(std::string drawn, int level) {
    return level < drawn_levels ? drawn : fmt::format(" ...{} |", level);
  }

  /// Answers whether the operands are to follow.
  bool print_line(const Line& line) {
    const Variable& v = line.variable;
    const Node& node = *v.node();
    const auto [entry, first] = done_.try_emplace(node.output(0));
    if (first) entry->second = id_text(done_.size() - 1);
    const std::string type = options_.print_type ? " <" + theano_name(v.type()) + ">" : "";
    text_ += line.before;
    if (node.is_leaf()) {
      text_ += fmt::format("{} {}{}\n", leaf_text(v), entry->second, type);
      return false;
    }
    text_ += node.op().label(node);
    if (node.output_count() > 1) text_ += fmt::format(".{}", v.output_index());
    text_ +=
        fmt::format(" {}{} '{}' {} {} ", entry->second, type, v.name(),
                    options_.print_destroy_map ? map_text('d', node.op().destroy_map(node)) : std::string(),
                    options_.print_view_map ? map_text('v', node.op().view_map(node)) : std::string());
    if (const auto position = positions_.find(&node); position != positions_.end())
      text_ += fmt::format("{}", position->second);
    if (options_.print_rewrites && node.last_rewrite() != nullptr) {
      const char* separator = " by ";
      for (std::string_view rule : node.rewrites()) {
        text_ += separator;
        text_ += rule;
        separator = ", ";
      }
    }
    text_ += '\n';
    return first && line.level != options_.depth && !(options_.stop_on_name && !v.name().empty());
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
  DebugprintDone own_done_;
  DebugprintDone& done_;
  std::unordered_map<const Node*, std::size_t> positions_;
  std::string text_;
};

void write(const std::string& text, const DebugprintOptions& options) {
  (options.file != nullptr ? *options.file : std::cout) << text << std::flush;
}

}  // namespace

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
  printer.number(graph.topological_order());
  for (const Variable& output : graph.outputs()) printer.print(output);
  return printer.take();
}

void debugprint(const Variable& variable, const DebugprintOptions& options) {
  write(debugprint_text({variable}, options), options);
}

void debugprint(const std::vector<Variable>& variables, const DebugprintOptions& options) {
  write(debugprint_text(variables, options), options);
}

void debugprint(const FunctionGraph& graph, const DebugprintOptions& options) {
  write(debugprint_text(graph, options), options);
}

}  // namespace croton
