#include "croton/runtime/extents.h"

#include <algorithm>

#include "croton/graph/flags.h"
#include "croton/graph/op.h"
#include "croton/graph/order_until.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/static_value.h"
#include "croton/runtime/cuda_plan.h"

namespace croton {

namespace {

bool has_unknown_extents(const Node& node) {
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (!node.type(i).shape.is_known()) return true;
  }
  return false;
}

/// The shape inputs whose values are not known from types.
std::vector<Variable> open_shape_inputs(const Node& node) {
  std::vector<Variable> open;
  for (const std::size_t i : node.op().shape_inputs(node)) {
    if (!static_value(node.input(i))) open.push_back(node.input(i));
  }
  return open;
}

}  // namespace

std::unordered_map<Variable, Tensor> values_of_call(const FunctionGraph& graph, const Tensor* const* inputs,
                                                    SharedCell* const* shared) {
  std::unordered_map<Variable, Tensor> values;
  for (std::size_t i = 0; i < graph.inputs().size(); ++i)
    values.emplace(graph.inputs()[i], inputs[i]->to_host());
  for (std::size_t i = 0; i < graph.shared().size(); ++i) {
    values.emplace(graph.shared()[i], shared[i]->value().to_host());
  }
  return values;
}

Extents::Extents(const FunctionGraph& typed, std::string function)
    : typed_(typed), function_(std::move(function)), program_(typed) {
  for (const Node* node : typed.topological_order()) {
    const std::span<const Variable> inputs = node->inputs();
    if (&node->op() == &shape_op() || &node->op() == &shape_i_op() ||
        std::ranges::all_of(inputs, [&](const Variable& v) { return follows_from_shapes(v); }))
      of_shapes_.insert(node);
    if (has_unknown_extents(*node) && !open_shape_inputs(*node).empty()) add(*node);
  }
}

bool Extents::follows_from_shapes(const Variable& variable) const {
  return variable.is_constant() || of_shapes_.contains(variable.node());
}

std::vector<Extents::Source> Extents::sources_of(const Variable& variable) {
  std::vector<Source> sources;
  if (const auto elements = program_.add_elements(variable)) {
    for (const ScalarProgram::Register element : *elements) sources.push_back({false, element});
  } else {
    sources.push_back({true, static_cast<std::uint32_t>(evaluated_.size())});
    evaluated_.push_back(variable);
  }
  return sources;
}

void Extents::add(const Node& node) {
  ValueNode entry{&node, {}, {}};
  const std::vector<Variable> open = open_shape_inputs(node);
  if (std::ranges::all_of(open, [&](const Variable& v) { return follows_from_shapes(v); })) {
    nodes_.push_back(std::move(entry));
    return;
  }
  if (&node.op() == &subtensor_op()) {
    for (std::size_t i = 1; i < node.input_count(); ++i) {
      const std::vector<Source> number = sources_of(node.input(i));
      entry.sources.push_back(number.front());
    }
    const IndexPattern pattern = decode_index(node.attributes().get<std::vector<std::int64_t>>("index"));
    const Shape& shape = node.input(0).type().shape;
    bool slices = false;
    for (std::size_t axis = 0; axis < pattern.size(); ++axis) {
      const IndexEntry& e = pattern[axis];
      const auto from_input = [](const IndexField& field) { return field.kind == IndexField::Kind::input; };
      if (e.is_integer || !(from_input(e.start) || from_input(e.stop) || from_input(e.step))) continue;
      slices = true;
      if (shape[axis] == unknown) {  // of something whose own extent depends on values: all numbers count
        entry.axes.clear();
        break;
      }
      entry.axes.push_back({e, axis, shape[axis], from_input(e.step)});
    }
    if (!slices) return;  // integers only shift where the result lies
  } else {
    for (const Variable& variable : open) {
      if (follows_from_shapes(variable)) continue;
      const std::vector<Source> numbers = sources_of(variable);
      entry.sources.insert(entry.sources.end(), numbers.begin(), numbers.end());
    }
  }
  nodes_.push_back(std::move(entry));
}

std::vector<Tensor> Extents::evaluate(std::span<const Variable> variables, const Tensor* const* inputs,
                                      SharedCell* const* shared) const {
  if (variables.empty()) return {};
  std::unordered_set<Variable> leaves;
  for (const Node* node : order_until(variables, [](const Variable&) { return false; })) {
    for (const Variable& input : node->inputs()) leaves.insert(input);
  }
  leaves.insert(variables.begin(), variables.end());
  std::unordered_map<Variable, Tensor> values;
  const auto add = [&](const Variable& variable, const Tensor& value) {
    if (!leaves.contains(variable)) return;
    if (value.device().is_cuda() && config().transfers() != Transfers::allow) {
      CudaPlan::report_transfers(function_,
                                 "\n  the value of " + describe(variable) + ", on which shapes depend");
    }
    values.emplace(variable, value.to_host());
  };
  for (std::size_t i = 0; i < typed_.inputs().size(); ++i) add(typed_.inputs()[i], *inputs[i]);
  for (std::size_t i = 0; i < typed_.shared().size(); ++i) add(typed_.shared()[i], shared[i]->value());
  return croton::evaluate(variables, values);
}

void Extents::find(const Tensor* const* inputs, SharedCell* const* shared, ExtentKey& key) const {
  std::int64_t registers[ScalarProgram::most_registers];
  program_.run(inputs, shared, registers);
  const std::vector<Tensor> evaluated = evaluate(evaluated_, inputs, shared);
  for (const ValueNode& entry : nodes_) {
    if (entry.axes.empty()) {
      for (const Source& source : entry.sources) {
        if (!source.evaluated) {
          key.push_back(registers[source.index]);
          continue;
        }
        const Tensor& value = evaluated[source.index];
        key.push_back(value.size());
        const Tensor numbers = value.astype(is_floating(value.dtype()) ? DType::float64 : DType::int64);
        const auto* bits = static_cast<const std::int64_t*>(numbers.raw_data());
        for (std::int64_t i = 0; i < numbers.size(); ++i) key.push_back(bits[i]);
      }
      continue;
    }
    std::int64_t integers[3 * max_rank];
    for (std::size_t i = 0; i < entry.sources.size(); ++i) {
      const Source& source = entry.sources[i];
      integers[i] = source.evaluated ? evaluated[source.index].item<std::int64_t>() : registers[source.index];
    }
    for (const SlicedAxis& axis : entry.axes) {
      const AxisSelection selection =
          select_axis(axis.entry, axis.axis, axis.extent, std::span(integers, entry.sources.size()));
      key.push_back(selection.extent);
      if (axis.step_counts) key.push_back(selection.step);
    }
  }
}

std::unique_ptr<FunctionGraph> Extents::resolve(const Tensor* const* inputs,
                                                SharedCell* const* shared) const {
  std::vector<Variable> wanted;
  for (const ValueNode& entry : nodes_) {
    for (const Variable& open : open_shape_inputs(*entry.node)) {
      if (!follows_from_shapes(open)) wanted.push_back(open);  // the others are known where shapes are
    }
  }
  const std::vector<Tensor> found = evaluate(wanted, inputs, shared);
  std::unordered_map<Variable, Variable> constants;
  for (std::size_t i = 0; i < wanted.size(); ++i) constants.emplace(wanted[i], constant(found[i]));

  const auto refiner = [&](const Node& original, std::span<const Variable> copies,
                           std::vector<TensorType>& types) {
    if (!has_unknown_extents(original) || open_shape_inputs(original).empty()) return;
    std::vector<Variable> known(copies.begin(), copies.end());
    for (const std::size_t i : original.op().shape_inputs(original)) {
      if (const auto entry = constants.find(original.input(i)); entry != constants.end())
        known[i] = entry->second;
    }
    const Ref<Node> sample = make_node(original.op(), known, original.attributes(), original.where());
    for (std::size_t i = 0; i < types.size(); ++i) {
      for (std::size_t axis = 0; axis < types[i].shape.size(); ++axis) {
        if (types[i].shape[axis] == unknown) types[i].shape[axis] = sample->type(i).shape[axis];
      }
    }
  };
  std::vector<TensorType> input_types, shared_types;
  for (const Variable& v : typed_.inputs()) input_types.push_back(v.type());
  for (const Variable& v : typed_.shared()) shared_types.push_back(v.type());
  return typed_.with_types(input_types, shared_types, refiner);
}

}  // namespace croton
