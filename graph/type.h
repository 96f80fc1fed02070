#pragma once

#include <string>

#include "croton/graph/device.h"
#include "croton/graph/dtype.h"
#include "croton/graph/shape.h"

namespace croton {

/// What is known of a tensor before it exists: its dtype, its shape, whose entries may be unknown, and where
/// it lies. An axis whose extent is statically 1 broadcasts; an axis of unknown extent never does.
struct CROTON_API TensorType {
  DType dtype = DType::float32;
  Shape shape = {};
  Device device = {};

  int rank() const { return shape.rank(); }
  bool broadcastable(int axis) const { return shape[static_cast<std::size_t>(axis)] == 1; }
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

/// "float32[?,3,32,32]", "int64[]", on a device "float32[3]@cuda0": the text form's spelling.
CROTON_API std::string to_string(const TensorType& type);
/// "TensorType(float32, matrix)", on a device "GpuArrayType<cuda0>(float32, matrix)": Theano's spelling, as
/// debugprint shows types.
CROTON_API std::string theano_name(const TensorType& type);
/// A value of one type may stand where the other is expected: equal dtype and rank, no contradicting extents.
/// Where it lies does not matter.
CROTON_API bool compatible(const TensorType& a, const TensorType& b);
/// The inferred type with the extents that it leaves open, where they are known.
TensorType refine(const TensorType& inferred, const TensorType& known);

}  // namespace croton
