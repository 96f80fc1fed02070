#include "croton/codegen/cuda_scalar.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "croton/graph/error.h"

namespace croton {

namespace {

std::string floating_constant(double number, bool is_double) {
  if (!std::isfinite(number)) {
    if (is_double) return fmt::format("double_of_bits({:#x}ull)", std::bit_cast<std::uint64_t>(number));
    return fmt::format("float_of_bits({:#x}u)", std::bit_cast<std::uint32_t>(static_cast<float>(number)));
  }
  const std::string text = number == std::trunc(number) && std::abs(number) < 1e6
                               ? fmt::format("{:.1f}", number)
                               : fmt::format("{:a}", number);
  const bool is_negative = std::signbit(number);
  return fmt::format("{}{}{}{}", is_negative ? "(" : "", text, is_double ? "" : "f", is_negative ? ")" : "");
}

/// A function of the C library: its name for float ends in f.
std::string call(std::string_view name, DType dtype, const std::string& a) {
  return fmt::format("{}{}({})", name, dtype == DType::float32 ? "f" : "", a);
}

std::string integer_operation(ScalarOp op, DType dtype, const std::string& a, const std::string& b) {
  const std::string_view type = cuda_value_type(dtype);
  const auto wrapped = [&](char sign) { return fmt::format("({})((u64){} {} (u64){})", type, a, sign, b); };
  switch (op) {
    case ScalarOp::add:
      return wrapped('+');
    case ScalarOp::sub:
      return wrapped('-');
    case ScalarOp::mul:
      return wrapped('*');
    case ScalarOp::floor_div:
      return fmt::format("floor_div({}, {})", a, b);
    case ScalarOp::floor_mod:
      return fmt::format("floor_mod({}, {})", a, b);
    case ScalarOp::pow:
      return fmt::format("power({}, {})", a, b);
    case ScalarOp::bit_and:
      return fmt::format("({})({} & {})", type, a, b);
    case ScalarOp::bit_or:
      return fmt::format("({})({} | {})", type, a, b);
    case ScalarOp::bit_xor:
      return fmt::format("({})({} ^ {})", type, a, b);
    case ScalarOp::shift_left:
      return fmt::format("shift_left({}, {})", a, b);
    case ScalarOp::shift_right:
      return fmt::format("shift_right({}, {})", a, b);
    case ScalarOp::neg:
      return fmt::format("negative({})", a);
    case ScalarOp::abs:
      return is_signed_integer(dtype) ? fmt::format("({0} < 0 ? negative({0}) : {0})", a) : a;
    case ScalarOp::bit_not:
      return fmt::format("({})(~{})", type, a);
    case ScalarOp::sign:
      return fmt::format("sign_of({})", a);
    default:
      return a;  // floor and its kin change nothing
  }
}

std::string bool_operation(ScalarOp op, const std::string& a, const std::string& b) {
  switch (op) {
    case ScalarOp::add:
    case ScalarOp::max:
    case ScalarOp::bit_or:
      return fmt::format("({} | {}) != 0", a, b);
    case ScalarOp::mul:
    case ScalarOp::min:
    case ScalarOp::bit_and:
    case ScalarOp::floor_div:
      return fmt::format("({} & {}) != 0", a, b);
    case ScalarOp::sub:
    case ScalarOp::bit_xor:
      return fmt::format("{} != {}", a, b);
    case ScalarOp::floor_mod:
      return "false";
    case ScalarOp::pow:
      return fmt::format("{} || !{}", a, b);
    case ScalarOp::bit_not:
      return fmt::format("!{}", a);
    default:
      return a;
  }
}

std::string floating_operation(ScalarOp op, DType dtype, const std::string& a, const std::string& b) {
  switch (op) {
    case ScalarOp::add:
      return fmt::format("{} + {}", a, b);
    case ScalarOp::sub:
      return fmt::format("{} - {}", a, b);
    case ScalarOp::mul:
      return fmt::format("{} * {}", a, b);
    case ScalarOp::div:
      return fmt::format("{} / {}", a, b);
    case ScalarOp::neg:
      return fmt::format("-{}", a);
    case ScalarOp::abs:
      return call("fabs", dtype, a);
    case ScalarOp::sign:
      return fmt::format("sign_of({})", a);
    case ScalarOp::floor_div:
    case ScalarOp::floor_mod:
      return fmt::format("{}({}, {})", name_of(op), a, b);
    case ScalarOp::pow:
    case ScalarOp::atan2:
      return call(name_of(op), dtype, a + ", " + b);
    case ScalarOp::sigmoid:
    case ScalarOp::softplus:
      return fmt::format("{}({})", name_of(op), a);
    case ScalarOp::digamma:
      return fmt::format("({})digamma((double){})", cuda_value_type(dtype), a);
    default:
      return call(name_of(op), dtype, a);  // sqrt, floor, exp, …: the C library's names
  }
}

std::string_view comparison(ScalarOp op) {
  switch (op) {
    case ScalarOp::lt:
      return "<";
    case ScalarOp::le:
      return "<=";
    case ScalarOp::gt:
      return ">";
    case ScalarOp::ge:
      return ">=";
    case ScalarOp::eq:
      return "==";
    case ScalarOp::ne:
      return "!=";
    default:
      return {};
  }
}

}  // namespace

std::string_view cuda_memory_type(DType dtype) {
  switch (dtype) {
    case DType::bool_:
    case DType::uint8:
      return "u8";
    case DType::int8:
      return "i8";
    case DType::int16:
      return "i16";
    case DType::int32:
      return "i32";
    case DType::int64:
      return "i64";
    case DType::uint16:
    case DType::float16:
    case DType::bfloat16:
      return "u16";
    case DType::uint32:
      return "u32";
    case DType::uint64:
      return "u64";
    case DType::float32:
      return "float";
    case DType::float64:
      return "double";
    default:
      throw InternalError("CUDA code for complex numbers");
  }
}

std::string_view cuda_value_type(DType dtype) {
  if (dtype == DType::bool_) return "bool";
  if (dtype == DType::float16 || dtype == DType::bfloat16) return "float";
  return cuda_memory_type(dtype);
}

std::string cuda_constant(const Instruction& constant) {
  switch (constant.dtype) {
    case DType::float32:
      return floating_constant(constant.number, false);
    case DType::float64:
      return floating_constant(constant.number, true);
    case DType::bool_:
      return constant.integer != 0 ? "true" : "false";
    case DType::int32:
      if (constant.integer > -2147483648ll) {
        return constant.integer < 0 ? fmt::format("({})", constant.integer)
                                    : fmt::format("{}", constant.integer);
      }
      [[fallthrough]];
    default:
      return fmt::format("({}){:#x}ull", cuda_value_type(constant.dtype),
                         static_cast<std::uint64_t>(constant.integer));
  }
}

std::string cuda_operation(ScalarOp op, DType dtype, const std::string& a, const std::string& b,
                           const std::string& c) {
  if (const std::string_view sign = comparison(op); !sign.empty()) return fmt::format("{} {} {}", a, sign, b);
  switch (op) {
    case ScalarOp::select:
      return fmt::format("{} ? {} : {}", a, b, c);
    case ScalarOp::fma:
      return is_floating(dtype)
                 ? cuda_fma(dtype, a, b, c)
                 : cuda_operation(ScalarOp::add, dtype,
                                  "(" + cuda_operation(ScalarOp::mul, dtype, a, b, {}) + ")", c, {});
    case ScalarOp::isnan:
      return fmt::format("holds_nan({})", a);
    case ScalarOp::isinf:
      return fmt::format("holds_infinity({})", a);
    case ScalarOp::logical_not:
      return fmt::format("{} == 0", a);
    case ScalarOp::min:
    case ScalarOp::max:
      if (dtype != DType::bool_)
        return fmt::format("{}({}, {})", op == ScalarOp::min ? "smaller" : "larger", a, b);
      break;
    default:
      break;
  }
  if (dtype == DType::bool_) return bool_operation(op, a, b);
  return is_floating(dtype) ? floating_operation(op, dtype, a, b) : integer_operation(op, dtype, a, b);
}

std::string cuda_fma(DType dtype, const std::string& a, const std::string& b, const std::string& c) {
  return call("fma", dtype, a + ", " + b + ", " + c);
}

std::string cuda_cast(const std::string& value, DType from, DType to) {
  if (to == DType::bool_) return fmt::format("{} != 0", value);
  if (to == DType::float16 || to == DType::bfloat16) {
    const std::string single = from == DType::float32 ? value : fmt::format("odd_float((double){})", value);
    return cuda_loaded(to, cuda_stored(to, single));
  }
  const std::string_view type = cuda_value_type(to);
  if (is_floating(from) && is_integer(to)) {
    // Bounds as floating numbers (powers of two) and as integers.
    const int bits = static_cast<int>(8 * size_of(to)) - (is_signed_integer(to) ? 1 : 0);
    const bool is_double = from == DType::float64;
    const std::string above = floating_constant(std::ldexp(1.0, bits), is_double);
    const std::string below = is_signed_integer(to) ? floating_constant(-std::ldexp(1.0, bits), is_double)
                                                    : std::string(is_double ? "0.0" : "0.0f");
    const std::uint64_t most = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    return fmt::format("integer_of<{0}>({1}, {2}, {3}, ({0}){4:#x}ull, ({0}){5}ull)", type, value, above,
                       below, most, is_signed_integer(to) ? fmt::format("{:#x}", ~most) : std::string("0"));
  }
  return fmt::format("({}){}", type, value);
}

std::string cuda_loaded(DType memory, const std::string& element) {
  switch (memory) {
    case DType::bool_:
      return fmt::format("{} != 0", element);
    case DType::float16:
      return fmt::format("float_of_half({})", element);
    case DType::bfloat16:
      return fmt::format("float_of_bfloat({})", element);
    default:
      return element;
  }
}

std::string cuda_stored(DType memory, const std::string& value) {
  switch (memory) {
    case DType::bool_:
      return fmt::format("(u8){}", value);
    case DType::float16:
      return fmt::format("half_of_float({})", value);
    case DType::bfloat16:
      return fmt::format("bfloat_of_float({})", value);
    default:
      return value;
  }
}

std::string cuda_identity(ScalarOp op, DType dtype) {
  if (dtype == DType::bool_ && op != ScalarOp::bit_xor) return {};
  Instruction constant;
  constant.dtype = dtype;
  switch (op) {
    case ScalarOp::add:
    case ScalarOp::bit_xor:
      return cuda_constant(constant);
    case ScalarOp::mul:
      constant.number = 1;
      constant.integer = 1;
      return cuda_constant(constant);
    default:
      return {};
  }
}

int cuda_weight(ScalarOp op, DType dtype) {
  const int wide = dtype == DType::float64 ? 2 : 1;
  switch (op) {
    case ScalarOp::lgamma:
    case ScalarOp::tgamma:
    case ScalarOp::digamma:
    case ScalarOp::pow:
    case ScalarOp::sin:
    case ScalarOp::cos:
    case ScalarOp::tan:
      return 100 * wide;
    case ScalarOp::floor_div:
    case ScalarOp::floor_mod:
    case ScalarOp::erf:
    case ScalarOp::erfc:
    case ScalarOp::atan2:
      return 60 * wide;
    case ScalarOp::div:
    case ScalarOp::sqrt:
      return 10 * wide;
    default:
      return op >= ScalarOp::exp && op <= ScalarOp::softplus ? 20 * wide : 1;
  }
}

}  // namespace croton
