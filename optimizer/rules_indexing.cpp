#include <algorithm>

#include "croton/graph/tensor.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/indexing.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

IndexPattern index_of(const Node& node) {
  return decode_index(node.attributes().get<std::vector<std::int64_t>>("index"));
}

bool is_set(const Node& node) { return node.attributes().get_or("set", false); }

bool takes_all(const IndexEntry& entry) {
  const auto absent_or = [](const IndexField& field, std::int64_t value) {
    return field.kind == IndexField::Kind::absent ||
           (field.kind == IndexField::Kind::constant && field.value == value);
  };
  return !entry.is_integer && absent_or(entry.start, 0) && entry.stop.kind == IndexField::Kind::absent &&
         absent_or(entry.step, 1);
}

/// The index takes every element where it is.
bool takes_whole(const Node& node) {
  if (std::ranges::all_of(index_of(node), takes_all)) return true;
  const Shape& shape = node.input(0).type().shape;
  if (!shape.is_known()) return false;
  const auto selection = static_selection(node, shape);
  return selection &&
         std::ranges::all_of(*selection, [&, axis = std::size_t{0}](const AxisSelection& s) mutable {
           return s.start == 0 && s.step == 1 && !s.dropped && s.extent == shape[axis++];
         });
}

Replacement useless_subtensor(Match& match) {
  return takes_whole(match.node()) ? match.input(0) : Variable();
}

/// What index to take for a selection along one axis; every number is written out.
IndexEntry entry_of(const AxisSelection& s) {
  const auto number = [](std::int64_t value) { return IndexField{IndexField::Kind::constant, value}; };
  IndexEntry entry;
  entry.is_integer = s.dropped;
  entry.start = number(s.start);
  if (s.dropped) return entry;
  const std::int64_t stop = s.start + s.step * s.extent;
  if (s.step > 0 || stop >= 0) entry.stop = number(stop);  // below 0 means: to the beginning
  if (s.extent == 0) entry.start = entry.stop = number(0);
  if (s.step != 1) entry.step = number(s.step);
  return entry;
}

/// x[a:b][c:d] = x[a + c:a + d], for extents that are known.
Replacement merge_subtensors(Match& match) {
  const Node& outer = match.node();
  const Node* inner = node_of(outer.input(0), &subtensor_op());
  if (inner == nullptr || !inner->input(0).type().shape.is_known() || !inner->type().shape.is_known())
    return match.refuse("the operand is no index of known shape");
  const auto first = static_selection(*inner, inner->input(0).type().shape);
  const auto second = static_selection(outer, inner->type().shape);
  if (!first || !second) return match.refuse("an index is known at run time only");
  IndexPattern index;
  std::size_t kept = 0;
  for (const AxisSelection& s : *first) {
    if (s.dropped) {
      index.push_back(entry_of(s));
      continue;
    }
    AxisSelection merged = (*second)[kept++];
    merged.start = s.start + merged.start * s.step;
    merged.step *= s.step;
    index.push_back(entry_of(merged));
  }
  return apply_op(subtensor_op(), {inner->input(0)}, Attributes{{"index", encode_index(index)}});
}

/// f(a, b)[i] = f(a[i], b[i]): fewer elements are computed.
Replacement lift_subtensor(Match& match) {
  const Node& node = match.node();
  const Variable& x = node.input(0);
  if (!is_elementwise(x) || !match.sole_use(x))
    return match.refuse("the operand is not elementwise, or somebody else uses it");
  std::vector<Variable> inputs;
  for (const Variable& input : x.node()->inputs()) {
    if (!same_broadcast(input.type(), x.type()))
      return match.refuse("an operand of the elementwise node broadcasts");
    std::vector<Variable> operands(node.inputs().begin(), node.inputs().end());
    operands[0] = input;
    inputs.push_back(apply_op(subtensor_op(), std::move(operands), node.attributes()));
  }
  return apply_op(x.node()->op(), std::move(inputs), x.node()->attributes());
}

bool same_index(const Node& a, std::size_t first_a, const Node& b, std::size_t first_b) {
  return a.attributes().get<std::vector<std::int64_t>>("index") ==
             b.attributes().get<std::vector<std::int64_t>>("index") &&
         std::ranges::equal(a.inputs().subspan(first_a), b.inputs().subspan(first_b));
}

/// set_subtensor(x[i], y)[i] = y
Replacement read_what_was_set(Match& match) {
  const Node* written = node_of(match.input(0), &inc_subtensor_op());
  if (written == nullptr || !is_set(*written) || !same_index(match.node(), 1, *written, 2))
    return match.refuse("what is read was not set by the same index");
  const Variable& y = written->input(1);
  return y.rank() == match.node().type().rank() && same_broadcast(y.type(), match.node().type()) ? y
                                                                                                 : Variable();
}

/// inc_subtensor(zeros[i], y) = set_subtensor(zeros[i], y): nothing need be read.
Replacement increase_zeros(Match& match) {
  const Node& node = match.node();
  if (is_set(node)) return match.refuse("it sets, it does not increase");
  const Node* alloc = node_of(node.input(0), "alloc");
  const std::optional<double> value = uniform_value(alloc != nullptr ? alloc->input(0) : node.input(0));
  if (!value || *value != 0) return match.refuse("what is increased is not zeros");
  return apply_op(node.op(), {node.inputs().begin(), node.inputs().end()},
                  node.attributes().with("set", true));
}

Replacement increase_by_nothing(Match& match) {
  const std::optional<double> value = uniform_value(match.input(1));
  return value && *value == 0 && !is_set(match.node()) ? match.input(0) : Variable();
}

Replacement write_whole(Match& match) {
  const Node& node = match.node();
  if (!takes_whole(node)) return match.refuse("it does not write the whole");
  const Variable& y = node.input(1);
  return is_set(node) ? elementwise("second", {node.input(0), y}) : elementwise("add", {node.input(0), y});
}

}  // namespace

const RuleSet& indexing_rules() {
  static const RuleSet rules = {
      rule("useless_subtensor", Roots("subtensor"), useless_subtensor),
      rule("merge_subtensors", Roots("subtensor"), merge_subtensors),
      rule("lift_subtensor", Roots("subtensor"), lift_subtensor),
      rule("read_what_was_set", Roots("subtensor"), read_what_was_set),
      rule("increase_zeros", Roots("inc_subtensor"), increase_zeros),
      rule("increase_by_nothing", Roots("inc_subtensor"), increase_by_nothing),
      rule("write_whole", Roots("inc_subtensor"), write_whole),
  };
  return rules;
}

}  // namespace croton
