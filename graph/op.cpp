#include "croton/graph/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "croton/graph/error.h"
#include "croton/graph/test_value.h"
#include "croton/graph/text.h"

namespace croton {

namespace {

// Ops are static objects of many files: the table is made at first use, so that their order does not matter.
std::map<std::string, const Op*, std::less<>>& table() {
  static auto* ops = new std::map<std::string, const Op*, std::less<>>;
  return *ops;
}

std::mutex& table_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

[[noreturn]] void rethrow_with_operands(const Op& op, std::span<const Variable> inputs,
                                        const SourceLocation& where) {
  std::string context = fmt::format("\n  in {}", op.name());
  const SourceLocation at = LocationScope::current(where);
  if (at.known()) context += fmt::format(", made at {}", to_string(at));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    context += fmt::format("\n  operand {}: {}", i, inputs[i] ? describe(inputs[i]) : "(empty)");
  }
  try {
    throw;
  } catch (const TypeError& e) {
    throw TypeError(e.what() + context);
  } catch (const ShapeError& e) {
    throw ShapeError(e.what() + context);
  } catch (const IndexError& e) {
    throw IndexError(e.what() + context);
  } catch (const ValueError& e) {
    throw ValueError(e.what() + context);
  }
}

/// Where the data operands lie: all on one device.
Device operand_device(const Op& op, const std::vector<Variable>& inputs, const Attributes& attributes,
                      const std::vector<TensorType>& types) {
  const auto is_on_device = [](const Variable& v) { return !v.type().device.is_host(); };
  if (std::ranges::none_of(inputs, is_on_device)) return {};
  const Ref<Node> node = Node::make_apply(op, inputs, attributes, types, {});
  const std::vector<std::size_t> deciding = op.shape_inputs(*node);
  const Variable* first = nullptr;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].is_constant()) continue;
    const bool decides = std::ranges::find(deciding, i) != deciding.end();
    if (decides) {
      if (is_on_device(inputs[i])) {
        throw TypeError(
            fmt::format("operand {} decides a shape and must be on the host, but is on {}: use "
                        "host_from_gpu",
                        i, to_string(inputs[i].type().device)));
      }
      continue;
    }
    if (first == nullptr) first = &inputs[i];
    if (inputs[i].type().device == first->type().device) continue;
    throw TypeError(fmt::format("operands lie on different devices: {} on {}, {} on {}; use transfer",
                                describe(*first), to_string(first->type().device), describe(inputs[i]),
                                to_string(inputs[i].type().device)));
  }
  return first == nullptr ? Device() : first->type().device;
}

}  // namespace

Op::Op(std::string_view name) : name_(name) {
  const std::lock_guard lock(table_mutex());
  if (!table().emplace(name_, this).second) {
    throw InternalError(fmt::format("two ops are called '{}'", name_));
  }
}

Op::~Op() {
  const std::lock_guard lock(table_mutex());
  table().erase(name_);
}

const Op* find_op(std::string_view name) {
  const std::lock_guard lock(table_mutex());
  const auto entry = table().find(name);
  return entry == table().end() ? nullptr : entry->second;
}

std::vector<const Op*> all_ops() {
  const std::lock_guard lock(table_mutex());
  std::vector<const Op*> ops;
  for (const auto& [name, op] : table()) ops.push_back(op);
  return ops;
}

std::vector<InputGradient> Op::grad(const Node& node, std::span<const Variable>) const {
  return std::vector<InputGradient>(node.input_count(),
                                    InputGradient::undefined(fmt::format("{} has no gradient", name_)));
}

Device Op::output_device(const Attributes&, Device operands) const { return operands; }
bool Op::connected(const Node&, std::size_t, std::size_t) const { return true; }
std::vector<std::size_t> Op::shape_inputs(const Node&) const { return {}; }
std::vector<std::pair<int, int>> Op::view_map(const Node&) const { return {}; }
std::vector<std::pair<int, int>> Op::inplace_candidates(const Node&) const { return {}; }

std::vector<std::pair<int, int>> Op::destroy_map(const Node& node) const {
  std::vector<std::pair<int, int>> pairs;
  if (!node.attributes().contains("inplace")) return pairs;
  const auto& flat = node.attributes().get<std::vector<std::int64_t>>("inplace");
  for (std::size_t i = 0; i + 1 < flat.size(); i += 2) {
    pairs.emplace_back(static_cast<int>(flat[i]), static_cast<int>(flat[i + 1]));
  }
  return pairs;
}

std::string Op::label(const Node& node) const {
  if (node.attributes().empty()) return name_;
  std::string text = name_ + "{";
  bool first = true;
  for (const auto& [name, value] : node.attributes()) {
    if (!first) text += ", ";
    first = false;
    text += name + "=" + to_string(value);
  }
  return text + "}";
}

std::vector<TensorType> infer_types(const Op& op, const std::vector<Variable>& inputs,
                                    const Attributes& attributes) {
  std::vector<TensorType> types = op.infer(inputs, attributes);
  const Device operands = operand_device(op, inputs, attributes, types);
  const Device device = op.output_device(attributes, operands);
  for (TensorType& type : types) type.device = device;
  return types;
}

Ref<Node> make_node(const Op& op, std::vector<Variable> inputs, Attributes attributes, SourceLocation where) {
  std::vector<TensorType> types;
  try {
    for (const Variable& input : inputs) {
      if (!input) throw TypeError(fmt::format("{} was given an empty Variable", op.name()));
      if (is_complex(input.dtype())) {
        throw TypeError(fmt::format("{} does not take complex tensors; no op does yet", op.name()));
      }
    }
    types = infer_types(op, inputs, attributes);
  } catch (const Error&) {
    rethrow_with_operands(op, inputs, where);
  }
  Ref<Node> node = Node::make_apply(op, std::move(inputs), std::move(attributes), std::move(types), where);
  compute_test_value(*node);
  return node;
}

Variable apply_op(const Op& op, std::vector<Variable> inputs, Attributes attributes, SourceLocation where) {
  return Variable(make_node(op, std::move(inputs), std::move(attributes), where));
}

std::string node_label(const Node& node) {
  std::string label = node.op().label(node);
  if (node.output_count() == 0 || node.type().device.is_host()) return label;
  if (!node.op().output_device(node.attributes(), {}).is_host()) return label;  // a copy from the host
  if (label.starts_with("Inplace")) label.erase(0, 7);  // InplaceDimShuffle: what a view is called
  if (const AttributeValue* rounds = node.attributes().find("precision")) {
    const std::string& precision = std::get<std::string>(*rounds);
    if (label.ends_with('}'))
      label.insert(label.size() - 1, ", " + precision);
    else
      label += "{" + precision + "}";
  }
  return "Gpu" + label;
}

std::string describe(const Variable& variable) {
  const Node& node = *variable.node();
  std::string text = variable.name();
  if (text.empty()) {
    switch (node.kind()) {
      case Node::Kind::apply:
        text = node.op().name();
        break;
      case Node::Kind::constant:
        text = "a constant";
        break;
      case Node::Kind::shared:
        text = "an unnamed shared variable";
        break;
      case Node::Kind::input:
        text = "an unnamed input";
        break;
    }
  }
  text += " (" + to_string(variable.type());
  if (node.where().known()) text += ", made at " + to_string(node.where());
  return text + ")";
}

Variable constant(const Tensor& value, SourceLocation where) {
  return Variable(Node::make_constant(value, where));
}

Variable scalar_constant(double value, DType dtype) { return constant(Tensor(value).astype(dtype)); }

}  // namespace croton
