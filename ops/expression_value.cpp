#include "croton/ops/expression_value.h"

#include <fmt/format.h>

#include "croton/graph/tensor.h"

namespace croton::expression {
namespace {

/// Finds the shape of a nested list of numbers and their common dtype; answers what is wrong, or nothing.
std::string examine(const Value::List& list, std::size_t depth, Shape& shape, DType& dtype) {
  const auto extent = static_cast<std::int64_t>(list.size());
  if (depth == shape.size()) {
    if (depth == max_rank) return fmt::format("lists are nested more than {} deep", max_rank);
    shape.push_back(extent);
  } else if (shape[depth] != extent) {
    return "lists of one level have different lengths";
  }
  for (const Value& item : list) {
    if (const auto* inner = item.as<Value::List>()) {
      if (const std::string problem = examine(*inner, depth + 1, shape, dtype); !problem.empty())
        return problem;
      continue;
    }
    if (item.as<Variable>() != nullptr) return "it is a list of tensors: stack(…) or join(…) make one tensor";
    if (!item.is_number()) return fmt::format("it is a list with {} in it", kind_of(item));
    if (depth + 1 != shape.size()) return "it is a list of numbers and lists";
    if (item.as<double>() != nullptr)
      dtype = float_x();
    else if (item.as<std::int64_t>() != nullptr && dtype == DType::bool_)
      dtype = DType::int64;
  }
  return {};
}

void fill(const Value::List& list, std::vector<double>& reals, std::vector<std::int64_t>& integers) {
  for (const Value& item : list) {
    if (const auto* inner = item.as<Value::List>()) {
      fill(*inner, reals, integers);
    } else if (const auto* real = item.as<double>()) {
      reals.push_back(*real);
      integers.push_back(0);
    } else {
      const auto* integer = item.as<std::int64_t>();
      integers.push_back(integer != nullptr ? *integer : std::int64_t{*item.as<bool>()});
      reals.push_back(static_cast<double>(integers.back()));
    }
  }
}

}  // namespace

std::string_view kind_of(const Value& value) {
  static constexpr std::string_view kinds[] = {"none",   "a bool",   "an integer", "a number",
                                               "a text", "a tensor", "a list"};
  return kinds[value.data.index()];
}

Operand to_operand(const Value& value, const Source& source, std::size_t offset, std::string_view whose) {
  if (const auto* variable = value.as<Variable>()) return *variable;
  if (const auto* boolean = value.as<bool>()) return *boolean;
  if (const auto* integer = value.as<std::int64_t>()) return *integer;
  if (const auto* real = value.as<double>()) return *real;
  const auto* list = value.as<Value::List>();
  if (list == nullptr)
    source.fail(offset, fmt::format("{} takes a tensor or a number, got {}", whose, kind_of(value)));
  Shape shape;
  DType dtype = list->empty() ? float_x() : DType::bool_;
  if (const std::string problem = examine(*list, 0, shape, dtype); !problem.empty())
    source.fail(offset, fmt::format("{} takes a tensor, got a list that is none: {}", whose, problem));
  std::vector<double> reals;
  std::vector<std::int64_t> integers;
  fill(*list, reals, integers);
  return is_floating(dtype) ? Tensor(reals, shape).astype(dtype) : Tensor(integers, shape).astype(dtype);
}

}  // namespace croton::expression
