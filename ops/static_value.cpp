#include "croton/ops/static_value.h"

#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/ops/indexing.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

constexpr std::int64_t largest_value = 64;  // elements
constexpr int most_nodes = 64;

using Integers = std::vector<std::optional<std::int64_t>>;

// Looks through at most `budget` nodes, which bounds the recursion as well.
class Evaluation {
 public:
  std::optional<Tensor> value(const Variable& v) {
    const Node& node = *v.node();
    if (node.kind() == Node::Kind::constant) {
      return node.value().size() <= largest_value ? std::optional(node.value()) : std::nullopt;
    }
    if (!node.is_apply() || node.op().has_side_effect() || --budget_ < 0) return std::nullopt;
    if (v.rank() == 0 && v.dtype() == DType::int64) {
      if (const auto known = named_integer(v)) return Tensor(*known);
    }
    if (&node.op() == &shape_op()) return whole(integers(v));
    if (&node.op() == &shape_i_op()) return std::nullopt;
    std::vector<Tensor> inputs;
    for (const Variable& input : node.inputs()) {
      auto known = value(input);
      if (!known) return std::nullopt;
      inputs.push_back(std::move(*known));
    }
    try {
      Tensor result = node.op().evaluate(node, inputs)[v.output_index()];
      return result.size() <= largest_value ? std::optional(std::move(result)) : std::nullopt;
    } catch (const Error&) {
      return std::nullopt;  // running the node will say it
    }
  }

  std::optional<std::int64_t> integer(const Variable& v) {
    if (v.rank() != 0 || !is_discrete(v.dtype())) return std::nullopt;
    const auto known = value(v);
    return known ? std::optional(known->item<std::int64_t>()) : std::nullopt;
  }

  std::optional<Integers> integers(const Variable& v) {
    if (v.rank() != 1 || !is_discrete(v.dtype())) return std::nullopt;
    const Node& node = *v.node();
    if (node.is_apply() && --budget_ >= 0) {
      if (&node.op() == &shape_op()) return extents_of(node.input(0));
      if (&node.op() == &make_vector_op()) {
        Integers result;
        for (const Variable& input : node.inputs()) result.push_back(integer(input));
        return result;
      }
      if (&node.op() == &join_op()) {
        Integers result;
        for (const Variable& input : node.inputs()) {
          const auto part = integers(input);
          if (!part) return std::nullopt;
          result.insert(result.end(), part->begin(), part->end());
        }
        return result;
      }
      if (&node.op() == &subtensor_op()) return indexed(node);
    }
    if (const auto known = value(v)) {
      Integers result;
      for (const std::int64_t x : known->astype(DType::int64).to_vector<std::int64_t>())
        result.emplace_back(x);
      return result;
    }
    const std::int64_t length = v.type().shape[0];
    if (length == unknown || length > max_rank) return std::nullopt;
    return Integers(static_cast<std::size_t>(length));
  }

 private:
  static Integers extents_of(const Variable& x) {
    Integers result;
    for (const std::int64_t extent : x.type().shape) {
      result.push_back(extent == unknown ? std::nullopt : std::optional(extent));
    }
    return result;
  }

  static std::optional<Tensor> whole(const std::optional<Integers>& entries) {
    if (!entries) return std::nullopt;
    std::vector<std::int64_t> known;
    for (const auto& entry : *entries) {
      if (!entry) return std::nullopt;
      known.push_back(*entry);
    }
    return Tensor(known);
  }

  // An extent or an entry of a vector, which may be known where its neighbours are not.
  std::optional<std::int64_t> named_integer(const Variable& v) {
    const Node& node = *v.node();
    if (&node.op() == &shape_i_op()) {
      const auto axis = static_cast<std::size_t>(node.attributes().get<std::int64_t>("axis"));
      const std::int64_t extent = node.input(0).type().shape[axis];
      return extent == unknown ? std::nullopt : std::optional(extent);
    }
    if (&node.op() != &subtensor_op() || node.input(0).rank() != 1) return std::nullopt;
    const auto entry = indexed(node);
    return entry && entry->size() == 1 ? entry->front() : std::nullopt;
  }

  std::optional<Integers> indexed(const Node& node) {
    if (node.input(0).rank() != 1) return std::nullopt;
    const auto from = integers(node.input(0));
    if (!from) return std::nullopt;
    std::vector<std::int64_t> bounds;
    for (std::size_t i = 1; i < node.input_count(); ++i) {
      const auto bound = integer(node.input(i));
      if (!bound) return std::nullopt;
      bounds.push_back(*bound);
    }
    const auto pattern = decode_index(node.attributes().get<std::vector<std::int64_t>>("index"));
    AxisSelection selection;
    try {
      selection = select_index(pattern, Shape{static_cast<std::int64_t>(from->size())}, bounds)[0];
    } catch (const Error&) {
      return std::nullopt;
    }
    Integers result;
    for (std::int64_t i = 0; i < selection.extent; ++i) {
      result.push_back((*from)[static_cast<std::size_t>(selection.start + i * selection.step)]);
    }
    return result;
  }

  int budget_ = most_nodes;
};

}  // namespace

std::optional<Tensor> static_value(const Variable& variable) { return Evaluation().value(variable); }
std::optional<std::int64_t> static_integer(const Variable& scalar) { return Evaluation().integer(scalar); }
std::optional<Integers> static_integers(const Variable& vector) { return Evaluation().integers(vector); }

}  // namespace croton
