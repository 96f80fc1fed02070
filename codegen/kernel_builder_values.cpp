// Values: constants, operations, casts, comparisons of indices. Equal pure ones are made once.

#include "croton/codegen/kernel_builder.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace croton {

namespace {

double rounded_to(double value, DType dtype) {
  switch (dtype) {
    case DType::float16:
      return static_cast<float>(float16(static_cast<float>(value)));
    case DType::bfloat16:
      return static_cast<float>(bfloat16(static_cast<float>(value)));
    case DType::float32:
      return static_cast<float>(value);
    default:
      return value;
  }
}

std::int64_t wrapped_to(std::int64_t value, DType dtype) {
  switch (dtype) {
    case DType::bool_:
      return value != 0;
    case DType::int8:
      return static_cast<std::int8_t>(value);
    case DType::int16:
      return static_cast<std::int16_t>(value);
    case DType::int32:
      return static_cast<std::int32_t>(value);
    case DType::uint8:
      return static_cast<std::uint8_t>(value);
    case DType::uint16:
      return static_cast<std::uint16_t>(value);
    case DType::uint32:
      return static_cast<std::uint32_t>(value);
    default:
      return value;
  }
}

}  // namespace

ScalarValue KernelBuilder::value_of(Index index, DType dtype) {
  Instruction value;
  value.kind = Instruction::Kind::index;
  value.dtype = DType::int64;
  value.index = node(index);
  return cast(index.is_constant() ? integer_constant(index.constant(), DType::int64) : define(value, true),
              dtype);
}

Index KernelBuilder::index_of(ScalarValue value) {
  check(value, "index_of");
  if (!is_discrete(value.dtype)) misuse("index_of takes an integer");
  const Instruction& instruction = kernel_.instructions[static_cast<std::size_t>(value.id)];
  if (instruction.kind == Instruction::Kind::constant) return Index(instruction.integer);
  if (instruction.kind == Instruction::Kind::index) return Index(&table_, instruction.index);
  return Index(&table_, table_.value(value.id));
}

ScalarValue KernelBuilder::compare(ScalarOp op, Index a, Index b) {
  if (op < ScalarOp::lt || op > ScalarOp::ne) misuse("compare takes lt, le, gt, ge, eq or ne");
  if ((op == ScalarOp::lt && a.high() < b.low()) || (op == ScalarOp::ge && a.low() >= b.high()) ||
      (op == ScalarOp::le && a.high() <= b.low()) || (op == ScalarOp::gt && a.low() > b.high())) {
    return integer_constant(1, DType::bool_);
  }
  Instruction compare;
  compare.kind = Instruction::Kind::compare_index;
  compare.op = op;
  compare.dtype = DType::bool_;
  compare.operands[0] = node(a);
  compare.operands[1] = node(b);
  return define(compare, true);
}

Index KernelBuilder::select(ScalarValue condition, Index a, Index b) {
  check(condition, "select");
  if (condition.dtype != DType::bool_) misuse("the condition of select must be bool");
  const std::int32_t x = node(a), y = node(b);
  return Index(&table_, table_.select(condition.id, x, y));
}

Index KernelBuilder::worker() { return Index(&table_, table_.worker()); }

ScalarValue KernelBuilder::define(const Instruction& instruction, bool is_pure) {
  if (scopes_.empty()) misuse("a value outside every phase");
  std::vector<std::int64_t> key;
  if (is_pure) {
    key = {static_cast<std::int64_t>(instruction.kind),
           static_cast<std::int64_t>(instruction.op),
           static_cast<std::int64_t>(instruction.dtype),
           static_cast<std::int64_t>(instruction.rounded),
           instruction.operands[0],
           instruction.operands[1],
           instruction.operands[2],
           instruction.index};
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto found = scope->known.find(key); found != scope->known.end()) {
        return {found->second, instruction.dtype};
      }
    }
  }
  const auto id = static_cast<std::int32_t>(kernel_.instructions.size());
  kernel_.instructions.push_back(instruction);
  instruction_visible_.push_back(true);
  scopes_.back().instructions.push_back(id);
  if (is_pure) scopes_.back().known.emplace(std::move(key), id);
  Statement compute;
  compute.value = id;
  append(compute);
  return {id, instruction.dtype};
}

ScalarValue KernelBuilder::emit_op(ScalarOp op, const ScalarValue* operands, int count) {
  check_op(op, operands, count);
  const DType dtype = operands[count - 1].dtype;
  Instruction instruction;
  instruction.kind = Instruction::Kind::op;
  instruction.op = op;
  instruction.dtype = is_predicate(op) ? DType::bool_ : dtype;
  for (int i = 0; i < count; ++i) instruction.operands[i] = operands[i].id;
  return define(instruction, true);
}

ScalarValue KernelBuilder::emit(ScalarOp op, ScalarValue a) { return emit_op(op, &a, 1); }
ScalarValue KernelBuilder::emit(ScalarOp op, ScalarValue a, ScalarValue b) {
  const ScalarValue operands[] = {a, b};
  return emit_op(op, operands, 2);
}
ScalarValue KernelBuilder::emit(ScalarOp op, ScalarValue a, ScalarValue b, ScalarValue c) {
  const ScalarValue operands[] = {a, b, c};
  return emit_op(op, operands, 3);
}

ScalarValue KernelBuilder::constant(double value, DType dtype) {
  if (is_discrete(dtype)) {
    if (is_bool(dtype)) return integer_constant(value != 0, dtype);
    const bool is_large = value >= 0x1p63 && dtype == DType::uint64;
    const double clamped = std::isnan(value) ? 0 : std::clamp(value, -0x1p63, 0x1.fffffffffffffp62);
    return integer_constant(is_large ? static_cast<std::int64_t>(static_cast<std::uint64_t>(value))
                                     : static_cast<std::int64_t>(clamped),
                            dtype);
  }
  Instruction instruction;
  instruction.number = rounded_to(value, dtype);
  instruction.dtype = compute_dtype(dtype);
  const auto [found, is_new] = constants_.try_emplace(
      {static_cast<std::int64_t>(instruction.dtype), std::bit_cast<std::int64_t>(instruction.number)},
      static_cast<std::int32_t>(kernel_.instructions.size()));
  if (is_new) {
    kernel_.instructions.push_back(instruction);
    instruction_visible_.push_back(true);
  }
  return {found->second, instruction.dtype};
}

ScalarValue KernelBuilder::integer_constant(std::int64_t value, DType dtype) {
  if (is_floating(dtype)) return constant(static_cast<double>(value), dtype);
  if (!is_discrete(dtype)) misuse("a constant that is complex");
  Instruction instruction;
  instruction.dtype = dtype;
  instruction.integer = wrapped_to(value, dtype);
  const auto [found, is_new] = constants_.try_emplace({static_cast<std::int64_t>(dtype), instruction.integer},
                                                      static_cast<std::int32_t>(kernel_.instructions.size()));
  if (is_new) {
    kernel_.instructions.push_back(instruction);
    instruction_visible_.push_back(true);
  }
  return {found->second, dtype};
}

ScalarValue KernelBuilder::cast(ScalarValue value, DType dtype) {
  check(value, "cast");
  if (is_complex(dtype)) misuse("cast to complex");
  if (value.dtype == dtype) return value;
  Instruction instruction;
  instruction.kind = Instruction::Kind::cast;
  instruction.dtype = compute_dtype(dtype);
  instruction.rounded = dtype;
  instruction.operands[0] = value.id;
  return define(instruction, true);
}

}  // namespace croton
