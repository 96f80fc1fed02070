// Compares graphs node by node, walking both at once from the outputs.

#include <fmt/format.h>

#include <mutex>
#include <unordered_map>

#include "croton/graph/node.h"
#include "croton/graph/op.h"
#include "croton/graph/shared_variable.h"
#include "croton/graph/text_form.h"

namespace croton {
namespace {

class Comparison {
 public:
  explicit Comparison(const GraphEquality& what) : what_(what) {}

  std::optional<std::string> compare(const TextGraph& a, const TextGraph& b) {
    if (what_.names && a.name != b.name)
      return fmt::format("the graphs are called '{}' and '{}'", a.name, b.name);
    if (a.inputs.size() != b.inputs.size())
      return fmt::format("{} inputs against {}", a.inputs.size(), b.inputs.size());
    if (a.outputs.size() != b.outputs.size())
      return fmt::format("{} outputs against {}", a.outputs.size(), b.outputs.size());
    for (std::size_t i = 0; i < a.inputs.size(); ++i) {
      match(a.inputs[i], b.inputs[i]);
      if (!difference_ && a.inputs[i].type() != b.inputs[i].type())
        differ(a.inputs[i], b.inputs[i], "other types");
      if (!difference_) compare_names(a.inputs[i], b.inputs[i], what_.names);
    }
    for (std::size_t i = 0; i < a.outputs.size() && !difference_; ++i) {
      match(a.outputs[i], b.outputs[i]);
      compare_names(a.outputs[i], b.outputs[i], what_.names);
    }
    if (a.updates.size() != b.updates.size())
      return fmt::format("{} updates against {}", a.updates.size(), b.updates.size());
    for (std::size_t i = 0; i < a.updates.size() && !difference_; ++i) {
      match(a.updates[i].first, b.updates[i].first);
      match(a.updates[i].second, b.updates[i].second);
    }
    while (!pending_.empty() && !difference_) {
      const auto [x, y] = pending_.back();
      pending_.pop_back();
      compare_nodes(*x, *y);
    }
    return difference_;
  }

 private:
  /// The two are to be the same variable; their nodes are compared once.
  void match(const Variable& a, const Variable& b) {
    if (difference_) return;
    if (a.node()->kind() != b.node()->kind()) return differ(a, b, "of another kind");
    if (a.output_index() != b.output_index()) return differ(a, b, "other outputs of their nodes");
    if (a.is_constant()) {
      if (!same_value(a.constant_value(), b.constant_value())) differ(a, b, "other values");
      return;
    }
    const auto [forward, first] = partner_.try_emplace(a.node(), b.node());
    const auto [backward, also_first] = back_.try_emplace(b.node(), a.node());
    if (forward->second != b.node() || backward->second != a.node())
      return differ(a, b, "used differently elsewhere");
    if (first && also_first) pending_.emplace_back(a.node(), b.node());
  }

  void compare_nodes(const Node& a, const Node& b) {
    const Variable x = a.output(), y = b.output();
    if (a.output_count() != b.output_count()) return differ(x, y, "other numbers of outputs");
    for (std::size_t i = 0; i < a.output_count(); ++i) {
      if (a.type(i) != b.type(i)) return differ(a.output(i), b.output(i), "other types");
      compare_names(a.output(i), b.output(i), what_.inner_names || (what_.names && a.is_leaf()));
    }
    if (a.kind() == Node::Kind::shared) return compare_cells(a, b);
    if (!a.is_apply()) return;
    if (&a.op() != &b.op()) return differ(x, y, fmt::format("{} against {}", a.op().name(), b.op().name()));
    if (!(a.attributes() == b.attributes()))
      return differ(x, y, fmt::format("attributes {} against {}", plain_label(a), plain_label(b)));
    if (a.input_count() != b.input_count()) return differ(x, y, "other numbers of operands");
    for (std::size_t i = 0; i < a.input_count(); ++i) match(a.input(i), b.input(i));
  }

  static std::string plain_label(const Node& node) { return node.op().Op::label(node); }

  void compare_cells(const Node& a, const Node& b) {
    if (!what_.shared_values || a.cell() == b.cell()) return;
    const std::scoped_lock lock(a.cell()->mutex(), b.cell()->mutex());
    const Tensor &x = a.cell()->value(), &y = b.cell()->value();
    if (x.defined() && y.defined() && !same_value(x.to_host(), y.to_host()))
      differ(a.output(), b.output(), "other values");
  }

  void compare_names(const Variable& a, const Variable& b, bool wanted) {
    if (wanted && !difference_ && a.name() != b.name()) differ(a, b, "other names");
  }

  void differ(const Variable& a, const Variable& b, std::string_view how) {
    if (!difference_) difference_ = fmt::format("{} and {}: {}", describe(a), describe(b), how);
  }

  const GraphEquality& what_;
  std::optional<std::string> difference_;
  std::unordered_map<const Node*, const Node*> partner_, back_;
  std::vector<std::pair<const Node*, const Node*>> pending_;
};

}  // namespace

std::optional<std::string> graph_difference(const TextGraph& a, const TextGraph& b,
                                            const GraphEquality& what) {
  return Comparison(what).compare(cut_at_inputs(a), cut_at_inputs(b));
}

bool equal_graphs(const TextGraph& a, const TextGraph& b, const GraphEquality& what) {
  return !graph_difference(a, b, what).has_value();
}

}  // namespace croton
