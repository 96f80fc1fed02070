#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "croton/graph/export.h"
#include "croton/graph/node.h"
#include "croton/graph/tensor.h"

namespace croton {

/// How far two values of one quantity may lie apart: |got - expected| <= relative * |expected| + absolute *
/// magnitude. Integers and bools must be equal.
struct Tolerance {
  double relative = 0;
  double absolute = 0;
  /// The largest number that the computation met: rounding errors are in proportion to it where the result
  /// cancels.
  double magnitude = 1;
  /// Elements whose expected value is NaN or infinite are not looked at.
  bool only_finite = false;
};

/// For one operation or rewrite on values of that dtype; the flag tensor.cmp_sloppy widens it.
CROTON_API Tolerance tolerance_of(DType dtype);

/// Where two tensors differ.
struct CROTON_API ValueDifference {
  Shape at;  // the worst element
  double expected = 0, got = 0;
  double allowed = 0;
  std::int64_t wrong = 0;  // elements outside of the tolerance
  std::int64_t count = 0;
  std::string types;  // not empty: dtypes or shapes differ, and that is all that is known

  /// "3 of 12 elements differ; the worst is [1, 2]: expected 0.5, got 0.75 (allowed 5e-05)".
  std::string text() const;
};

/// `wrong`, when given, holds a flag an element, in C order: empty on entry it gets those outside of the
/// tolerance; otherwise only elements flagged there are looked at.
CROTON_API std::optional<ValueDifference> compare_values(const Tensor& expected, const Tensor& got,
                                                         const Tolerance& tolerance,
                                                         std::vector<bool>* wrong = nullptr);

/// The largest finite |element|; 0 when there is none.
CROTON_API double magnitude_of(const Tensor& tensor);
CROTON_API bool is_all_finite(const Tensor& tensor);
/// Same dtype, shape and bits; strides do not count.
CROTON_API bool same_bits(const Tensor& a, const Tensor& b);

/// What the reference evaluator says of one node, and the largest number that it met on the way: in its
/// inputs, its results, and inside of a fused body.
struct ReferenceValue {
  std::vector<Tensor> outputs;
  double magnitude = 0;
};
CROTON_API ReferenceValue reference_value(const Node& node, std::span<const Tensor> inputs);

}  // namespace croton
