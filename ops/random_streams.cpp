#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/graph/tensor_cast.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/random.h"

namespace croton {

namespace {

// The number that a weak operand is.
std::optional<double> literal(const Operand& x) {
  return x.is_weak() ? std::optional(x.variable().constant_value().item<double>()) : std::nullopt;
}

DType result_dtype(std::optional<DType> dtype, const Operand& a, const Operand& b) {
  if (dtype) {
    if (!is_floating(*dtype))
      throw TypeError(fmt::format("floating numbers are drawn, not {}", name_of(*dtype)));
    return *dtype;
  }
  DType result = float_x();
  for (const Operand* x : {&a, &b}) {
    if (!x->is_weak() && is_floating(x->variable().dtype())) result = promote(result, x->variable().dtype());
  }
  return result;
}

// Whether low + (high - low) * u stays below high for every u that is drawn, rounded once or twice.
template <class T>
bool stays_below(T low, T high) {
  const T largest = 1 - std::numeric_limits<T>::epsilon() / 2, range = high - low;
  return low + range * largest < high && std::fma(range, largest, low) < high;
}

Tensor initial_state(std::uint64_t seed, std::size_t stream) {
  return Tensor(std::vector<std::uint64_t>{seed, stream, 0});
}

}  // namespace

Variable RandomStreams::draw(const Op& op, const SymbolicShape& size, DType dtype) {
  const std::size_t stream = states_.size();
  SharedVariable state =
      shared(initial_state(seed_, stream), fmt::format("random_state_{}", stream), {.shape = Shape{3}});
  std::vector<Variable> inputs = {state};
  inputs.insert(inputs.end(), size.extents().begin(), size.extents().end());
  const Ref<Node> node = make_node(op, std::move(inputs), {{"dtype", dtype}});
  state.set_default_update(node->output(1));
  states_.push_back(state);
  return node->output(0);
}

Variable RandomStreams::uniform(const SymbolicShape& size, const Operand& low, const Operand& high,
                                std::optional<DType> wanted) {
  const LocationScope scope(low.where());
  const DType dtype = result_dtype(wanted, low, high);
  const auto a = literal(low), b = literal(high);
  if (a && b && !(*a <= *b && std::isfinite(*b - *a))) {
    throw ValueError(fmt::format("uniform: low {} must not be above high {}, and both finite", *a, *b));
  }
  const Variable u = draw(random_uniform_op(), size, dtype);
  if (a == 0.0 && b == 1.0) return u;
  const Variable lowest = as_dtype(low, dtype), limit = as_dtype(high, dtype);
  const Variable value = lowest + (limit - lowest) * u;
  const bool safe =
      a && b &&
      ((dtype == DType::float64 && stays_below(*a, *b)) ||
       (dtype == DType::float32 && stays_below(static_cast<float>(*a), static_cast<float>(*b))));
  return safe ? value : switch_(lt(value, limit), value, lowest);
}

Variable RandomStreams::normal(const SymbolicShape& size, const Operand& mean, const Operand& std,
                               std::optional<DType> wanted) {
  const LocationScope scope(mean.where());
  const DType dtype = result_dtype(wanted, mean, std);
  const auto deviation = literal(std);
  if (deviation && !(*deviation >= 0)) throw ValueError(fmt::format("normal: std is {}", *deviation));
  Variable value = draw(random_normal_op(), size, dtype);
  if (deviation != 1.0) value = value * as_dtype(std, dtype);
  if (literal(mean) != 0.0) value = value + as_dtype(mean, dtype);
  return value;
}

Variable RandomStreams::bernoulli(const SymbolicShape& size, const Operand& p, DType dtype) {
  const LocationScope scope(p.where());
  const auto probability = literal(p);
  if (probability && !(*probability >= 0 && *probability <= 1)) {
    throw ValueError(fmt::format("bernoulli: p is {}; a probability lies between 0 and 1", *probability));
  }
  const bool wide = !p.is_weak() && p.variable().dtype() == DType::float64;
  const DType drawn = wide ? DType::float64 : DType::float32;
  return cast(lt(draw(random_uniform_op(), size, drawn), as_dtype(p, drawn)), dtype);
}

Variable RandomStreams::binomial(const SymbolicShape& size, std::int64_t n, const Operand& p, DType dtype) {
  if (n != 1) throw ValueError(fmt::format("binomial: n is {}; only 1 is available", n));
  return bernoulli(size, p, dtype);
}

Variable RandomStreams::randint(const SymbolicShape& size, std::int64_t low, std::int64_t high, DType dtype,
                                std::source_location where) {
  const LocationScope scope(where);
  if (low >= high) throw ValueError(fmt::format("randint: low {} must be below high {}", low, high));
  const bool fits = is_integer(dtype) && visit_dtype(dtype, [&](auto tag) {
                      using T = typename decltype(tag)::type;
                      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
                        return std::in_range<T>(low) && std::in_range<T>(high - 1);
                      } else {
                        return false;
                      }
                    });
  if (!fits)
    throw ValueError(fmt::format("randint: {} to {} do not fit into {}", low, high - 1, name_of(dtype)));
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  const Variable count = constant(Tensor(range)), first = constant(Tensor(static_cast<std::uint64_t>(low)));
  Variable offset;
  if (range <= std::uint64_t{1} << 32) {
    // The high half of word * range (Lemire's first step): a bias below range / 2^32, no division.
    const Variable word = cast(draw(random_bits_op(), size, DType::uint32), DType::uint64);
    offset = rshift(word * count, constant(Tensor(std::uint64_t{32})));
  } else {
    offset = mod(draw(random_bits_op(), size, DType::uint64), count);
  }
  // Unsigned, so that adding a negative low wraps around to the right value.
  return cast(cast(offset + first, DType::int64), dtype);
}

void RandomStreams::seed(std::uint64_t seed) {
  seed_ = seed;
  for (std::size_t i = 0; i < states_.size(); ++i) states_[i].set_value(initial_state(seed_, i));
}

}  // namespace croton
