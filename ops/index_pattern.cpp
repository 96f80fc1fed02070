#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "croton/graph/error.h"
#include "croton/ops/indexing.h"
#include "croton/ops/static_value.h"

namespace croton {

namespace {

std::int64_t value_of(const IndexField& field, std::span<const std::int64_t> integers) {
  return field.kind == IndexField::Kind::input ? integers[static_cast<std::size_t>(field.value)]
                                               : field.value;
}

std::int64_t bound(const IndexField& field, std::int64_t otherwise, std::int64_t extent, std::int64_t low,
                   std::int64_t high, std::span<const std::int64_t> integers) {
  if (field.kind == IndexField::Kind::absent) return otherwise;
  std::int64_t value = value_of(field, integers);
  if (value < 0) value += extent;
  return std::clamp(value, low, high);
}

AxisSelection select_slice(const IndexEntry& entry, std::int64_t n, std::span<const std::int64_t> integers) {
  AxisSelection result;
  if (entry.step.kind != IndexField::Kind::absent) result.step = value_of(entry.step, integers);
  if (result.step == 0) throw ValueError("the step of a slice must not be 0");
  if (result.step > 0) {
    result.start = bound(entry.start, 0, n, 0, n, integers);
    const std::int64_t stop = bound(entry.stop, n, n, 0, n, integers);
    result.extent = stop > result.start ? (stop - result.start - 1) / result.step + 1 : 0;
  } else {
    // Its negative must exist.
    result.step = std::max(result.step, -std::numeric_limits<std::int64_t>::max());
    result.start = bound(entry.start, n - 1, n, -1, n - 1, integers);
    const std::int64_t stop = bound(entry.stop, -1, n, -1, n - 1, integers);
    result.extent = stop < result.start ? (result.start - stop - 1) / -result.step + 1 : 0;
  }
  if (result.extent <= 1) result.step = 1;  // so that a step times a stride stays small
  if (result.extent == 0) result.start = 0;
  return result;
}

std::string field_text(const IndexField& field) {
  switch (field.kind) {
    case IndexField::Kind::absent:
      return "";
    case IndexField::Kind::constant:
      return fmt::format("{}", field.value);
    case IndexField::Kind::input:
      break;
  }
  return "int64";
}

}  // namespace

std::vector<std::int64_t> encode_index(const IndexPattern& pattern) {
  std::vector<std::int64_t> code;
  const auto put = [&](const IndexField& field) {
    code.push_back(static_cast<std::int64_t>(field.kind));
    code.push_back(field.value);
  };
  for (const IndexEntry& entry : pattern) {
    code.push_back(entry.is_integer ? 0 : 1);
    put(entry.start);
    if (entry.is_integer) continue;
    put(entry.stop);
    put(entry.step);
  }
  return code;
}

IndexPattern decode_index(std::span<const std::int64_t> code) {
  IndexPattern pattern;
  std::size_t at = 0;
  const auto take = [&] {
    if (at + 2 > code.size() || code[at] < 0 || code[at] > 2) {
      throw ValueError("the attribute 'index' is damaged: see IndexPattern for its form");
    }
    const IndexField field{static_cast<IndexField::Kind>(code[at]), code[at + 1]};
    at += 2;
    return field;
  };
  while (at < code.size()) {
    IndexEntry entry;
    entry.is_integer = code[at++] == 0;
    entry.start = take();
    if (!entry.is_integer) {
      entry.stop = take();
      entry.step = take();
    }
    pattern.push_back(entry);
  }
  return pattern;
}

std::string to_string(const IndexPattern& pattern) {
  std::string text;
  for (const IndexEntry& entry : pattern) {
    if (!text.empty()) text += ", ";
    text += field_text(entry.start);
    if (entry.is_integer) continue;
    text += ':' + field_text(entry.stop);
    text += ':' + field_text(entry.step);
  }
  return text;
}

AxisSelection select_axis(const IndexEntry& entry, std::size_t axis, std::int64_t extent,
                          std::span<const std::int64_t> integers) {
  if (!entry.is_integer) return select_slice(entry, extent, integers);
  const std::int64_t index = value_of(entry.start, integers);
  if (index < -extent || index >= extent) {
    throw IndexError(fmt::format("index {} is outside axis {} of extent {}", index, axis, extent));
  }
  return {.start = index < 0 ? index + extent : index, .dropped = true};
}

std::vector<AxisSelection> select_index(const IndexPattern& pattern, const Shape& shape,
                                        std::span<const std::int64_t> integers) {
  std::vector<AxisSelection> result;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    result.push_back(axis < pattern.size() ? select_axis(pattern[axis], axis, shape[axis], integers)
                                           : AxisSelection{.extent = shape[axis]});
  }
  return result;
}

std::optional<std::vector<AxisSelection>> static_selection(const Node& node, const Shape& shape) {
  const std::size_t first = &node.op() == &inc_subtensor_op() ? 2 : 1;
  std::vector<std::int64_t> integers;
  for (std::size_t i = first; i < node.input_count(); ++i) {
    const auto value = static_integer(node.input(i));
    if (!value) return std::nullopt;
    integers.push_back(*value);
  }
  return select_index(decode_index(node.attributes().get<std::vector<std::int64_t>>("index")), shape,
                      integers);
}

}  // namespace croton
