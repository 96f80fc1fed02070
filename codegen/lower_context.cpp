#include "croton/codegen/lower_context.h"

#include <array>
#include <unordered_map>

#include "croton/graph/error.h"
#include "croton/ops/elementwise.h"

namespace croton {

NodeKernel::NodeKernel(const LowerContext& context, std::string name)
    : context_(context),
      builder_(std::move(name)),
      in_place_(context.node.op().destroy_map(context.node)),
      inputs_(context.inputs.size()),
      outputs_(context.outputs.size()) {
  if (context.is_gpu()) builder_.set_for_gpu();
}

Buffer NodeKernel::declare(StepBuffer::Kind kind, std::size_t index) {
  const bool is_input = kind == StepBuffer::Kind::input;
  const Layout& layout = is_input ? context_.inputs[index] : context_.outputs[index];
  const std::string name = (is_input ? "i" : "o") + std::to_string(index);
  const std::int64_t count = is_contiguous(layout) ? layout.shape.count() : -1;
  buffers_.push_back({kind, static_cast<std::uint32_t>(index)});
  if (is_input) {
    for (const auto& [output, input] : in_place_) {
      if (static_cast<std::size_t>(input) != index) continue;
      const Buffer buffer = builder_.inout(name, layout.dtype, count);
      outputs_[static_cast<std::size_t>(output)] = buffer;
      return buffer;
    }
    return builder_.input(name, layout.dtype, count);
  }
  return builder_.output(name, layout.dtype, count);
}

Buffer NodeKernel::input(std::size_t i) {
  if (!inputs_[i]) inputs_[i] = declare(StepBuffer::Kind::input, i);
  return *inputs_[i];
}

Buffer NodeKernel::output(std::size_t i) {
  for (const auto& [output, in] : in_place_) {
    if (static_cast<std::size_t>(output) == i) return input(static_cast<std::size_t>(in));
  }
  if (!outputs_[i]) outputs_[i] = declare(StepBuffer::Kind::output, i);
  return *outputs_[i];
}

Buffer NodeKernel::scratch(DType dtype, std::int64_t count) {
  buffers_.push_back({StepBuffer::Kind::scratch, static_cast<std::uint32_t>(scratch_bytes_.size())});
  scratch_bytes_.push_back(count * static_cast<std::int64_t>(size_of(dtype)));
  return builder_.scratch("s" + std::to_string(scratch_bytes_.size() - 1), dtype, count);
}

void NodeKernel::fault_if(ScalarValue bad) {
  if (!fault_) {
    buffers_.push_back({StepBuffer::Kind::fault, 0});
    fault_ = builder_.output("fault", DType::int64, 1);
  }
  builder_.branch(bad, [&] { builder_.store(*fault_, 0, builder_.integer_constant(1, DType::int64)); });
}

NodeCode NodeKernel::finish() {
  NodeCode code;
  code.may_fault = fault_.has_value();
  code.kernels.push_back({builder_.build(), std::move(buffers_)});
  code.scratch_bytes = std::move(scratch_bytes_);
  return code;
}

ScalarValue emit_constant(KernelBuilder& b, const Tensor& value) {
  const DType dtype = value.dtype();
  if (is_floating(dtype)) return b.constant(value.item<double>(), compute_dtype(dtype));
  if (dtype == DType::uint64)
    return b.integer_constant(static_cast<std::int64_t>(value.item<std::uint64_t>()), dtype);
  return b.integer_constant(value.item<std::int64_t>(), dtype);
}

ScalarValue emit_elementwise(KernelBuilder& b, const Node& node, std::span<const ScalarValue> inputs) {
  const ElementwiseOp* op = as_elementwise(node.op());
  if (op == nullptr) throw InternalError(node.op().name() + " stands in the body of a fused node");
  const ElementwiseRow& row = op->row();
  const DType out = node.type().dtype;
  const DType computed = compute_dtype(out);
  const auto round = [&](ScalarValue value) { return out == computed ? value : b.cast(value, out); };
  // What only moves or converts values rounds where the memory format is narrower than the arithmetic.
  if (row.rule == DTypeRule::cast) return b.cast(inputs[0], out);
  if (!row.variadic || inputs.size() <= 2) return round(row.lower(b, inputs, computed));
  ScalarValue value = inputs[0];
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    const std::array<ScalarValue, 2> pair = {value, inputs[i]};
    value = round(row.lower(b, pair, computed));
  }
  return value;
}

std::vector<ScalarValue> emit_body(KernelBuilder& b, const Subgraph& body,
                                   std::span<const ScalarValue> inputs) {
  std::unordered_map<Variable, ScalarValue> values;
  for (std::size_t i = 0; i < body.inputs().size(); ++i) values.emplace(body.inputs()[i], inputs[i]);
  const auto value_of = [&](const Variable& v) {
    const auto entry = values.find(v);
    if (entry != values.end()) return entry->second;
    return values.emplace(v, emit_constant(b, v.constant_value())).first->second;
  };
  std::vector<ScalarValue> operands;
  for (const Node* node : body.nodes()) {
    operands.clear();
    for (const Variable& input : node->inputs()) operands.push_back(value_of(input));
    values.emplace(node->output(), emit_elementwise(b, *node, operands));
  }
  std::vector<ScalarValue> results;
  for (const Variable& output : body.outputs()) results.push_back(value_of(output));
  return results;
}

}  // namespace croton
