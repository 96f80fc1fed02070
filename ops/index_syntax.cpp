// Indexing as users write it: x(1, slice(2, none), newaxis), set_subtensor(x(0), y).

#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/indexing.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

// Collects the pattern and the symbolic integers of one index.
class IndexBuilder {
 public:
  explicit IndexBuilder(const Variable& x) : x_(x) {}

  IndexField field(const std::optional<Operand>& operand) {
    if (!operand) return {};
    const Variable& v = operand->variable();
    if (v && is_bool(v.dtype())) {
      throw TypeError(
          fmt::format("a bool is no index of {}: use 0 or 1, or switch_ to choose by a mask", describe(x_)));
    }
    if (!v || v.rank() != 0 || !is_integer(v.dtype())) {
      throw TypeError(
          fmt::format("{} is indexed by {}; an index is an integer, a symbolic integer scalar, a "
                      "slice of such, newaxis or ellipsis",
                      describe(x_), v ? describe(v) : "an empty Variable"));
    }
    if (v.is_constant()) return {IndexField::Kind::constant, v.constant_value().item<std::int64_t>()};
    integers_.push_back(v.dtype() == DType::int64 ? v : cast(v, DType::int64));
    return {IndexField::Kind::input, static_cast<std::int64_t>(integers_.size()) - 1};
  }

  void add(const Subscript& index) {
    if (index.kind() == Subscript::Kind::integer) {
      pattern_.push_back({.is_integer = true, .start = field(index.integer()), .stop = {}, .step = {}});
      return;
    }
    const Slice& s = index.slice();
    IndexEntry entry;
    entry.start = field(s.start);
    entry.stop = field(s.stop);
    entry.step = field(s.step);
    if (entry.step == IndexField{IndexField::Kind::constant, 1}) entry.step = {};
    pattern_.push_back(entry);
  }

  void add_whole(std::size_t axes) { pattern_.insert(pattern_.end(), axes, IndexEntry{}); }

  Variable build() {
    while (!pattern_.empty() && pattern_.back() == IndexEntry{}) pattern_.pop_back();
    std::vector<Variable> inputs = {x_};
    inputs.insert(inputs.end(), integers_.begin(), integers_.end());
    return apply_op(subtensor_op(), std::move(inputs), {{"index", encode_index(pattern_)}});
  }

 private:
  Variable x_;
  IndexPattern pattern_;
  std::vector<Variable> integers_;
};

// The values for a dimshuffled view as those for what was dimshuffled.
Variable undo_dimshuffle(const Node& node, Variable y) {
  const auto& pattern = node.attributes().get<std::vector<std::int64_t>>("pattern");
  Shape added = Shape::filled(pattern.size(), unknown);
  bool declare = false;
  std::vector<int> inverse(node.input(0).type().shape.size(), 'x');
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] >= 0) {
      inverse[static_cast<std::size_t>(pattern[i])] = static_cast<int>(i);
    } else {
      added[i] = 1;
      declare = declare || y.type().shape[i] != 1;
    }
  }
  if (declare) y = specify_shape(y, added);
  return y.dimshuffle(inverse);
}

Variable change_subtensor(const Operand& indexed, const Operand& values, bool set) {
  const LocationScope scope(indexed.where());
  const char* name = set ? "set_subtensor" : "inc_subtensor";
  Variable view = indexed.variable();
  const DType dtype = view.dtype();
  if (!values.is_weak() && promote(values.variable().dtype(), dtype) != dtype) {
    throw TypeError(fmt::format("{}: {} does not fit into a part of {} without loss; cast it first", name,
                                describe(values.variable()), describe(view)));
  }
  Variable y = as_dtype(values, dtype);
  while (true) {
    const Node& node = *view.node();
    const Op* op = node.is_apply() ? &node.op() : nullptr;
    if (y.rank() > view.rank()) {
      throw TypeError(fmt::format("{}: the part {} has rank {}, the values {} have {}", name, describe(view),
                                  view.rank(), describe(y), y.rank()));
    }
    if (y.rank() < view.rank()) y = shape_padleft(y, view.rank() - y.rank());
    if (op == &subtensor_op()) {
      std::vector<Variable> inputs(node.inputs().begin(), node.inputs().end());
      inputs.insert(inputs.begin() + 1, y);
      return apply_op(inc_subtensor_op(), std::move(inputs),
                      {{"index", *node.attributes().find("index")}, {"set", set}});
    }
    if (op == &dimshuffle_op()) {
      y = undo_dimshuffle(node, y);
    } else if (op == &reshape_op()) {
      y = reshape(alloc(y, SymbolicShape(view.shape())), SymbolicShape(node.input(0).shape()));
    } else {
      throw TypeError(fmt::format("{}: {} is no indexing expression; write {}(x(slice(1, 5)), y)", name,
                                  describe(indexed.variable()), name));
    }
    view = node.input(0);
  }
}

}  // namespace

Variable Variable::index(const std::vector<Subscript>& indices, std::source_location where) const {
  const LocationScope scope(where);
  std::size_t named = 0, ellipses = 0, added = 0;
  for (const Subscript& index : indices) {
    if (index.kind() == Subscript::Kind::ellipsis) {
      ++ellipses;
    } else if (index.kind() == Subscript::Kind::newaxis) {
      ++added;
    } else {
      ++named;
    }
  }
  const std::size_t axes = type().shape.size();
  if (ellipses > 1) throw IndexError(fmt::format("{} is indexed by more than one ellipsis", describe(*this)));
  if (named > axes) {
    throw IndexError(fmt::format("{} indices were given for {} of rank {}", named, describe(*this), rank()));
  }
  IndexBuilder builder(*this);
  std::vector<int> pattern;  // of the dimshuffle that adds axes
  int kept = 0;
  const auto keep = [&](std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) pattern.push_back(kept++);
  };
  for (const Subscript& index : indices) {
    switch (index.kind()) {
      case Subscript::Kind::newaxis:
        pattern.push_back('x');
        break;
      case Subscript::Kind::ellipsis:
        builder.add_whole(axes - named);
        keep(axes - named);
        break;
      case Subscript::Kind::slice:
        keep(1);
        builder.add(index);
        break;
      case Subscript::Kind::integer:
        builder.add(index);
        break;
    }
  }
  if (ellipses == 0) keep(axes - named);
  Variable result = builder.build();
  return added > 0 ? result.dimshuffle(pattern) : result;
}

Variable Variable::operator()(const Subscript& i, std::source_location where) const {
  return index({i}, where);
}
Variable Variable::operator()(const Subscript& i, const Subscript& j, std::source_location where) const {
  return index({i, j}, where);
}
Variable Variable::operator()(const Subscript& i, const Subscript& j, const Subscript& k,
                              std::source_location where) const {
  return index({i, j, k}, where);
}
Variable Variable::operator()(const Subscript& i, const Subscript& j, const Subscript& k, const Subscript& l,
                              std::source_location where) const {
  return index({i, j, k, l}, where);
}
Variable Variable::operator()(const Subscript& i, const Subscript& j, const Subscript& k, const Subscript& l,
                              const Subscript& m, std::source_location where) const {
  return index({i, j, k, l, m}, where);
}

Variable set_subtensor(const Operand& indexed, const Operand& y) {
  return change_subtensor(indexed, y, true);
}
Variable inc_subtensor(const Operand& indexed, const Operand& y) {
  return change_subtensor(indexed, y, false);
}

}  // namespace croton
