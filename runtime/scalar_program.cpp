#include "croton/runtime/scalar_program.h"

#include <algorithm>
#include <cstring>

#include "croton/graph/node.h"
#include "croton/graph/tensor_cast.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/static_value.h"

namespace croton {

namespace {

/// A register holds the bytes of its dtype at its beginning; these take it to an int64 and back.
std::int64_t widened(const void* bytes, DType dtype) {
  return visit_dtype(dtype, [&](auto tag) {
    typename decltype(tag)::type value;
    std::memcpy(&value, bytes, sizeof value);
    return convert_element<std::int64_t>(value);
  });
}

void narrow(std::int64_t value, DType dtype, void* bytes) {
  visit_dtype(dtype, [&](auto tag) {
    const auto narrowed = convert_element<typename decltype(tag)::type>(value);
    std::memcpy(bytes, &narrowed, sizeof narrowed);
  });
}

/// Nodes that only pass a scalar on.
bool is_scalar_view(const Node& node) {
  return (&node.op() == &dimshuffle_op() || &node.op() == &reshape_op() ||
          &node.op() == &specify_shape_op() || &node.op() == &contiguous_op()) &&
         node.input(0).type().rank() == 0;
}

}  // namespace

ScalarProgram::ScalarProgram(const FunctionGraph& graph) {
  for (std::size_t i = 0; i < graph.inputs().size(); ++i) {
    arguments_.emplace(graph.inputs()[i], std::pair(false, static_cast<std::uint32_t>(i)));
  }
  for (std::size_t i = 0; i < graph.shared().size(); ++i) {
    arguments_.emplace(graph.shared()[i], std::pair(true, static_cast<std::uint32_t>(i)));
  }
}

ScalarProgram::Register ScalarProgram::constant(std::int64_t value) {
  constants_.push_back(value);
  return static_cast<Register>(constants_.size() - 1);
}

std::optional<ScalarProgram::Register> ScalarProgram::leaf(const Variable& variable, std::int64_t element) {
  const auto entry = arguments_.find(variable);
  if (entry == arguments_.end()) return std::nullopt;
  const Register to = constant(0);
  loads_.push_back({entry->second.first, entry->second.second, element, variable.dtype(), to});
  return to;
}

std::optional<ScalarProgram::Register> ScalarProgram::apply(const Node& node,
                                                            std::span<const Register> operands) {
  if (is_scalar_view(node)) return operands[0];
  const ElementwiseOp* op = as_elementwise(node.op());
  if (op == nullptr) return std::nullopt;
  const ElementwiseRow& row = op->row();
  const DType result = node.type().dtype;
  if (row.rule == DTypeRule::second) return operands[1];
  const auto emit = [&](std::span<const Register> list) {
    const Register to = constant(0);
    Operation operation{.loop = row.reference,
                        .dtype = node.input(node.input_count() - 1).dtype(),
                        .from = node.input(0).dtype(),
                        .result = result,
                        .count = static_cast<std::uint8_t>(list.size()),
                        .operands = {},
                        .to = to};
    std::ranges::copy(list, operation.operands);
    operations_.push_back(operation);
    return to;
  };
  if (row.rule == DTypeRule::cast) return emit(operands.first(1));
  if (row.reference == nullptr || (!row.variadic && operands.size() > 3)) return std::nullopt;
  if (!row.variadic) return emit(operands);
  Register sum = operands[0];
  for (std::size_t i = 1; i < operands.size(); ++i) {
    const Register pair[] = {sum, operands[i]};
    sum = emit(pair);
  }
  return sum;
}

std::optional<ScalarProgram::Register> ScalarProgram::add(const Variable& scalar) {
  std::vector<Variable> stack{scalar};
  while (!stack.empty()) {
    const Variable variable = stack.back();
    if (known_.contains(variable)) {
      stack.pop_back();
      continue;
    }
    // One step adds a register for every operand at most; ops are refused a few registers early.
    const bool is_full = constants_.size() + variable.node()->input_count() + 1 > most_registers;
    if (variable.rank() != 0 || !is_discrete(variable.dtype()) || is_full) return std::nullopt;
    std::optional<Register> result;
    if (const auto value = static_integer(variable)) {
      result = constant(*value);
    } else if (variable.node()->is_leaf()) {
      result = leaf(variable, 0);
    } else {
      const Node& node = *variable.node();
      std::vector<Register> operands;
      const std::size_t before = stack.size();
      for (const Variable& input : node.inputs()) {
        const auto entry = known_.find(input);
        if (entry == known_.end())
          stack.push_back(input);
        else
          operands.push_back(entry->second);
      }
      if (stack.size() != before) continue;
      result = apply(node, operands);
    }
    if (!result) return std::nullopt;
    known_.emplace(variable, *result);
    stack.pop_back();
  }
  return known_.at(scalar);
}

std::optional<std::vector<ScalarProgram::Register>> ScalarProgram::add_elements(const Variable& variable) {
  std::vector<Register> elements;
  if (variable.rank() == 0) {
    const auto only = add(variable);
    if (!only) return std::nullopt;
    elements.push_back(*only);
    return elements;
  }
  if (variable.rank() != 1 || !is_discrete(variable.dtype())) return std::nullopt;
  if (variable.node()->is_apply()) {
    if (&variable.node()->op() != &make_vector_op()) return std::nullopt;
    for (const Variable& input : variable.node()->inputs()) {
      const auto element = add(input);
      if (!element) return std::nullopt;
      elements.push_back(*element);
    }
    return elements;
  }
  const std::int64_t extent = variable.type().shape[0];
  if (extent < 0 || extent > max_rank || constants_.size() + max_rank > most_registers) return std::nullopt;
  for (std::int64_t i = 0; i < extent; ++i) {
    const auto element = leaf(variable, i);
    if (!element) return std::nullopt;
    elements.push_back(*element);
  }
  return elements;
}

void ScalarProgram::run(const Tensor* const* inputs, SharedCell* const* shared,
                        std::int64_t* registers) const {
  std::ranges::copy(constants_, registers);
  for (const Load& load : loads_) {
    const Tensor& given = load.is_shared ? shared[load.argument]->value() : *inputs[load.argument];
    const Tensor fetched = given.on_host() ? Tensor() : given.to_host();
    const Tensor& tensor = fetched.defined() ? fetched : given;
    const std::int64_t at = tensor.rank() == 0 ? 0 : load.element * tensor.strides()[0];
    const auto* bytes = static_cast<const std::byte*>(tensor.raw_data());
    registers[load.to] = widened(bytes + at * static_cast<std::int64_t>(size_of(load.dtype)), load.dtype);
  }
  constexpr std::int64_t steps[3] = {0, 0, 0};
  for (const Operation& operation : operations_) {
    if (operation.loop == nullptr) {
      std::int64_t narrowed = 0;
      narrow(registers[operation.operands[0]], operation.result, &narrowed);
      registers[operation.to] = widened(&narrowed, operation.result);
      continue;
    }
    std::int64_t cells[3] = {};
    const std::byte* in[3] = {};
    for (std::uint8_t i = 0; i < operation.count; ++i) {
      narrow(registers[operation.operands[i]], i == 0 ? operation.from : operation.dtype, &cells[i]);
      in[i] = reinterpret_cast<const std::byte*>(&cells[i]);
    }
    std::int64_t result = 0;
    operation.loop(operation.dtype, 1, in, steps, reinterpret_cast<std::byte*>(&result));
    registers[operation.to] = widened(&result, operation.result);
  }
}

}  // namespace croton
