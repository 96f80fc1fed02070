#include "croton/ops/pp.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unordered_map>

#include "croton/graph/debugprint.h"
#include "croton/graph/op.h"
#include "croton/ops/composite_body.h"
#include "croton/ops/elementwise.h"

namespace croton {
namespace {

/// Beyond this length a value that is used more than once gets a name: texts would grow with the number of
/// paths through the graph.
constexpr std::size_t longest_repeated = 60;
/// And any value: a chain of nodes would make texts of the square of its length.
constexpr std::size_t longest_inline = 2000;

class MathPrinter {
 public:
  std::string print(std::span<const Variable> outputs) {
    const std::vector<Node*> order = topological_order(outputs);
    for (const Node* node : order) {
      for (const Variable& input : node->inputs()) ++uses_[input];
    }
    for (const Node* node : order) spell(*node);
    std::string lines;
    for (const Variable& output : outputs) {
      if (!lines.empty()) lines += '\n';
      lines += text_of(output);
    }
    return definitions_ + lines;
  }

 private:
  std::string text_of(const Variable& v) const {
    const auto entry = texts_.find(v);
    if (entry != texts_.end()) return entry->second;
    if (v.is_constant() && v.name().empty() && v.constant_value().size() == 1 && !is_complex(v.dtype()))
      return scalar_text(v.constant_value().reshape({}));
    return leaf_text(v);
  }

  void spell(const Node& node) {
    std::vector<std::string> operands;
    for (const Variable& input : node.inputs()) operands.push_back(text_of(input));
    std::string text = as_elementwise(node.op()) != nullptr && node.op().label(node).starts_with("Elemwise{")
                           ? elementwise_text(node, operands)
                           : fmt::format("{}({})", node.op().label(node), fmt::join(operands, ", "));
    if (node.output_count() == 1) {
      keep(node.output(), std::move(text));
      return;
    }
    // The outputs of one node share its text.
    const std::string name = define(text);
    for (std::size_t i = 0; i < node.output_count(); ++i)
      texts_[node.output(i)] = fmt::format("{}[{}]", name, i);
  }

  void keep(const Variable& output, std::string text) {
    const bool repeated = uses_[output] > 1 && text.size() > longest_repeated;
    texts_[output] = repeated || text.size() > longest_inline ? define(text) : std::move(text);
  }

  std::string define(const std::string& text) {
    const std::string name = fmt::format("t{}", count_++);
    definitions_ += name + " = " + text + '\n';
    return name;
  }

  std::unordered_map<Variable, std::size_t> uses_;
  std::unordered_map<Variable, std::string> texts_;
  std::string definitions_;
  std::size_t count_ = 0;
};

}  // namespace

std::string pp(const Variable& variable) {
  variable.type();  // refuses an empty handle
  return MathPrinter().print({&variable, 1});
}

std::string pp(const FunctionGraph& graph) { return MathPrinter().print(graph.outputs()); }

}  // namespace croton
