#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

Variable extent_of(const Operand& extent) {
  const Variable& v = extent.variable();
  if (!v || v.rank() != 0 || !is_integer(v.dtype())) {
    throw TypeError(fmt::format("an extent of a shape must be an integer scalar, got {}",
                                v ? describe(v) : "an empty Variable"));
  }
  return v.dtype() == DType::int64 ? v : cast(v, DType::int64);
}

}  // namespace

SymbolicShape::SymbolicShape(std::initializer_list<Operand> extents) { take(std::vector<Operand>(extents)); }
SymbolicShape::SymbolicShape(const std::vector<Operand>& extents) { take(extents); }
SymbolicShape::SymbolicShape(const Shape& extents) {
  for (const std::int64_t extent : extents) extents_.push_back(constant(Tensor(extent)));
  vector_ = constant(Tensor(std::vector<std::int64_t>(extents.begin(), extents.end())));
}

void SymbolicShape::take(const std::vector<Operand>& extents) {
  std::vector<std::int64_t> known;
  for (const Operand& extent : extents) {
    const LocationScope scope(extent.where());
    extents_.push_back(extent_of(extent));
    if (extents_.back().is_constant()) known.push_back(extents_.back().constant_value().item<std::int64_t>());
  }
  if (known.size() == extents_.size()) {
    vector_ = constant(Tensor(known));
  } else {
    const LocationScope scope(extents.front().where());
    vector_ = apply_op(make_vector_op(), extents_, {{"dtype", DType::int64}});
  }
}

SymbolicShape::SymbolicShape(const Variable& vector, std::optional<int> ndim) {
  if (vector.rank() == 0) {
    take({vector});
    return;
  }
  if (vector.rank() != 1 || !is_integer(vector.dtype())) {
    throw TypeError(fmt::format("a shape must be an integer vector, got {}", describe(vector)));
  }
  std::int64_t length = vector.type().shape[0];
  if (length == unknown && ndim) length = *ndim;
  if (length == unknown) {
    throw TypeError(fmt::format("the rank that {} describes is not known: give ndim", describe(vector)));
  }
  if (ndim && length != *ndim) {
    throw ShapeError(fmt::format("a shape of {} entries was given by {}", *ndim, describe(vector)));
  }
  vector_ = vector.dtype() == DType::int64 ? vector : cast(vector, DType::int64);
  const Node& node = *vector_.node();
  const Op* op = node.is_apply() ? &node.op() : nullptr;
  for (std::int64_t i = 0; i < length; ++i) {
    if (vector_.is_constant()) {
      extents_.push_back(constant(Tensor(vector_.constant_value().at<const std::int64_t>({i}))));
    } else if (op == &make_vector_op()) {
      extents_.push_back(node.input(static_cast<std::size_t>(i)));
    } else if (op == &shape_op()) {
      extents_.push_back(node.input(0).shape(static_cast<int>(i)));
    } else {
      extents_.push_back(vector_(i));
    }
  }
}

}  // namespace croton
