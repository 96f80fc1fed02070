#include "croton/runtime/node_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "croton/graph/op.h"

namespace croton {

std::string node_text(const Node& node) {
  std::string text = node.op().label(node);
  if (!node.name().empty()) text += fmt::format(" '{}'", node.name());
  if (node.where().known()) text += ", made at " + to_string(node.where());
  return text;
}

std::string operand_text(const Variable& variable, const Tensor& value) {
  std::string text = fmt::format("{}: shape {}, strides {}", describe(variable), to_string(value.shape()),
                                 to_string(value.strides()));
  const std::string values = short_values(value);
  if (!values.empty()) text += ", values " + values;
  const std::string statistics = statistics_text(value);
  if (!statistics.empty()) text += ", " + statistics;
  return text;
}

std::string statistics_text(const Tensor& value) {
  double low = std::numeric_limits<double>::infinity(), high = -low, sum = 0;
  std::int64_t finite = 0, nans = 0, infinite = 0;
  visit_dtype(value.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (const T& element : value.elements<const T>()) {
      const auto x = static_cast<double>(element);
      if (std::isnan(x)) {
        ++nans;
      } else if (std::isinf(x)) {
        ++infinite;
      } else {
        low = std::min(low, x);
        high = std::max(high, x);
        sum += x;
        ++finite;
      }
    }
  });
  std::vector<std::string> parts;
  if (finite > 0) {
    parts.push_back(
        fmt::format("min {:.6g}, max {:.6g}, mean {:.6g}", low, high, sum / static_cast<double>(finite)));
  }
  if (nans > 0) parts.push_back(fmt::format("{} NaN", nans));
  if (infinite > 0) parts.push_back(fmt::format("{} infinite", infinite));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string short_values(const Tensor& value, std::int64_t most) {
  if (value.size() > most) return {};
  std::vector<std::string> elements;
  visit_dtype(value.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (const T& element : value.elements<const T>()) {
      if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) {
        elements.push_back(fmt::format("{}", static_cast<float>(element)));
      } else {
        elements.push_back(fmt::format("{}", +element));
      }
    }
  });
  return fmt::format("[{}]", fmt::join(elements, ", "));
}

}  // namespace croton
