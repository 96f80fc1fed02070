// What KernelBuilder refuses.

#include "croton/codegen/kernel_builder.h"

#include <fmt/core.h>

#include "croton/graph/error.h"

namespace croton {

void KernelBuilder::misuse(const std::string& what) const {
  throw InternalError(
      fmt::format("kernel '{}', statement {}: {}", kernel_.name, kernel_.instructions.size(), what));
}

void KernelBuilder::check(ScalarValue value, std::string_view where) const {
  if (value.id < 0 || static_cast<std::size_t>(value.id) >= instruction_visible_.size() ||
      !instruction_visible_[static_cast<std::size_t>(value.id)]) {
    misuse(fmt::format("{} uses a value that was made in a block which has ended", where));
  }
}

void KernelBuilder::check_mask(ScalarValue mask, std::string_view where) const {
  check(mask, where);
  if (mask.dtype != DType::bool_) misuse(fmt::format("the mask of a {} must be bool", where));
}

void KernelBuilder::check(Local local, std::string_view where) const {
  if (local.id < 0 || static_cast<std::size_t>(local.id) >= local_visible_.size() ||
      !local_visible_[static_cast<std::size_t>(local.id)]) {
    misuse(fmt::format("{} of a local whose block has ended", where));
  }
}

void KernelBuilder::check(LocalArray array) const {
  if (array.id < 0 || static_cast<std::size_t>(array.id) >= array_visible_.size() ||
      !array_visible_[static_cast<std::size_t>(array.id)]) {
    misuse("an array whose block has ended");
  }
}

void KernelBuilder::check(Buffer buffer) const {
  if (buffer.id < 0 || static_cast<std::size_t>(buffer.id) >= kernel_.buffers.size())
    misuse("an unknown buffer");
}

void KernelBuilder::check_op(ScalarOp op, const ScalarValue* operands, int count) const {
  const auto refuse = [&] {
    misuse(fmt::format("{} does not take {}", name_of(op), name_of(operands[count - 1].dtype)));
  };
  if (arity_of(op) != count)
    misuse(fmt::format("{} takes {} operands, got {}", name_of(op), arity_of(op), count));
  for (int i = 0; i < count; ++i) check(operands[i], name_of(op));
  for (int i = op == ScalarOp::select ? 2 : 1; i < count; ++i) {
    if (operands[i].dtype != operands[i - 1].dtype) {
      misuse(fmt::format("{} of {} and {}", name_of(op), name_of(operands[i - 1].dtype),
                         name_of(operands[i].dtype)));
    }
  }
  const DType dtype = operands[count - 1].dtype;
  if (op == ScalarOp::select && operands[0].dtype != DType::bool_)
    misuse("the condition of select must be bool");
  if ((op >= ScalarOp::exp && op <= ScalarOp::softplus) || op == ScalarOp::sqrt || op == ScalarOp::atan2 ||
      op == ScalarOp::div) {
    if (!is_floating(dtype)) refuse();
  }
  if (op == ScalarOp::bit_not || (op >= ScalarOp::bit_and && op <= ScalarOp::shift_right)) {
    if (!is_discrete(dtype)) refuse();
  }
  if ((op == ScalarOp::shift_left || op == ScalarOp::shift_right) && is_bool(dtype)) refuse();
}

}  // namespace croton
