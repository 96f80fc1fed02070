#include "croton/codegen/loop_interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "croton/codegen/loop_uses.h"
#include "croton/codegen/scalar_cell.h"
#include "croton/graph/error.h"
#include "croton/ops/elementwise_reference.h"

namespace croton {

namespace {

class Interpreter {
 public:
  Interpreter(const Kernel& kernel, void* const* buffers)
      : k_(kernel),
        uses_(kernel),
        buffers_(buffers),
        values_(kernel.instructions.size()),
        variables_(kernel.variables.size()),
        locals_(kernel.locals.size()) {
    for (const ArrayInfo& array : k_.arrays) {
      arrays_.emplace_back(static_cast<std::size_t>(array.count) * size_of(array.dtype));
    }
    for (std::size_t i = 0; i < k_.instructions.size(); ++i) {
      const Instruction& instruction = k_.instructions[i];
      if (instruction.kind == Instruction::Kind::constant)
        values_[i] = {instruction.number, instruction.integer};
    }
  }

  void run() {
    for (const Phase& phase : k_.phases) {
      for (std::int64_t i = 0; i < phase.extent; ++i) {
        variables_[static_cast<std::size_t>(phase.variable)] = i;
        block(phase.body);
      }
    }
  }

 private:
  const ScalarCell& value(std::int32_t id) const { return values_[static_cast<std::size_t>(id)]; }
  const Instruction& instruction(std::int32_t id) const {
    return k_.instructions[static_cast<std::size_t>(id)];
  }

  std::int64_t index(std::int32_t id) const {
    const IndexNode& node = k_.indices[static_cast<std::size_t>(id)];
    const std::int32_t* const o = node.operands;
    switch (node.op) {
      case IndexOp::affine: {
        std::int64_t sum = node.constant;
        for (const auto& [atom, coefficient] : node.terms) sum += coefficient * index(atom);
        return sum;
      }
      case IndexOp::variable:
        return variables_[static_cast<std::size_t>(o[0])];
      case IndexOp::value:
        return value(o[0]).whole;
      case IndexOp::worker:
        return 0;
      case IndexOp::mul:
        return index(o[0]) * index(o[1]);
      case IndexOp::floor_div:
        return reference::floor_div(index(o[0]), index(o[1]));
      case IndexOp::mod:
        return reference::floor_mod(index(o[0]), index(o[1]));
      case IndexOp::min:
        return std::min(index(o[0]), index(o[1]));
      case IndexOp::max:
        return std::max(index(o[0]), index(o[1]));
      case IndexOp::select:
        return value(o[0]).whole != 0 ? index(o[1]) : index(o[2]);
    }
    return 0;
  }

  /// The index of an access to a buffer, which must lie in it.
  std::int64_t checked(std::int32_t buffer, std::int64_t at) const {
    const BufferInfo& info = k_.buffers[static_cast<std::size_t>(buffer)];
    if (at < 0 || (info.count >= 0 && at >= info.count)) {
      throw InternalError(fmt::format("kernel '{}': element {} of buffer '{}', which has {}", k_.name, at,
                                      info.name, info.count));
    }
    return at;
  }

  ScalarCell load(std::int32_t buffer, std::int64_t at) const {
    return load_element(buffers_[buffer], k_.buffers[static_cast<std::size_t>(buffer)].dtype,
                        checked(buffer, at));
  }
  void store(std::int32_t buffer, std::int64_t at, const ScalarCell& cell) const {
    store_element(buffers_[buffer], k_.buffers[static_cast<std::size_t>(buffer)].dtype, checked(buffer, at),
                  cell);
  }
  std::int64_t checked_array(std::int32_t array, std::int64_t at) const {
    const ArrayInfo& info = k_.arrays[static_cast<std::size_t>(array)];
    if (at < 0 || at >= info.count) {
      throw InternalError(fmt::format("kernel '{}': element {} of array '{}', which has {}", k_.name, at,
                                      info.name, info.count));
    }
    return at;
  }

  bool is_fused(std::int32_t id) const { return uses_.is_fused[static_cast<std::size_t>(id)]; }

  /// sign * product + addend, rounded once.
  ScalarCell fused(std::int32_t product, const ScalarCell& addend, int sign) const {
    const Instruction& i = instruction(product);
    const double x = sign * value(i.operands[0]).real, y = value(i.operands[1]).real;
    if (i.dtype == DType::float64) return to_cell(std::fma(x, y, addend.real));
    return to_cell(std::fma(static_cast<float>(x), static_cast<float>(y), static_cast<float>(addend.real)));
  }

  ScalarCell op(const Instruction& i) const {
    const ScalarCell& x = value(i.operands[0]);
    if (i.op == ScalarOp::select) return x.whole != 0 ? value(i.operands[1]) : value(i.operands[2]);
    if (i.op == ScalarOp::fma) {
      if (!is_floating(i.dtype)) {
        return apply(ScalarOp::add, i.dtype, apply(ScalarOp::mul, i.dtype, x, value(i.operands[1])),
                     value(i.operands[2]));
      }
      const double y = value(i.operands[1]).real, z = value(i.operands[2]).real;
      if (i.dtype == DType::float64) return to_cell(std::fma(x.real, y, z));
      return to_cell(std::fma(static_cast<float>(x.real), static_cast<float>(y), static_cast<float>(z)));
    }
    if ((i.op == ScalarOp::add || i.op == ScalarOp::sub) && is_floating(i.dtype)) {
      const bool is_sub = i.op == ScalarOp::sub;
      if (is_fused(i.operands[0])) {
        ScalarCell addend = value(i.operands[1]);
        if (is_sub) addend.real = -addend.real;
        return fused(i.operands[0], addend, 1);
      }
      if (is_fused(i.operands[1])) return fused(i.operands[1], x, is_sub ? -1 : 1);
    }
    return apply(i.op, instruction(i.operands[arity_of(i.op) - 1]).dtype, x,
                 arity_of(i.op) > 1 ? value(i.operands[1]) : ScalarCell{});
  }

  ScalarCell compute(const Instruction& i) const {
    switch (i.kind) {
      case Instruction::Kind::constant:
        return {i.number, i.integer};
      case Instruction::Kind::op:
        return op(i);
      case Instruction::Kind::cast:
        return cast_cell(value(i.operands[0]), instruction(i.operands[0]).dtype, i.rounded);
      case Instruction::Kind::load:
        if (i.mask >= 0 && value(i.mask).whole == 0) return value(i.operands[0]);
        return load(i.target, index(i.index));
      case Instruction::Kind::load_array:
        return load_element(arrays_[static_cast<std::size_t>(i.target)].data(),
                            k_.arrays[static_cast<std::size_t>(i.target)].dtype,
                            checked_array(i.target, index(i.index)));
      case Instruction::Kind::get:
        return locals_[static_cast<std::size_t>(i.target)];
      case Instruction::Kind::index:
        return to_cell(index(i.index));
      case Instruction::Kind::compare_index:
        return apply(i.op, DType::int64, to_cell(index(i.operands[0])), to_cell(index(i.operands[1])));
    }
    return {};
  }

  void reduce_arg(const Statement& s) {
    ScalarCell& extreme = locals_[static_cast<std::size_t>(s.target)];
    ScalarCell& where = locals_[static_cast<std::size_t>(s.second)];
    const DType dtype = k_.locals[static_cast<std::size_t>(s.target)].dtype;
    const DType index_dtype = k_.locals[static_cast<std::size_t>(s.second)].dtype;
    const ScalarCell& candidate = value(s.value);
    const auto holds = [&](ScalarOp op, const ScalarCell& a, const ScalarCell& b) {
      return apply(op, dtype, a, b).whole != 0;
    };
    const bool is_nan = holds(ScalarOp::isnan, candidate, {}), was_nan = holds(ScalarOp::isnan, extreme, {});
    const bool is_better = holds(s.op == ScalarOp::max ? ScalarOp::gt : ScalarOp::lt, candidate, extreme);
    const bool is_equal = holds(ScalarOp::eq, candidate, extreme) || (is_nan && was_nan);
    const bool is_first = apply(ScalarOp::lt, index_dtype, value(s.index_value), where).whole != 0;
    if (!is_better && !(is_nan && !was_nan) && !(is_equal && is_first)) return;
    extreme = candidate;
    where = value(s.index_value);
  }

  void statement(const Statement& s) {
    switch (s.kind) {
      case Statement::Kind::compute:
        if (!is_fused(s.value)) values_[static_cast<std::size_t>(s.value)] = compute(instruction(s.value));
        return;
      case Statement::Kind::declare:
      case Statement::Kind::set:
        locals_[static_cast<std::size_t>(s.target)] = value(s.value);
        return;
      case Statement::Kind::reduce: {
        ScalarCell& local = locals_[static_cast<std::size_t>(s.target)];
        local = is_fused(s.value)
                    ? fused(s.value, local, 1)
                    : apply(s.op, k_.locals[static_cast<std::size_t>(s.target)].dtype, local, value(s.value));
        return;
      }
      case Statement::Kind::reduce_arg:
        return reduce_arg(s);
      case Statement::Kind::store:
        if (s.mask < 0 || value(s.mask).whole != 0) store(s.target, index(s.index), value(s.value));
        return;
      case Statement::Kind::store_array:
        return store_element(arrays_[static_cast<std::size_t>(s.target)].data(),
                             k_.arrays[static_cast<std::size_t>(s.target)].dtype,
                             checked_array(s.target, index(s.index)), value(s.value));
      case Statement::Kind::loop:
        for (std::int64_t i = index(s.begin), end = index(s.end); i < end; i += s.step) {
          variables_[static_cast<std::size_t>(s.target)] = i;
          block(s.body);
        }
        return;
      case Statement::Kind::branch:
        if (value(s.value).whole != 0) return block(s.body);
        if (s.other >= 0) block(s.other);
        return;
      case Statement::Kind::prefetch:
        return;
      case Statement::Kind::transpose:
        for (std::int64_t i = 0; i < s.tile[0]; ++i) {
          for (std::int64_t j = 0; j < s.tile[1]; ++j) {
            store(s.target, index(s.index) + j * s.strides[0] + i,
                  load(s.second, index(s.second_index) + i * s.strides[1] + j));
          }
        }
        return;
    }
  }

  void block(std::int32_t id) {
    for (const Statement& s : k_.blocks[static_cast<std::size_t>(id)].statements) statement(s);
  }

  const Kernel& k_;
  const KernelUses uses_;
  void* const* buffers_;
  std::vector<ScalarCell> values_;
  std::vector<std::int64_t> variables_;
  std::vector<ScalarCell> locals_;
  std::vector<std::vector<char>> arrays_;
};

}  // namespace

void interpret(const Kernel& kernel, void* const* buffers) { Interpreter(kernel, buffers).run(); }

}  // namespace croton
