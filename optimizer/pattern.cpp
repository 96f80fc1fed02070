#include "croton/optimizer/pattern.h"

#include <algorithm>
#include <string>

#include "croton/graph/error.h"
#include "croton/ops/elementwise.h"

namespace croton::pattern {

Pattern::Pattern(double literal) {
  PatternNode node;
  node.kind = PatternNode::Kind::literal;
  node.literal = literal;
  node_ = std::make_shared<const PatternNode>(std::move(node));
}

Pattern::Pattern(PatternNode node) : node_(std::make_shared<const PatternNode>(std::move(node))) {}

Pattern apply(std::string_view op, std::vector<Pattern> children, std::vector<AttributePattern> attributes) {
  PatternNode node;
  node.kind = PatternNode::Kind::apply;
  node.op = find_op(op);
  if (node.op == nullptr)
    throw InternalError("a rule names the op '" + std::string(op) + "', which does not exist");
  if (const ElementwiseOp* elementwise = as_elementwise(*node.op)) {
    const ElementwiseRow& row = elementwise->row();
    node.commutative = row.has(ElementwiseTrait::commutative);
    node.variadic = row.variadic && node.commutative;
  }
  for (const Pattern& child : children) node.depth = std::max(node.depth, child->depth);
  ++node.depth;
  node.children = std::move(children);
  node.attributes = std::move(attributes);
  return Pattern(std::move(node));
}

Pattern variable(int slot) {
  PatternNode node;
  node.slot = slot;
  return Pattern(std::move(node));
}

Pattern constant(int slot) {
  PatternNode node;
  node.kind = PatternNode::Kind::constant;
  node.slot = slot;
  return Pattern(std::move(node));
}

}  // namespace croton::pattern
