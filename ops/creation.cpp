#include "croton/ops/creation.h"

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/node.h"

namespace croton {

Variable tensor(const TensorType& type, std::string name, std::source_location where) {
  for (const std::int64_t extent : type.shape) {
    if (extent < unknown) throw ValueError("an extent of a tensor type is negative: " + to_string(type));
  }
  return Variable(Node::make_input(type, std::move(name), where));
}

Variable tensor(DType dtype, const Shape& shape, std::string name, std::source_location where) {
  return tensor(TensorType{dtype, shape}, std::move(name), where);
}

#define CROTON_INPUT(name, dtype, ...)                                  \
  Variable name(std::string called, std::source_location where) {       \
    return tensor(dtype, Shape(__VA_ARGS__), std::move(called), where); \
  }
#define CROTON_INPUTS(kind, ...)                     \
  CROTON_INPUT(kind, float_x(), __VA_ARGS__)         \
  CROTON_INPUT(b##kind, DType::int8, __VA_ARGS__)    \
  CROTON_INPUT(w##kind, DType::int16, __VA_ARGS__)   \
  CROTON_INPUT(i##kind, DType::int32, __VA_ARGS__)   \
  CROTON_INPUT(l##kind, DType::int64, __VA_ARGS__)   \
  CROTON_INPUT(f##kind, DType::float32, __VA_ARGS__) \
  CROTON_INPUT(d##kind, DType::float64, __VA_ARGS__)

CROTON_INPUTS(scalar, {})
CROTON_INPUTS(vector, {unknown})
CROTON_INPUTS(matrix, {unknown, unknown})
CROTON_INPUTS(row, {1, unknown})
CROTON_INPUTS(col, {unknown, 1})
CROTON_INPUTS(tensor3, {unknown, unknown, unknown})
CROTON_INPUTS(tensor4, {unknown, unknown, unknown, unknown})
CROTON_INPUTS(tensor5, {unknown, unknown, unknown, unknown, unknown})

#undef CROTON_INPUTS
#undef CROTON_INPUT

}  // namespace croton
