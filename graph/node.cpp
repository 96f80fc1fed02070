#include "croton/graph/node.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "croton/graph/error.h"
#include "croton/graph/shared_variable.h"

namespace croton {

namespace {

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> counter{0};
  return counter.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

Node::Node(Kind kind, SourceLocation where)
    : kind_(kind), id_(next_id()), where_(LocationScope::current(where)) {}

Ref<Node> Node::make_input(TensorType type, std::string name, SourceLocation where) {
  Ref<Node> node(new Node(Kind::input, where));
  node->outputs_.push_back({std::move(type), std::move(name), {}, nullptr});
  return node;
}

Ref<Node> Node::make_constant(Tensor value, SourceLocation where) {
  Ref<Node> node(new Node(Kind::constant, where));
  node->outputs_.push_back({{value.dtype(), value.shape()}, "", {}, nullptr});
  node->value_ = std::move(value);
  return node;
}

Ref<Node> Node::make_shared(std::shared_ptr<SharedCell> cell, TensorType type, SourceLocation where) {
  Ref<Node> node(new Node(Kind::shared, where));
  node->outputs_.push_back({std::move(type), "", {}, nullptr});
  node->cell_ = std::move(cell);
  return node;
}

Ref<Node> Node::make_apply(const Op& op, std::vector<Variable> inputs, Attributes attributes,
                           std::vector<TensorType> types, SourceLocation where) {
  Ref<Node> node(new Node(Kind::apply, where));
  node->op_ = &op;
  node->attributes_ = std::move(attributes);
  node->inputs_ = std::move(inputs);
  node->outputs_.reserve(types.size());
  for (TensorType& type : types) node->outputs_.push_back({std::move(type), "", {}, nullptr});
  return node;
}

Variable Node::output(std::size_t i) const {
  return Variable(Ref<Node>(const_cast<Node*>(this)), static_cast<std::uint32_t>(i));
}

std::vector<std::string_view> Node::rewrites() const {
  std::vector<std::string_view> names;
  for (const RewriteStep* step = rewrites_.get(); step != nullptr; step = step->previous.get()) {
    names.push_back(step->rule);
  }
  std::reverse(names.begin(), names.end());
  return names;
}

void Node::release() const {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  // The inputs of a dying node may die with it, theirs too: a list takes the place of the call stack.
  thread_local std::vector<Node*>* dying = nullptr;
  Node* self = const_cast<Node*>(this);
  if (dying != nullptr) {
    dying->push_back(self);
    return;
  }
  std::vector<Node*> list{self};
  dying = &list;
  while (!list.empty()) {
    Node* node = list.back();
    list.pop_back();
    delete node;
  }
  dying = nullptr;
}

std::vector<Node*> topological_order(std::span<const Variable> outputs) {
  std::vector<Node*> order;
  std::unordered_map<Node*, bool> done;  // present: entered; true: listed
  std::vector<Node*> stack;
  for (std::size_t i = outputs.size(); i-- > 0;) {
    Node* root = outputs[i].node();
    if (root->is_leaf()) continue;
    stack.push_back(root);
    while (!stack.empty()) {
      Node* node = stack.back();
      auto [entry, first] = done.try_emplace(node, false);
      if (!first) {
        stack.pop_back();
        if (!entry->second) {
          entry->second = true;
          order.push_back(node);
        }
        continue;
      }
      for (const Variable& input : node->inputs()) {  // the last input ends on top and is visited first
        if (input.node()->is_apply() && !done.contains(input.node())) stack.push_back(input.node());
      }
    }
  }
  return order;
}

bool same_value(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  if (a.size() == 0) return true;
  if (a.raw_data() == b.raw_data() && a.strides() == b.strides()) return true;
  const Tensor x = a.contiguous();
  const Tensor y = b.contiguous();
  return std::memcmp(x.raw_data(), y.raw_data(), static_cast<std::size_t>(x.size()) * size_of(x.dtype())) ==
         0;
}

}  // namespace croton
