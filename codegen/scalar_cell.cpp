#include "croton/codegen/scalar_cell.h"

#include <cmath>
#include <cstring>

#include "croton/codegen/kernel_functions.h"
#include "croton/graph/error.h"
#include "croton/graph/tensor_cast.h"
#include "croton/ops/elementwise_reference.h"

namespace croton {

namespace {

/// Calls f with the C++ type of a dtype in registers.
template <class F>
auto visit_register(DType dtype, const F& f) {
  return visit_dtype(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) {
      return f(Tag<float>{});
    } else {
      return f(tag);
    }
  });
}

template <class T>
ScalarCell unary(ScalarOp op, T x) {
  constexpr bool is_float = std::is_floating_point_v<T>;
  switch (op) {
    case ScalarOp::neg:
      return to_cell(static_cast<T>(reference::negative(x)));
    case ScalarOp::abs:
      return to_cell(static_cast<T>(reference::magnitude(x)));
    case ScalarOp::sign:
      return to_cell(reference::sign(x));
    case ScalarOp::bit_not:
      if constexpr (std::is_same_v<T, bool>) {
        return to_cell(!x);
      } else if constexpr (!is_float) {
        return to_cell(static_cast<T>(~x));
      }
      break;
    case ScalarOp::logical_not:
      return to_cell(x == T{});
    case ScalarOp::isnan:
      return to_cell(x != x);
    case ScalarOp::isinf:
      if constexpr (is_float) return to_cell(std::isinf(x));
      return to_cell(false);
    default:
      break;
  }
  if constexpr (is_float) {
    switch (op) {
      case ScalarOp::sqrt:
        return to_cell(std::sqrt(x));
      case ScalarOp::floor:
        return to_cell(std::floor(x));
      case ScalarOp::ceil:
        return to_cell(std::ceil(x));
      case ScalarOp::trunc:
        return to_cell(std::trunc(x));
      case ScalarOp::rint:
        return to_cell(std::nearbyint(x));
      default:
        return to_cell(static_cast<T>(scalar_function(op, x, 0)));
    }
  }
  return to_cell(x);
}

template <class T>
ScalarCell binary(ScalarOp op, T x, T y) {
  switch (op) {
    case ScalarOp::add:
      return to_cell(static_cast<T>(reference::sum(x, y)));
    case ScalarOp::sub:
      return to_cell(static_cast<T>(reference::difference(x, y)));
    case ScalarOp::mul:
      return to_cell(static_cast<T>(reference::product(x, y)));
    case ScalarOp::div:
      if constexpr (std::is_floating_point_v<T>) return to_cell(x / y);
      break;
    case ScalarOp::floor_div:
      if constexpr (std::is_same_v<T, bool>) return to_cell(x && y);
      return to_cell(reference::floor_div(x, y));
    case ScalarOp::floor_mod:
      if constexpr (std::is_same_v<T, bool>) return to_cell(false);
      return to_cell(reference::floor_mod(x, y));
    case ScalarOp::min:
      return to_cell(reference::smaller(x, y));
    case ScalarOp::max:
      return to_cell(reference::larger(x, y));
    case ScalarOp::pow:
      if constexpr (std::is_same_v<T, bool>) return to_cell(x || !y);
      if constexpr (std::is_floating_point_v<T>) return to_cell(static_cast<T>(scalar_function(op, x, y)));
      return to_cell(reference::power(x, y));
    case ScalarOp::atan2:
      if constexpr (std::is_floating_point_v<T>) return to_cell(static_cast<T>(scalar_function(op, x, y)));
      break;
    case ScalarOp::lt:
      return to_cell(x < y);
    case ScalarOp::le:
      return to_cell(x <= y);
    case ScalarOp::gt:
      return to_cell(x > y);
    case ScalarOp::ge:
      return to_cell(x >= y);
    case ScalarOp::eq:
      return to_cell(x == y);
    case ScalarOp::ne:
      return to_cell(x != y);
    default:
      break;
  }
  if constexpr (!std::is_floating_point_v<T>) {
    switch (op) {
      case ScalarOp::bit_and:
        return to_cell(static_cast<T>(x & y));
      case ScalarOp::bit_or:
        return to_cell(static_cast<T>(x | y));
      case ScalarOp::bit_xor:
        return to_cell(static_cast<T>(x ^ y));
      default:
        break;
    }
    if constexpr (!std::is_same_v<T, bool>) {
      if (op == ScalarOp::shift_left) return to_cell(reference::shift_left(x, y));
      if (op == ScalarOp::shift_right) return to_cell(reference::shift_right(x, y));
    }
  }
  throw InternalError("an operation of the loop IR on a dtype that it does not take");
}

}  // namespace

ScalarCell load_element(const void* memory, DType dtype, std::int64_t index) {
  return visit_dtype(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T element;
    std::memcpy(&element, static_cast<const char*>(memory) + index * static_cast<std::int64_t>(sizeof(T)),
                sizeof(T));
    if constexpr (is_floating(dtype_of<T>)) {
      return ScalarCell{static_cast<double>(element), 0};
    } else {
      return to_cell(element);
    }
  });
}

void store_element(void* memory, DType dtype, std::int64_t index, const ScalarCell& value) {
  visit_dtype(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T element;
    if constexpr (is_floating(dtype_of<T>)) {
      element = static_cast<T>(cell_as<std::conditional_t<sizeof(T) == 8, double, float>>(value));
    } else {
      element = cell_as<T>(value);
    }
    std::memcpy(static_cast<char*>(memory) + index * static_cast<std::int64_t>(sizeof(T)), &element,
                sizeof(T));
  });
}

ScalarCell apply(ScalarOp op, DType dtype, const ScalarCell& x, const ScalarCell& y) {
  return visit_register(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    return arity_of(op) == 1 ? unary<T>(op, cell_as<T>(x)) : binary<T>(op, cell_as<T>(x), cell_as<T>(y));
  });
}

ScalarCell cast_cell(const ScalarCell& value, DType from, DType to) {
  return visit_register(from, [&](auto from_tag) {
    using From = typename decltype(from_tag)::type;
    const From x = cell_as<From>(value);
    return visit_dtype(to, [&](auto to_tag) {
      using To = typename decltype(to_tag)::type;
      const To result = convert_element<To>(x);
      if constexpr (is_floating(dtype_of<To>)) {
        return ScalarCell{static_cast<double>(result), 0};
      } else {
        return to_cell(result);
      }
    });
  });
}

}  // namespace croton
