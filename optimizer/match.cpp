#include "croton/optimizer/match.h"

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise.h"

namespace croton {

using pattern::AttributeWildcard;
using pattern::Pattern;
using pattern::PatternNode;
using Kind = PatternNode::Kind;

namespace {

constexpr std::int64_t largest_uniform = 4096;  // elements looked at

bool same_ones(const TensorType& a, const TensorType& b) {
  for (int axis = 0; axis < a.rank(); ++axis) {
    if (a.broadcastable(axis) != b.broadcastable(axis)) return false;
  }
  return true;
}

bool is_free(const PatternNode& wanted, const std::array<Variable, pattern::max_slots>& variables) {
  return wanted.kind == Kind::variable && !variables[static_cast<std::size_t>(wanted.slot)];
}

}  // namespace

std::optional<double> uniform_value(const Variable& v) {
  if (!v.is_constant()) return std::nullopt;
  const Tensor& value = v.constant_value();
  if (value.size() == 0 || value.size() > largest_uniform) return std::nullopt;
  if (value.size() == 1) return value.reshape({}).item<double>();
  return visit_dtype(value.dtype(), [&](auto tag) -> std::optional<double> {
    using T = typename decltype(tag)::type;
    std::optional<double> first;
    bool uniform = true;
    for_each_element(value.elements<const T>(), [&](T element) {
      const double number = static_cast<double>(element);
      if (!first) first = number;
      uniform = uniform && number == *first;
    });
    return uniform ? first : std::nullopt;
  });
}

Variable uniform_constant(double value, DType dtype, int rank) {
  return constant(Tensor(value).astype(dtype).reshape(Shape::filled(static_cast<std::size_t>(rank), 1)));
}

Variable fit(const Variable& v, const TensorType& like, std::span<const Variable> sources) {
  if (!v || v.dtype() != like.dtype || v.rank() != like.rank()) return {};
  if (same_ones(v.type(), like)) return v;
  for (int axis = 0; axis < like.rank(); ++axis) {
    if (like.broadcastable(axis) && !v.type().broadcastable(axis)) return {};
  }
  for (const Variable& source : sources) {
    if (source.rank() == like.rank() && same_ones(source.type(), like)) {
      return apply_op(*find_elementwise("second"), {source, v});
    }
  }
  return {};
}

double Match::value(const Pattern& constant) const { return *uniform_value((*this)[constant]); }

/// What is still to be matched: a list on the call stack.
struct Match::Goal {
  const PatternNode* wanted;
  Variable variable;
  const Goal* next;
};

/// The state of matching the operands of an order-free node.
struct Match::Operands {
  const PatternNode& wanted;
  Node& node;
  std::vector<const PatternNode*> children;  // the choosy ones first
  std::uint64_t used = 0;
  const Goal* next;
  bool root;
};

bool Match::matches(const Pattern& wanted) {
  if (wanted->kind != Kind::apply) throw InternalError("a rule's pattern must be an op");
  return solve_apply(*wanted, node_, nullptr, true);
}

bool Match::bind_attributes(const PatternNode& wanted, const Node& node,
                            std::vector<std::pair<std::size_t, const AttributeValue*>>& undo) {
  for (const auto& [name, value] : wanted.attributes) {
    const AttributeValue* present = node.attributes().find(name);
    if (present == nullptr) return false;
    if (const auto* wildcard = std::get_if<AttributeWildcard>(&value)) {
      const auto slot = static_cast<std::size_t>(wildcard->slot);
      if (attributes_[slot] == nullptr) {
        attributes_[slot] = present;
        undo.emplace_back(slot, nullptr);
      } else if (!(*attributes_[slot] == *present)) {
        return false;
      }
    } else if (!(std::get<AttributeValue>(value) == *present)) {
      return false;
    }
  }
  return true;
}

bool Match::solve(const Goal* goals) {
  if (goals == nullptr) return true;
  const PatternNode& wanted = *goals->wanted;
  const Variable& v = goals->variable;
  switch (wanted.kind) {
    case Kind::variable:
    case Kind::constant: {
      Variable& bound = variables_[static_cast<std::size_t>(wanted.slot)];
      if (bound) return bound == v && solve(goals->next);
      if (wanted.kind == Kind::constant && !uniform_value(v)) return false;
      bound = v;
      if (solve(goals->next)) return true;
      variables_[static_cast<std::size_t>(wanted.slot)] = Variable();
      return false;
    }
    case Kind::literal: {
      const std::optional<double> value = uniform_value(v);
      return value && *value == wanted.literal && solve(goals->next);
    }
    case Kind::apply: {
      Node& node = *v.node();
      if (!node.is_apply() || &node.op() != wanted.op || v.output_index() != 0) return false;
      inner_.push_back(&node);
      if (solve_apply(wanted, node, goals->next, false)) return true;
      inner_.pop_back();
      return false;
    }
  }
  return false;
}

bool Match::solve_apply(const PatternNode& wanted, Node& node, const Goal* next, bool root) {
  if (&node.op() != wanted.op) return false;
  if (wanted.variadic ? node.input_count() < 2 : node.input_count() != wanted.children.size()) return false;
  std::vector<std::pair<std::size_t, const AttributeValue*>> undo;
  const auto fail = [&] {
    for (const auto& [slot, old] : undo) attributes_[slot] = old;
    return false;
  };
  if (!bind_attributes(wanted, node, undo)) return fail();
  if (!wanted.commutative) {
    std::vector<Goal> goals(wanted.children.size());
    for (std::size_t i = goals.size(); i-- > 0;) {
      goals[i] = {&*wanted.children[i], node.input(i), i + 1 < goals.size() ? &goals[i + 1] : next};
    }
    return solve(goals.empty() ? next : &goals[0]) || fail();
  }
  if (node.input_count() > 64) return fail();
  Operands state{wanted, node, {}, 0, next, root};
  for (const Pattern& child : wanted.children) state.children.push_back(&*child);
  std::ranges::stable_sort(state.children, {}, [](const PatternNode* child) {
    return child->kind == Kind::apply      ? 0
           : child->kind == Kind::literal  ? 1
           : child->kind == Kind::constant ? 2
                                           : 3;
  });
  return solve_operands(state, 0) || fail();
}

bool Match::solve_operands(const Operands& state, std::size_t child) {
  Node& node = state.node;
  const std::size_t count = node.input_count();
  if (child == state.children.size()) {
    const auto taken = static_cast<std::size_t>(__builtin_popcountll(state.used));
    if (taken == count) return solve(state.next);
    if (!state.root) return false;
    // The root's leftovers are put back around the result.
    rest_.clear();
    for (std::size_t i = 0; i < count; ++i) {
      if ((state.used >> i & 1) == 0) rest_.push_back(node.input(i));
    }
    rest_position_ = static_cast<std::size_t>(__builtin_ctzll(state.used));
    if (solve(state.next)) return true;
    rest_.clear();
    return false;
  }
  const PatternNode& wanted = *state.children[child];
  const std::size_t open = count - static_cast<std::size_t>(__builtin_popcountll(state.used));
  if (open == 0) return false;
  if (child + 1 == state.children.size() && is_free(wanted, variables_) && open > 1) {
    // The last free wildcard stands for all that is left.
    if (!state.wanted.variadic) return false;
    std::vector<Variable> left;
    for (std::size_t i = 0; i < count; ++i) {
      if ((state.used >> i & 1) == 0) left.push_back(node.input(i));
    }
    Variable& bound = variables_[static_cast<std::size_t>(wanted.slot)];
    bound = apply_op(node.op(), std::move(left), node.attributes(), node.where());
    if (solve(state.next)) return true;
    variables_[static_cast<std::size_t>(wanted.slot)] = Variable();
    return false;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if ((state.used >> i & 1) != 0) continue;
    const Variable& operand = node.input(i);
    // Cheap refusals before anything is tried.
    if (wanted.kind == Kind::apply && (!operand.node()->is_apply() || &operand.node()->op() != wanted.op))
      continue;
    if ((wanted.kind == Kind::literal || wanted.kind == Kind::constant) && !operand.is_constant()) continue;
    // The operand is matched alone; the alternatives within it are not revisited when a later one fails.
    const auto variables = variables_;
    const auto attributes = attributes_;
    const std::size_t inner = inner_.size();
    const Goal goal{&wanted, operand, nullptr};
    if (solve(&goal)) {
      Operands further = state;
      further.used |= std::uint64_t{1} << i;
      if (solve_operands(further, child + 1)) return true;
    }
    variables_ = variables;
    attributes_ = attributes;
    inner_.resize(inner);
  }
  return false;
}

Variable Match::build(const Pattern& wanted) const {
  const TensorType& like = node_.type();
  Variable result = build_node(*wanted, like.dtype, like.rank());
  if (!result) return {};
  if (!rest_.empty()) {
    std::vector<Variable> operands = rest_;
    operands.insert(operands.begin() + static_cast<std::ptrdiff_t>(std::min(rest_position_, operands.size())),
                    result);
    result = apply_op(node_.op(), std::move(operands), node_.attributes());
  }
  return result;
}

Variable Match::build_node(const PatternNode& wanted, DType dtype, int rank) const {
  switch (wanted.kind) {
    case Kind::variable:
    case Kind::constant:
      return variables_[static_cast<std::size_t>(wanted.slot)];
    case Kind::literal:
      return uniform_constant(wanted.literal, dtype, rank);
    case Kind::apply:
      break;
  }
  // A literal takes dtype and rank from the operands beside it, where they decide.
  std::vector<Variable> inputs(wanted.children.size());
  const ElementwiseOp* elementwise = as_elementwise(*wanted.op);
  const DTypeRule rule = elementwise != nullptr ? elementwise->row().rule : DTypeRule::same;
  bool decided = false;
  for (std::size_t i = inputs.size(); i-- > 0;) {
    if (wanted.children[i]->kind == Kind::literal) continue;
    inputs[i] = build_node(*wanted.children[i], dtype, rank);
    if (!inputs[i]) return {};
    rank = inputs[i].rank();
    if (decided || (i == 0 && (rule == DTypeRule::select || rule == DTypeRule::second))) continue;
    dtype = inputs[i].dtype();
    decided = true;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) inputs[i] = build_node(*wanted.children[i], dtype, rank);
  }
  std::vector<Attributes::Entry> entries;
  for (const auto& [name, value] : wanted.attributes) {
    const auto* wildcard = std::get_if<AttributeWildcard>(&value);
    entries.emplace_back(name, wildcard != nullptr ? *attributes_[static_cast<std::size_t>(wildcard->slot)]
                                                   : std::get<AttributeValue>(value));
  }
  return apply_op(*wanted.op, std::move(inputs),
                  entries.empty() ? Attributes() : Attributes(std::move(entries)));
}

}  // namespace croton
