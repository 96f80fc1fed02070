#include "croton/codegen/llvm_phase.h"
#include "croton/graph/error.h"

namespace croton {

namespace {

bool fits_in_32_bits(const IndexNode& node) { return node.low >= INT32_MIN && node.high <= INT32_MAX; }

}  // namespace

/// 0, stride, 2 * stride, …
llvm::Value* PhaseEmitter::lane_numbers(llvm::Type* element, unsigned width, std::int64_t stride) {
  llvm::SmallVector<llvm::Constant*, 64> numbers;
  for (unsigned lane = 0; lane < width; ++lane) {
    numbers.push_back(llvm::ConstantInt::get(element, static_cast<std::uint64_t>(stride * lane), true));
  }
  return llvm::ConstantVector::get(numbers);
}

void PhaseEmitter::add_scaled(IndexValue& sum, const IndexValue& term, std::int64_t scale) {
  llvm::Value* const base = scale == 1 ? term.base : b_.CreateMul(term.base, i64(scale), "", false, true);
  sum.base = sum.base == nullptr ? base : b_.CreateAdd(sum.base, base, "", false, true);
  sum.stride += scale * term.stride;
  if (term.lanes == nullptr) return;
  llvm::Type* const wide = with_lanes(b_.getInt64Ty(), lanes_.width);
  llvm::Value* lanes = term.lanes;
  if (scale != 1 || sum.lanes != nullptr) {
    lanes = b_.CreateSExt(lanes, wide);
    if (scale != 1) lanes = b_.CreateMul(lanes, b_.CreateVectorSplat(lanes_.width, i64(scale)));
  }
  sum.lanes = sum.lanes == nullptr ? lanes : b_.CreateAdd(b_.CreateSExt(sum.lanes, wide), lanes);
}

PhaseEmitter::IndexValue PhaseEmitter::affine(const IndexNode& node) {
  IndexValue sum;
  for (const auto& [atom, coefficient] : node.terms) add_scaled(sum, index(atom), coefficient);
  if (sum.base == nullptr) {
    sum.base = i64(node.constant);
  } else if (node.constant != 0) {
    sum.base = b_.CreateAdd(sum.base, i64(node.constant), "", false, true);
  }
  return sum;
}

/// All of an index in one vector, of i32 where its bounds allow.
llvm::Value* PhaseEmitter::vector_of(const IndexValue& value, const IndexNode& node) {
  llvm::Type* const element = fits_in_32_bits(node) ? b_.getInt32Ty() : b_.getInt64Ty();
  llvm::Type* const type = with_lanes(element, lanes_.width);
  llvm::Value* result = b_.CreateVectorSplat(lanes_.width, b_.CreateTrunc(value.base, element));
  if (value.stride != 0) result = b_.CreateAdd(result, lane_numbers(element, lanes_.width, value.stride));
  if (value.lanes != nullptr) result = b_.CreateAdd(result, b_.CreateIntCast(value.lanes, type, true));
  return result;
}

/// Everything that is no sum. Where all lanes agree it is computed once.
PhaseEmitter::IndexValue PhaseEmitter::combined(const IndexNode& node) {
  const bool is_select = node.op == IndexOp::select;
  const IndexNode& first = k_.indices[static_cast<std::size_t>(node.operands[is_select ? 1 : 0])];
  const IndexNode& second = k_.indices[static_cast<std::size_t>(node.operands[is_select ? 2 : 1])];
  const IndexValue x = index(node.operands[is_select ? 1 : 0]);
  const IndexValue y = index(node.operands[is_select ? 2 : 1]);
  llvm::Value* condition = is_select ? operand(node.operands[0]) : nullptr;
  const bool is_uniform = x.is_uniform() && y.is_uniform() && (condition == nullptr || !is_vector(condition));
  llvm::Value *a = x.base, *c = y.base;
  IndexValue result;
  if (!is_uniform) {
    if (node.op == IndexOp::mul && (x.is_uniform() || y.is_uniform())) {
      const IndexValue& factor = x.is_uniform() ? x : y;
      const IndexValue& other = x.is_uniform() ? y : x;
      if (const auto* number = llvm::dyn_cast<llvm::ConstantInt>(factor.base)) {
        add_scaled(result, other, number->getSExtValue());
        return result;
      }
    }
    a = vector_of(x, first);
    c = vector_of(y, second);
    // Products may need more bits than their factors; the rest stays within its operands' bounds.
    const bool is_wide = node.op == IndexOp::mul ? !fits_in_32_bits(node) : a->getType() != c->getType();
    if (is_wide) {
      a = b_.CreateSExt(a, with_lanes(b_.getInt64Ty(), lanes_.width));
      c = b_.CreateSExt(c, with_lanes(b_.getInt64Ty(), lanes_.width));
    } else if (a->getType() != c->getType()) {
      llvm::Type* const narrow = with_lanes(b_.getInt32Ty(), lanes_.width);
      a = b_.CreateTrunc(a, narrow);
      c = b_.CreateTrunc(c, narrow);
    }
    if (condition != nullptr) condition = splat(b_, condition, lanes_.width);
  }
  llvm::Value* value = nullptr;
  llvm::Constant* const zero = llvm::Constant::getNullValue(a->getType());
  switch (node.op) {
    case IndexOp::mul:
      value = b_.CreateMul(a, c);
      break;
    case IndexOp::floor_div:
    case IndexOp::mod: {
      const bool is_quotient = node.op == IndexOp::floor_div;
      if (first.low >= 0) {
        value = is_quotient ? b_.CreateUDiv(a, c) : b_.CreateURem(a, c);
        break;
      }
      llvm::Value* const quotient = b_.CreateSDiv(a, c);
      llvm::Value* const rest = b_.CreateSub(a, b_.CreateMul(quotient, c));
      llvm::Value* const is_below = b_.CreateICmpSLT(rest, zero);
      value = is_quotient ? b_.CreateAdd(quotient, b_.CreateSExt(is_below, a->getType()))
                          : b_.CreateSelect(is_below, b_.CreateAdd(rest, c), rest);
      break;
    }
    case IndexOp::min:
      value = intrinsic(b_, llvm::Intrinsic::smin, {a, c});
      break;
    case IndexOp::max:
      value = intrinsic(b_, llvm::Intrinsic::smax, {a, c});
      break;
    default:
      value = b_.CreateSelect(condition, a, c);
  }
  if (is_uniform) {
    result.base = value;
  } else {
    result.base = i64(0);
    result.lanes = value;
  }
  return result;
}

PhaseEmitter::IndexValue PhaseEmitter::index(std::int32_t id) {
  const IndexNode& node = k_.indices[static_cast<std::size_t>(id)];
  IndexValue result;
  switch (node.op) {
    case IndexOp::affine:
      return affine(node);
    case IndexOp::variable:
      result.base = variables_[static_cast<std::size_t>(node.operands[0])];
      if (result.base == nullptr)
        throw InternalError("kernel '" + k_.name + "': a loop's variable is used outside of it");
      if (node.operands[0] == lanes_.variable && lanes_.width > 1) result.stride = lanes_.step;
      return result;
    case IndexOp::value: {
      llvm::Value* const value = operand(node.operands[0]);
      const bool is_signed =
          is_signed_integer(k_.instructions[static_cast<std::size_t>(node.operands[0])].dtype);
      if (is_vector(value)) {
        const bool is_narrow = value->getType()->getScalarSizeInBits() < 32;
        const bool is_long = value->getType()->getScalarSizeInBits() == 64;
        llvm::Type* const element = !is_long && (is_signed || is_narrow) ? b_.getInt32Ty() : b_.getInt64Ty();
        result.base = i64(0);
        result.lanes = b_.CreateIntCast(value, with_lanes(element, lanes_.width), is_signed);
      } else {
        result.base = b_.CreateIntCast(value, b_.getInt64Ty(), is_signed);
      }
      return result;
    }
    case IndexOp::worker:
      result.base = b_.CreateZExt(worker_, b_.getInt64Ty());
      return result;
    default:
      return combined(node);
  }
}

llvm::Value* PhaseEmitter::uniform_index(std::int32_t id) {
  const IndexValue value = index(id);
  if (!value.is_uniform())
    throw InternalError("kernel '" + k_.name + "': a loop's bounds differ between lanes");
  return value.base;
}

llvm::Value* PhaseEmitter::index_as_value(std::int32_t id) {
  const IndexValue value = index(id);
  if (value.is_uniform()) return value.base;
  return b_.CreateSExt(vector_of(value, k_.indices[static_cast<std::size_t>(id)]),
                       with_lanes(b_.getInt64Ty(), lanes_.width));
}

llvm::Value* PhaseEmitter::compare_index(const Instruction& i) {
  using P = llvm::CmpInst::Predicate;
  static constexpr P predicates[] = {P::ICMP_SLT, P::ICMP_SLE, P::ICMP_SGT,
                                     P::ICMP_SGE, P::ICMP_EQ,  P::ICMP_NE};
  const P predicate = predicates[static_cast<int>(i.op) - static_cast<int>(ScalarOp::lt)];
  const IndexValue x = index(i.operands[0]), y = index(i.operands[1]);
  if (x.is_uniform() && y.is_uniform()) return b_.CreateICmp(predicate, x.base, y.base);
  llvm::Value* a = vector_of(x, k_.indices[static_cast<std::size_t>(i.operands[0])]);
  llvm::Value* c = vector_of(y, k_.indices[static_cast<std::size_t>(i.operands[1])]);
  if (a->getType() != c->getType()) {
    a = b_.CreateSExt(a, with_lanes(b_.getInt64Ty(), lanes_.width));
    c = b_.CreateSExt(c, with_lanes(b_.getInt64Ty(), lanes_.width));
  }
  return b_.CreateICmp(predicate, a, c);
}

}  // namespace croton
