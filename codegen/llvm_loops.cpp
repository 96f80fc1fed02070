#include <bit>

#include "croton/codegen/llvm_phase.h"
#include "croton/graph/error.h"

namespace croton {

namespace {

/// More code than this is not worth emitting a second time for the tail.
constexpr int long_body = 24;
/// Reductions this short wait for their own results unless several run side by side.
constexpr int short_body = 10;

const llvm::ConstantInt* as_constant(const llvm::Value* value) {
  return llvm::dyn_cast<llvm::ConstantInt>(value);
}

}  // namespace

/// for (i = begin; i < end; i += step) body(i), tested at the bottom.
void PhaseEmitter::counted(llvm::Value* begin, llvm::Value* end, std::int64_t step, LoopBody body) {
  const llvm::ConstantInt *first = as_constant(begin), *last = as_constant(end);
  const bool is_constant = first != nullptr && last != nullptr;
  if (is_constant) {
    const std::int64_t distance = last->getSExtValue() - first->getSExtValue();
    if (distance <= 0) return;
    if (distance <= step) return body(begin);
  }
  llvm::LLVMContext& context = module_.getContext();
  llvm::BasicBlock* const before = b_.GetInsertBlock();
  llvm::BasicBlock* const head = llvm::BasicBlock::Create(context, "loop", function_);
  llvm::BasicBlock* const after = llvm::BasicBlock::Create(context, "done", function_);
  if (is_constant) {
    b_.CreateBr(head);
  } else {
    b_.CreateCondBr(b_.CreateICmpSLT(begin, end), head, after);
  }
  b_.SetInsertPoint(head);
  llvm::PHINode* const i = b_.CreatePHI(b_.getInt64Ty(), 2);
  i->addIncoming(begin, before);
  body(i);
  llvm::Value* const next = b_.CreateAdd(i, i64(step), "", false, true);
  i->addIncoming(next, b_.GetInsertBlock());
  b_.CreateCondBr(b_.CreateICmpSLT(next, end), head, after);
  b_.SetInsertPoint(after);
}

void PhaseEmitter::unrolled_loop(const Statement& s, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; i += s.step) {
    variables_[static_cast<std::size_t>(s.target)] = i64(i);
    block(s.body);
  }
}

void PhaseEmitter::loop(const Statement& s) {
  llvm::Value* const begin = uniform_index(s.begin);
  llvm::Value* const end = uniform_index(s.end);
  if (s.mark.kind == LoopKind::unroll) {
    return unrolled_loop(s, as_constant(begin)->getSExtValue(), as_constant(end)->getSExtValue());
  }
  if (s.mark.kind == LoopKind::vectorize) return vector_loop(s.target, s.body, begin, end, s.step, s.mark);
  counted(begin, end, s.step, [&](llvm::Value* i) {
    variables_[static_cast<std::size_t>(s.target)] = i;
    block(s.body);
  });
}

/// True for the first `count` of `width` lanes; null when that is all of them.
llvm::Value* PhaseEmitter::first_lanes(llvm::Value* count, unsigned width) {
  if (const llvm::ConstantInt* number = as_constant(count)) {
    const auto lanes = number->getZExtValue();
    if (lanes >= width) return nullptr;
    llvm::SmallVector<llvm::Constant*, 64> active;
    for (unsigned lane = 0; lane < width; ++lane) active.push_back(b_.getInt1(lane < lanes));
    return llvm::ConstantVector::get(active);
  }
  llvm::Value* const lanes = intrinsic(b_, llvm::Intrinsic::umin, {count, i64(width)});
  if (target_.has_avx512 && width >= 8 && width <= 64) {  // mask registers are bits
    llvm::Value* const bits = b_.CreateLShr(i64(-1), b_.CreateSub(i64(64), lanes));
    return b_.CreateBitCast(b_.CreateTrunc(bits, b_.getIntNTy(width)), with_lanes(b_.getInt1Ty(), width));
  }
  llvm::Type* const number = b_.getInt32Ty();
  return b_.CreateICmpSLT(lane_numbers(number, width, 1),
                          b_.CreateVectorSplat(width, b_.CreateTrunc(lanes, number)));
}

void PhaseEmitter::lanes_body(const VectorLoop& loop, llvm::Value* first, unsigned width,
                              llvm::Value* active) {
  const Lanes outside = lanes_;
  llvm::Value* const mask = mask_;
  lanes_ = {loop.variable, loop.step, width, active};
  mask_ = active;
  variables_[static_cast<std::size_t>(loop.variable)] = first;
  block(loop.body);
  lanes_ = outside;
  mask_ = mask;
}

void PhaseEmitter::scalar_iterations(const VectorLoop& loop, llvm::Value* begin, llvm::Value* end) {
  counted(begin, end, loop.step, [&](llvm::Value* i) { lanes_body(loop, i, 1, nullptr); });
}

void PhaseEmitter::full_iterations(const VectorLoop& loop, llvm::Value* begin, llvm::Value* end,
                                   unsigned width) {
  counted(begin, end, loop.step * width, [&](llvm::Value* i) { lanes_body(loop, i, width, nullptr); });
}

void PhaseEmitter::masked_iterations(const VectorLoop& loop, llvm::Value* begin, llvm::Value* end) {
  counted(begin, end, loop.step * loop.width, [&](llvm::Value* i) {
    llvm::Value* remaining = b_.CreateSub(end, i);
    if (loop.step != 1)
      remaining = b_.CreateUDiv(b_.CreateAdd(remaining, i64(loop.step - 1)), i64(loop.step));
    lanes_body(loop, i, loop.width, first_lanes(remaining, loop.width));
  });
}

/// Full vectors, several side by side, then the rest under a mask (one lane at a time where the target has no
/// masks). A long body is emitted once, always under a mask.
void PhaseEmitter::vector_loop(std::int32_t variable, std::int32_t body, llvm::Value* begin, llvm::Value* end,
                               std::int64_t step, LoopMark mark) {
  const KernelUses::BlockFacts& facts = uses_.blocks[static_cast<std::size_t>(body)];
  const int bytes = facts.widest_float > 0 ? facts.widest_float : facts.widest;
  VectorLoop loop{variable, body, step, static_cast<unsigned>(std::max(target_.vector_bytes / bytes, 1)),
                  1,        true};
  loop.has_masks = target_.has_masked_access(static_cast<unsigned>(facts.narrowest_access));
  if (mark.vectors > 0) {
    loop.vectors = static_cast<unsigned>(mark.vectors);
  } else if (!facts.reductions.empty() && facts.operations <= short_body && facts.functions == 0 &&
             !facts.has_inner_loop) {
    loop.vectors = 4;
  }
  const llvm::ConstantInt *first = as_constant(begin), *last = as_constant(end);
  const bool is_constant = first != nullptr && last != nullptr;
  std::int64_t count = -1;
  if (is_constant) {
    count = (last->getSExtValue() - first->getSExtValue() + step - 1) / step;
    if (count <= 0) return;
    loop.width = std::min<unsigned>(loop.width,
                                    static_cast<unsigned>(std::bit_ceil(static_cast<std::uint64_t>(count))));
    loop.vectors = static_cast<unsigned>(std::clamp<std::int64_t>(count / loop.width, 1, loop.vectors));
    if (loop.width < 4 && !loop.has_masks && count % loop.width != 0) loop.width = 1;
  }
  if (loop.width == 1) return scalar_iterations(loop, begin, end);

  const bool is_long = facts.functions > 0 || facts.operations > long_body;
  const bool is_even = is_constant && count % loop.width == 0;
  if (mark.vectors == 0 && is_long && loop.has_masks && !is_even) {
    std::vector<Accumulator> accumulators = open_accumulators(body, loop.width);
    masked_iterations(loop, begin, end);
    return close_accumulators(accumulators);
  }
  const unsigned wide = loop.width * loop.vectors;
  const auto rounded = [&](llvm::Value* from, unsigned lanes) -> llvm::Value* {
    llvm::Value* distance = b_.CreateSub(end, from);
    if (step != 1) distance = b_.CreateSDiv(b_.CreateAdd(distance, i64(step - 1)), i64(step));
    if (!is_constant) distance = intrinsic(b_, llvm::Intrinsic::smax, {distance, i64(0)});
    llvm::Value* const whole = b_.CreateAnd(distance, i64(-static_cast<std::int64_t>(std::bit_floor(lanes))));
    if (!std::has_single_bit(lanes)) {
      llvm::Value* const vectors = b_.CreateUDiv(distance, i64(lanes));
      return b_.CreateAdd(from, b_.CreateMul(vectors, i64(step * lanes)));
    }
    return b_.CreateAdd(from, step == 1 ? whole : b_.CreateMul(whole, i64(step)));
  };
  std::vector<Accumulator> accumulators = open_accumulators(body, wide);
  llvm::Value* at = rounded(begin, wide);
  full_iterations(loop, begin, at, wide);
  if (loop.vectors > 1) narrow_accumulators(accumulators, loop.width);
  if (loop.has_masks) {
    masked_iterations(loop, at, end);
    return close_accumulators(accumulators);
  }
  if (loop.vectors > 1) {
    llvm::Value* const next = rounded(at, loop.width);
    full_iterations(loop, at, next, loop.width);
    at = next;
  }
  close_accumulators(accumulators);
  scalar_iterations(loop, at, end);
}

}  // namespace croton
