#pragma once

#include <cstdint>
#include <type_traits>

#include "croton/codegen/loop_ir.h"
#include "croton/graph/dtype.h"

namespace croton {

/// A value of any dtype: floating ones in `real` (float32 rounded to float), bool and integers in `whole`
/// (uint64 by its bits).
struct ScalarCell {
  double real = 0;
  std::int64_t whole = 0;
};

template <class T>
T cell_as(const ScalarCell& cell) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(cell.real);
  } else {
    return static_cast<T>(cell.whole);
  }
}

template <class T>
ScalarCell to_cell(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    return {static_cast<double>(value), 0};
  } else {
    return {0, static_cast<std::int64_t>(value)};
  }
}

/// An element of memory, as a value; and back, rounded to the dtype.
ScalarCell load_element(const void* memory, DType dtype, std::int64_t index);
void store_element(void* memory, DType dtype, std::int64_t index, const ScalarCell& value);

/// An operation of one or two operands of a dtype, as the loop IR defines it.
ScalarCell apply(ScalarOp op, DType dtype, const ScalarCell& x, const ScalarCell& y = {});
ScalarCell cast_cell(const ScalarCell& value, DType from, DType to);

}  // namespace croton
