#include "croton/runtime/compare_values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "croton/graph/flags.h"
#include "croton/graph/op.h"
#include "croton/graph/subgraph.h"
#include "croton/runtime/body_values.h"

namespace croton {

namespace {

/// Calls f(position, element as double) in C order. Only for real dtypes.
template <class F>
void for_each_value(const Tensor& tensor, F&& f) {
  const Tensor dense = tensor.contiguous();
  const auto count = static_cast<std::size_t>(dense.size());
  visit_dtype(dense.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto* elements = static_cast<const T*>(dense.raw_data());
    for (std::size_t i = 0; i < count; ++i) f(i, static_cast<double>(elements[i]));
  });
}

/// The index of that element in C order.
Shape index_of(std::size_t position, const Shape& shape) {
  Shape index = shape;
  auto left = static_cast<std::int64_t>(position);
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = left % shape[axis];
    left /= shape[axis];
  }
  return index;
}

std::vector<double> values_of(const Tensor& tensor) {
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(tensor.size()));
  for_each_value(tensor, [&](std::size_t, double x) { values.push_back(x); });
  return values;
}

/// Products sum terms that are as large as their operands' product.
bool is_product(const Op& op) {
  for (const char* part : {"dot", "gem", "ger", "conv", "corr"}) {
    if (op.name().find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

namespace {

Tolerance strict_tolerance(DType dtype) {
  switch (dtype) {
    case DType::float64:
      return {.relative = 1e-9, .absolute = 1e-11};
    case DType::float32:
      return {.relative = 5e-5, .absolute = 5e-6};
    case DType::float16:
      return {.relative = 1e-2, .absolute = 4e-3};
    case DType::bfloat16:
      return {.relative = 5e-2, .absolute = 2e-2};
    default:
      return {};
  }
}

}  // namespace

Tolerance tolerance_of(DType dtype) {
  Tolerance tolerance = strict_tolerance(dtype);
  const double factor = std::pow(10.0, config().cmp_sloppy());
  tolerance.relative *= factor;
  tolerance.absolute *= factor;
  return tolerance;
}

std::string ValueDifference::text() const {
  if (!types.empty()) return types;
  std::string text = fmt::format("{} of {} elements differ; the worst is [{}]: expected {}, got {}", wrong,
                                 count, fmt::join(at, ", "), expected, got);
  if (allowed > 0) text += fmt::format(" (allowed to differ by {:.2g})", allowed);
  return text;
}

std::optional<ValueDifference> compare_values(const Tensor& expected, const Tensor& got,
                                              const Tolerance& tolerance, std::vector<bool>* wrong) {
  const bool selects = wrong != nullptr && !wrong->empty();
  ValueDifference result;
  if (expected.dtype() != got.dtype() || expected.shape() != got.shape()) {
    result.types =
        fmt::format("expected {}, got {}", to_string(TensorType{expected.dtype(), expected.shape()}),
                    to_string(TensorType{got.dtype(), got.shape()}));
    return result;
  }
  if (is_discrete(expected.dtype())) {  // exactly: a double cannot hold every integer
    if (same_bits(expected, got)) return std::nullopt;
  }
  result.count = expected.size();
  const std::vector<double> others = values_of(got);
  if (wrong != nullptr && !selects) wrong->assign(others.size(), false);
  double worst = -1;
  for_each_value(expected, [&](std::size_t position, double x) {
    const double y = others[position];
    if (selects && !(*wrong)[position]) return;
    if (x == y || (std::isnan(x) && std::isnan(y))) return;
    if (tolerance.only_finite && !std::isfinite(x)) return;
    const double allowed =
        std::isfinite(x) ? tolerance.relative * std::abs(x) + tolerance.absolute * tolerance.magnitude : 0;
    const double error = std::abs(y - x);
    if (error <= allowed) return;
    ++result.wrong;
    if (wrong != nullptr) (*wrong)[position] = true;
    const double badness = std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
    if (badness <= worst) return;
    worst = badness;
    result.at = index_of(position, expected.shape());
    result.expected = x;
    result.got = y;
    result.allowed = allowed;
  });
  if (result.wrong == 0) {
    if (!is_discrete(expected.dtype()) || selects) return std::nullopt;
    result.types = "integers too large for a double differ";
  }
  return result;
}

double magnitude_of(const Tensor& tensor) {
  double magnitude = 0;
  for_each_value(tensor, [&](std::size_t, double x) {
    if (std::isfinite(x)) magnitude = std::max(magnitude, std::abs(x));
  });
  return magnitude;
}

bool is_all_finite(const Tensor& tensor) {
  bool finite = true;
  if (is_discrete(tensor.dtype())) return true;
  for_each_value(tensor, [&](std::size_t, double x) { finite = finite && std::isfinite(x); });
  return finite;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  const Tensor left = a.contiguous(), right = b.contiguous();
  return left.bytes() == 0 || std::memcmp(left.raw_data(), right.raw_data(), left.bytes()) == 0;
}

ReferenceValue reference_value(const Node& node, std::span<const Tensor> inputs) {
  ReferenceValue value;
  value.outputs = node.op().evaluate(node, inputs);
  double product = 1;
  for (const Tensor& input : inputs) {
    if (!is_floating(input.dtype())) continue;
    const double magnitude = magnitude_of(input);
    value.magnitude = std::max(value.magnitude, magnitude);
    product *= std::max(magnitude, 1e-300);
  }
  if (is_product(node.op())) {
    // Operands in pairs: x y, a x y, b z.
    value.magnitude = std::max(value.magnitude * value.magnitude, std::max(value.magnitude, product));
  }
  for (const Tensor& output : value.outputs)
    value.magnitude = std::max(value.magnitude, magnitude_of(output));
  if (node.attributes().contains("body")) {
    const auto& body = node.attributes().get<std::shared_ptr<const Subgraph>>("body");
    for_each_body_value(*body, inputs, [&](const Node&, std::span<const Tensor>, const Tensor& inner) {
      value.magnitude = std::max(value.magnitude, magnitude_of(inner));
    });
  }
  return value;
}

}  // namespace croton
