#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <source_location>
#include <span>
#include <vector>

#include "croton/graph/op.h"
#include "croton/graph/shape.h"
#include "croton/graph/variable.h"

namespace croton {

/// dimshuffle(x): permutes, drops (static extent 1) and adds axes. Attribute `pattern`: for each axis of the
/// result the axis of x, or -1 for a new one of extent 1. A view. Prints InplaceDimShuffle{x,0}.
CROTON_API const Op& dimshuffle_op();
/// reshape(x, shape): the elements in C order under another shape, an int64 vector with at most one -1.
/// Attribute `ndim`. A view when the memory allows.
CROTON_API const Op& reshape_op();
/// shape(x): the extents as an int64 vector.
CROTON_API const Op& shape_op();
/// shape_i(x): the extent of attribute `axis` as an int64 scalar.
CROTON_API const Op& shape_i_op();
/// make_vector(scalars…): a vector of scalars of one dtype.
CROTON_API const Op& make_vector_op();
/// alloc(value, extents…): value, broadcast (its axes of static extent 1, and missing leading ones) to that
/// shape; the extents are int64 scalars.
CROTON_API const Op& alloc_op();
/// specify_shape(x): x itself, whose shape is checked against attribute `shape` (-1: anything). A view.
CROTON_API const Op& specify_shape_op();
/// join(x0, x1, …): concatenation along attribute `axis`; equal dtypes and ranks.
CROTON_API const Op& join_op();
/// arange(start, stop, step): scalars of the result's dtype.
CROTON_API const Op& arange_op();
/// contiguous(x): a copy in C order.
CROTON_API const Op& contiguous_op();

/// A shape whose extents may be symbolic: {x.shape(0), 3}, Shape{2, 3}, or an integer vector of known length.
class CROTON_API SymbolicShape {
 public:
  SymbolicShape(std::initializer_list<Operand> extents);
  SymbolicShape(const std::vector<Operand>& extents);
  SymbolicShape(const Shape& extents);
  /// An integer vector. TypeError when its length is not static and `ndim` does not give it; a scalar is one
  /// extent.
  SymbolicShape(const Variable& vector, std::optional<int> ndim = std::nullopt);

  int rank() const { return static_cast<int>(extents_.size()); }
  /// int64 scalars.
  const std::vector<Variable>& extents() const { return extents_; }
  /// All extents as an int64 vector.
  const Variable& vector() const { return vector_; }

 private:
  void take(const std::vector<Operand>& extents);
  std::vector<Variable> extents_;
  Variable vector_;
};

/// reshape(x, {n, -1}): as Variable::reshape, with symbolic extents.
CROTON_API Variable reshape(const Operand& x, const SymbolicShape& shape);
/// The extents of a tensor of shape `from` after a reshape to `extents`, one of which may be -1. Throws
/// ShapeError.
CROTON_API Shape resolve_reshape(const Shape& from, std::span<const std::int64_t> extents);
/// x itself; its type takes on the known entries of `shape`, and a value of another shape is a ShapeError.
CROTON_API Variable specify_shape(const Operand& x, const Shape& shape);
/// Throws ShapeError unless a value of that shape is what a specify_shape node declares.
CROTON_API void require_specified_shape(const Node& node, const Shape& shape);
/// The vector of these scalars (0-d), of their promoted dtype; int64 for none.
CROTON_API Variable make_vector(const std::vector<Operand>& scalars);

/// `value` broadcast to `shape`, of value's dtype (floatX or int64 for a C++ number).
CROTON_API Variable alloc(const Operand& value, const SymbolicShape& shape);
CROTON_API Variable full(const SymbolicShape& shape, const Operand& value,
                         std::optional<DType> dtype = std::nullopt);
CROTON_API Variable zeros(const SymbolicShape& shape, std::optional<DType> dtype = std::nullopt,
                          std::source_location where = std::source_location::current());
CROTON_API Variable ones(const SymbolicShape& shape, std::optional<DType> dtype = std::nullopt,
                         std::source_location where = std::source_location::current());
/// start, start + step, … before stop. The dtype is that of the operands (C++ numbers: int64 or floatX).
CROTON_API Variable arange(const Operand& stop);
CROTON_API Variable arange(const Operand& start, const Operand& stop, const Operand& step = 1,
                           std::optional<DType> dtype = std::nullopt);

/// Tensors of equal rank one after the other along `axis`; dtypes are promoted. At least one.
CROTON_API Variable join(int axis, const std::vector<Operand>& tensors,
                         std::source_location where = std::source_location::current());
CROTON_API Variable concatenate(const std::vector<Operand>& tensors, int axis = 0,
                                std::source_location where = std::source_location::current());
/// Tensors of one shape along a new axis.
CROTON_API Variable stack(const std::vector<Operand>& tensors, int axis = 0,
                          std::source_location where = std::source_location::current());
/// Pieces of those extents along `axis`; views. ShapeError when they do not add up to a known extent.
CROTON_API std::vector<Variable> split(const Operand& x, const std::vector<std::int64_t>& sizes,
                                       int axis = 0);

/// The axis of x counted from the first, where a negative one counts from the last. `added` axes are about to
/// be added. IndexError, beginning with `what`, outside the rank.
CROTON_API int normalize_axis(int axis, const Variable& x, const char* what, int added = 0);

/// A copy in C order.
CROTON_API Variable contiguous(const Operand& x);
/// Without the axes of static extent 1, all of them or those named.
CROTON_API Variable squeeze(const Operand& x, const Axes& axes = {});
CROTON_API Variable expand_dims(const Operand& x, int axis);
/// With n new axes of extent 1 in front, or behind.
CROTON_API Variable shape_padleft(const Operand& x, int n = 1);
CROTON_API Variable shape_padright(const Operand& x, int n = 1);
/// Permuted axes; reversed without any.
CROTON_API Variable transpose(const Operand& x, const std::vector<int>& axes = {});
CROTON_API Variable swapaxes(const Operand& x, int a, int b);
/// The whole repeated reps[i] times along axis i (NumPy's tile).
CROTON_API Variable tile(const Operand& x, const std::vector<std::int64_t>& reps);
CROTON_API Variable flatten(const Operand& x, int ndim = 1);

}  // namespace croton
