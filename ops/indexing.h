#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "croton/graph/op.h"
#include "croton/graph/tensor.h"
#include "croton/graph/variable.h"

namespace croton {

/// subtensor(x, integers…): basic indexing. Attribute `index`: see IndexPattern; the further inputs are the
/// symbolic integers (0-d, int64). A view. Prints Subtensor{1:int64:, int64}.
CROTON_API const Op& subtensor_op();
/// inc_subtensor(x, y, integers…): a copy of x with y added to (attribute `set`: put into) the indexed part;
/// y has the part's rank and broadcasts along its axes of static extent 1.
CROTON_API const Op& inc_subtensor_op();

/// A number of an index: absent, known, or the value of one of the node's integer inputs.
struct IndexField {
  enum class Kind : std::uint8_t { absent, constant, input };
  Kind kind = Kind::absent;
  std::int64_t value = 0;  // the number, or which of the integer inputs (counted from 0)
  friend bool operator==(const IndexField&, const IndexField&) = default;
};

/// What is done to one axis: an integer (in `start`) drops it, else a slice.
struct IndexEntry {
  bool is_integer = false;
  IndexField start, stop, step;
  friend bool operator==(const IndexEntry&, const IndexEntry&) = default;
};

/// One entry for each of the first axes; the others are taken whole.
using IndexPattern = std::vector<IndexEntry>;

/// The attribute `index` from a pattern and back. An integer is 0, field; a slice 1, start, stop, step; a
/// field is its kind and its value.
CROTON_API std::vector<std::int64_t> encode_index(const IndexPattern& pattern);
CROTON_API IndexPattern decode_index(std::span<const std::int64_t> code);
/// "1:int64:, 3": as labels show it.
CROTON_API std::string to_string(const IndexPattern& pattern);

/// Where the indexed elements of an axis lie.
struct AxisSelection {
  std::int64_t start = 0;  // in elements along the axis
  std::int64_t step = 1;
  std::int64_t extent = 1;
  bool dropped = false;  // by an integer
};

/// What an entry of an index selects of axis `axis`, whose extent is given: one entry of select_index.
/// Allocates nothing.
CROTON_API AxisSelection select_axis(const IndexEntry& entry, std::size_t axis, std::int64_t extent,
                                     std::span<const std::int64_t> integers);
/// One selection for each axis of a tensor of known shape, Python's rules; `integers` are the values of the
/// node's integer inputs. Throws IndexError for an integer outside its axis, ValueError for a zero step.
CROTON_API std::vector<AxisSelection> select_index(const IndexPattern& pattern, const Shape& shape,
                                                   std::span<const std::int64_t> integers);
/// The same for a subtensor or inc_subtensor node whose integer inputs are all constant or follow from static
/// shapes; nothing otherwise.
CROTON_API std::optional<std::vector<AxisSelection>> static_selection(const Node& node, const Shape& shape);

/// x with the part that `indexed` is of it, set to y: set_subtensor(x(slice(1, 5)), y). `indexed` must be an
/// indexing expression, perhaps dimshuffled, reshaped or flattened; y broadcasts.
CROTON_API Variable set_subtensor(const Operand& indexed, const Operand& y);
/// The same with y added.
CROTON_API Variable inc_subtensor(const Operand& indexed, const Operand& y);

}  // namespace croton
