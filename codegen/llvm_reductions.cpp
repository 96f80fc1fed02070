#include "croton/codegen/llvm_phase.h"
#include "croton/graph/error.h"

namespace croton {

/// Gives every local that a vector loop reduces into an accumulator a lane.
std::vector<PhaseEmitter::Accumulator> PhaseEmitter::open_accumulators(std::int32_t body, unsigned width) {
  std::vector<Accumulator> accumulators;
  for (const auto& reduction : uses_.blocks[static_cast<std::size_t>(body)].reductions) {
    const auto local = static_cast<std::size_t>(reduction.local);
    if (is_accumulator_[local]) {
      throw InternalError("kernel '" + k_.name + "': a vector loop reduces into '" + k_.locals[local].name +
                          "' by two operations");
    }
    Accumulator a{reduction.local, reduction.second, reduction.op, locals_[local], {}};
    const DType dtype = k_.locals[local].dtype;
    is_accumulator_[local] = true;
    locals_[local] = make_slot(dtype, width);
    if (a.second < 0) {
      b_.CreateStore(identity_of(a.op, dtype, locals_[local].type), locals_[local].memory);
    } else {
      const auto second = static_cast<std::size_t>(a.second);
      a.outer_second = locals_[second];
      is_accumulator_[second] = true;
      locals_[second] = make_slot(k_.locals[second].dtype, width);
      b_.CreateStore(splat(b_, get(a.outer), width), locals_[local].memory);
      b_.CreateStore(splat(b_, get(a.outer_second), width), locals_[second].memory);
    }
    accumulators.push_back(a);
  }
  return accumulators;
}

/// The better of two: for reduce_arg a NaN beats numbers, and among equals the smaller index.
PhaseEmitter::Pair PhaseEmitter::combine(const Accumulator& a, Pair x, Pair y) {
  const DType dtype = k_.locals[static_cast<std::size_t>(a.local)].dtype;
  if (a.second < 0) return {emit_scalar(scalar(), a.op, dtype, {x.value, y.value}), nullptr};
  const ScalarOp wins = a.op == ScalarOp::max ? ScalarOp::gt : ScalarOp::lt;
  llvm::Value* is_better = emit_scalar(scalar(), wins, dtype, {y.value, x.value});
  llvm::Value* is_equal = emit_scalar(scalar(), ScalarOp::eq, dtype, {y.value, x.value});
  if (is_floating(dtype)) {
    llvm::Value* const x_nan = b_.CreateFCmpUNO(x.value, x.value);
    llvm::Value* const y_nan = b_.CreateFCmpUNO(y.value, y.value);
    is_better = b_.CreateOr(is_better, b_.CreateAnd(y_nan, b_.CreateNot(x_nan)));
    is_equal = b_.CreateOr(is_equal, b_.CreateAnd(y_nan, x_nan));
  }
  const DType where = k_.locals[static_cast<std::size_t>(a.second)].dtype;
  llvm::Value* const is_first = emit_scalar(scalar(), ScalarOp::lt, where, {y.where, x.where});
  llvm::Value* const takes = b_.CreateOr(is_better, b_.CreateAnd(is_equal, is_first));
  return {b_.CreateSelect(takes, y.value, x.value), b_.CreateSelect(takes, y.where, x.where)};
}

/// Some lanes of both.
PhaseEmitter::Pair PhaseEmitter::part(Pair x, unsigned first, unsigned lanes) {
  return {take_lanes(b_, x.value, first, lanes),
          x.where == nullptr ? nullptr : take_lanes(b_, x.where, first, lanes)};
}

/// One vector of `width` lanes out of the accumulators of several side by side.
void PhaseEmitter::narrow_accumulators(std::vector<Accumulator>& accumulators, unsigned width) {
  const auto shrink = [&](std::int32_t local, llvm::Value* value) {
    Slot& slot = locals_[static_cast<std::size_t>(local)];
    slot = make_slot(k_.locals[static_cast<std::size_t>(local)].dtype, width);
    b_.CreateStore(value, slot.memory);
  };
  for (const Accumulator& a : accumulators) {
    const Pair all = accumulated(a);
    Pair sum = part(all, 0, width);
    for (unsigned first = width; first < lanes_of(all.value); first += width) {
      sum = combine(a, sum, part(all, first, width));
    }
    shrink(a.local, sum.value);
    if (a.second >= 0) shrink(a.second, sum.where);
  }
}

PhaseEmitter::Pair PhaseEmitter::accumulated(const Accumulator& a) {
  return {get(locals_[static_cast<std::size_t>(a.local)]),
          a.second < 0 ? nullptr : get(locals_[static_cast<std::size_t>(a.second)])};
}

/// Combines the lanes, each half with the other, and the result with what the local held before the loop.
void PhaseEmitter::close_accumulators(std::vector<Accumulator>& accumulators) {
  for (const Accumulator& a : accumulators) {
    Pair sum = accumulated(a);
    for (unsigned lanes = lanes_of(sum.value) / 2; lanes > 0; lanes /= 2) {
      sum = combine(a, part(sum, 0, lanes), part(sum, lanes, lanes));
    }
    const auto local = static_cast<std::size_t>(a.local);
    locals_[local] = a.outer;
    is_accumulator_[local] = false;
    if (a.second < 0) {
      b_.CreateStore(combine(a, {get(a.outer), nullptr}, sum).value, a.outer.memory);
      continue;
    }
    const auto second = static_cast<std::size_t>(a.second);
    locals_[second] = a.outer_second;
    is_accumulator_[second] = false;
    const Pair result = combine(a, {get(a.outer), get(a.outer_second)}, sum);
    b_.CreateStore(result.value, a.outer.memory);
    b_.CreateStore(result.where, a.outer_second.memory);
  }
}

void PhaseEmitter::reduce(const Statement& s) {
  llvm::Value* const old = get(locals_[static_cast<std::size_t>(s.target)]);
  if (uses_.is_fused[static_cast<std::size_t>(s.value)]) return assign(s.target, fused(s.value, old, false));
  const DType dtype = k_.locals[static_cast<std::size_t>(s.target)].dtype;
  assign(s.target, emit_scalar(scalar(), s.op, dtype, {old, operand(s.value)}));
}

void PhaseEmitter::reduce_arg(const Statement& s) {
  const Slot& extreme = locals_[static_cast<std::size_t>(s.target)];
  const Slot& where = locals_[static_cast<std::size_t>(s.second)];
  const unsigned lanes = lanes_of(extreme.type);
  const Accumulator a{s.target, s.second, s.op, {}, {}};
  const Pair best = combine(a, {get(extreme), get(where)},
                            {splat(b_, operand(s.value), lanes), splat(b_, operand(s.index_value), lanes)});
  assign(s.target, best.value);
  assign(s.second, best.where);
}

}  // namespace croton
