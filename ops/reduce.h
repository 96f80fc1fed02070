#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "croton/graph/op.h"
#include "croton/ops/scalar_builder.h"

namespace croton {

/// One reduction: folds the elements along the axes of the attribute "axes" (sorted, non-negative) with
/// `combine`, starting from `identity`; those axes are dropped.
struct ReduceRow {
  std::string_view name;
  /// Input to output dtype: sum and prod widen integers (bool too) to int64 or uint64; all and any give bool.
  DType (*result)(DType input) = nullptr;
  /// What the fold of partial results uses, of the accumulator's dtype.
  ScalarOp combine = ScalarOp::add;
  /// The value of an empty fold; max and min have none and refuse empty axes at run time.
  bool has_identity = true;
  double identity = 0;
  std::string_view doc;
};

class CROTON_API ReduceOp final : public Op {
 public:
  explicit ReduceOp(ReduceRow row);
  const ReduceRow& row() const { return row_; }
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override;
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override;
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override;
  bool connected(const Node& node, std::size_t input, std::size_t output) const override;
  std::string label(const Node& node) const override;

  /// The reference over `axes` of a host tensor.
  Tensor reduce(const Tensor& x, std::span<const std::int64_t> axes) const;

 private:
  ReduceRow row_;
};

/// sum, prod, max, min, all, any.
CROTON_API std::span<const ReduceOp* const> reduce_ops();
CROTON_API const ReduceOp* find_reduce(std::string_view name);
CROTON_API const ReduceOp* as_reduce(const Op& op);
/// `argmax` and `argmin`: attribute "axes"; over several axes the index into them flattened in C order. The
/// first of equal elements wins, a NaN before every number.
CROTON_API const Op& argmax_op();
CROTON_API const Op& argmin_op();

/// Sorted and non-negative; all axes for `all`. IndexError outside the rank, ValueError for one named twice.
CROTON_API std::vector<std::int64_t> normalize_axes(const Axes& axes, int rank);
/// x reduced to `axes` (as normalize_axes gives them): the bare node.
CROTON_API Variable reduce(const ReduceOp& op, const Variable& x, std::vector<std::int64_t> axes,
                           SourceLocation where = {});
/// The reduced value with extents of 1 put back at `axes`, so that it broadcasts against what was reduced.
CROTON_API Variable restore_axes(const Variable& reduced, std::span<const std::int64_t> axes);

// Reductions over one, several or all axes; with keepdims they stay as extents of 1. all(x) is the call of
// the object `all` of variable.h.

CROTON_API Variable sum(const Operand& x, const Axes& axes = {}, bool keepdims = false);
CROTON_API Variable prod(const Operand& x, const Axes& axes = {}, bool keepdims = false);
/// NaN wins. An empty axis is a ShapeError. The gradient goes to the first maximum.
CROTON_API Variable max(const Operand& x, const Axes& axes = {}, bool keepdims = false);
CROTON_API Variable min(const Operand& x, const Axes& axes = {}, bool keepdims = false);
CROTON_API Variable any(const Operand& x, const Axes& axes = {}, bool keepdims = false);
/// int64.
CROTON_API Variable argmax(const Operand& x, const Axes& axes = {}, bool keepdims = false);
CROTON_API Variable argmin(const Operand& x, const Axes& axes = {}, bool keepdims = false);

/// The arithmetic mean; floatX for integers and bool; float16 and bfloat16 are summed as float32.
CROTON_API Variable mean(const Operand& x, const Axes& axes = {}, bool keepdims = false);
/// The mean squared deviation from the mean, over n - ddof.
CROTON_API Variable var(const Operand& x, const Axes& axes = {}, int ddof = 0, bool keepdims = false);
CROTON_API Variable std_dev(const Operand& x, const Axes& axes = {}, int ddof = 0, bool keepdims = false);
/// max - min.
CROTON_API Variable ptp(const Operand& x, const Axes& axes = {}, bool keepdims = false);
/// (sum |x|^order)^(1/order); order 0 counts non-zeros, infinity takes the largest |x|.
CROTON_API Variable norm(const Operand& x, double order, const Axes& axes = {}, bool keepdims = false);

}  // namespace croton
