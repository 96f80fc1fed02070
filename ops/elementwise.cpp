#include "croton/ops/elementwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <unordered_map>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/elementwise_table.h"
#include "croton/ops/inplace_label.h"

namespace croton {

namespace {

std::string call_of(std::string_view name, int arity) {
  std::string text(name);
  for (int i = 0; i < arity; ++i) text += fmt::format("{}{{{}}}", i == 0 ? "(" : ", ", i);
  return text + ")";
}

[[noreturn]] void throw_dtype(const ElementwiseRow& row, std::string_view wants,
                              std::span<const Variable> inputs) {
  std::string got;
  for (const Variable& input : inputs) {
    if (!got.empty()) got += " and ";
    got += name_of(input.dtype());
  }
  throw TypeError(fmt::format("{} takes {}, got {}", row.name, wants, got));
}

void check_dtypes(const ElementwiseRow& row, std::span<const Variable> inputs) {
  if (row.rule == DTypeRule::second || row.rule == DTypeRule::cast) return;
  const bool select = row.rule == DTypeRule::select;
  if (select && !is_bool(inputs[0].dtype())) throw_dtype(row, "a bool first", inputs);
  const std::span<const Variable> alike = inputs.subspan(select ? 1 : 0);
  const DType dtype = alike[0].dtype();
  for (const Variable& input : alike) {
    if (input.dtype() != dtype) throw_dtype(row, "operands of one dtype", inputs);
  }
  switch (row.rule) {
    case DTypeRule::number:
      if (is_bool(dtype)) throw_dtype(row, "numbers", inputs);
      break;
    case DTypeRule::no_bool:
      if (is_bool(dtype)) {
        throw_dtype(row, "numbers (for bools there is `^`, or `~` for the negation)", inputs);
      }
      break;
    case DTypeRule::floating:
      if (!is_floating(dtype)) throw_dtype(row, "floating operands", inputs);
      break;
    case DTypeRule::bitwise:
      if (!is_discrete(dtype)) throw_dtype(row, "integers or bools", inputs);
      break;
    case DTypeRule::shift:
      if (!is_integer(dtype)) throw_dtype(row, "integers", inputs);
      break;
    default:
      break;
  }
}

DType output_dtype(const ElementwiseRow& row, std::span<const Variable> inputs,
                   const Attributes& attributes) {
  if (row.rule == DTypeRule::predicate) return DType::bool_;
  if (row.rule == DTypeRule::cast) {
    const AttributeValue* dtype = attributes.find("dtype");
    if (dtype == nullptr || !std::holds_alternative<DType>(*dtype)) {
      throw TypeError("cast needs the attribute dtype, for example dtype=float32");
    }
    const DType to = std::get<DType>(*dtype);
    if (is_complex(to)) throw TypeError("cast to a complex dtype: no op takes complex tensors yet");
    return to;
  }
  return inputs.back().dtype();
}

}  // namespace

ElementwiseOp::ElementwiseOp(ElementwiseRow row) : Op(row.name), row_(std::move(row)) {
  if (row_.print.empty()) row_.print = call_of(row_.name, row_.arity);
  if (row_.cuda.empty()) row_.cuda = call_of(row_.name, row_.arity);
}

std::vector<TensorType> ElementwiseOp::infer(std::span<const Variable> inputs,
                                             const Attributes& attributes) const {
  const auto wanted = static_cast<std::size_t>(row_.arity);
  if (row_.variadic ? inputs.size() < wanted : inputs.size() != wanted) {
    throw TypeError(fmt::format("{} takes {}{} operand{}, got {}", row_.name,
                                row_.variadic ? "at least " : "", wanted, wanted == 1 ? "" : "s",
                                inputs.size()));
  }
  check_dtypes(row_, inputs);
  return {{output_dtype(row_, inputs, attributes), broadcast_types(inputs)}};
}

Tensor ElementwiseOp::evaluate_same_shape(std::span<const Tensor> inputs, DType out) const {
  if (row_.reference == nullptr) {  // only moves values
    const Tensor& moved = inputs.back();
    return moved.dtype() == out ? moved.copy() : moved.astype(out).contiguous();
  }
  const Shape& shape = inputs[0].shape();
  Tensor result = Tensor::empty(shape, out);
  if (result.size() == 0) return result;

  // Runs along the last axis, or over everything where all operands are contiguous.
  const bool flat =
      std::all_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return t.is_contiguous(); });
  const bool whole = flat || shape.empty();
  Shape outer = shape;
  if (whole) {
    outer = {};
  } else {
    outer.erase(shape.size() - 1);
  }
  const std::int64_t run = whole ? result.size() : shape.back();
  const DType dtype = inputs.back().dtype();
  const auto item = static_cast<std::int64_t>(size_of(out));
  std::vector<const std::byte*> at(inputs.size());
  std::vector<std::int64_t> steps(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto bytes = static_cast<std::int64_t>(size_of(inputs[i].dtype()));
    steps[i] = whole ? bytes : inputs[i].strides().back() * bytes;
  }
  std::byte* to = static_cast<std::byte*>(result.raw_data());
  for_each_index(outer, [&](const Shape& index) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      std::int64_t offset = 0;
      for (std::size_t k = 0; k < index.size(); ++k) offset += index[k] * inputs[i].strides()[k];
      at[i] = static_cast<const std::byte*>(inputs[i].raw_data()) +
              offset * static_cast<std::int64_t>(size_of(inputs[i].dtype()));
    }
    if (!row_.variadic) {
      row_.reference(dtype, run, at.data(), steps.data(), to);
    } else {
      for (std::size_t i = 1; i < inputs.size(); ++i) {  // a fold from the left, in the output
        const std::byte* pair[] = {i == 1 ? at[0] : to, at[i]};
        const std::int64_t pair_steps[] = {i == 1 ? steps[0] : item, steps[i]};
        row_.reference(dtype, run, pair, pair_steps, to);
      }
    }
    to += run * item;
  });
  return result;
}

std::vector<Tensor> ElementwiseOp::evaluate(const Node& node, std::span<const Tensor> inputs) const {
  std::vector<Shape> shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.shape());
  const Shape shape = broadcast_shape(node, shapes);
  std::vector<Tensor> alike;
  for (const Tensor& input : inputs) alike.push_back(input.broadcast_to(shape));
  return {evaluate_same_shape(alike, node.type().dtype)};
}

bool ElementwiseOp::connected(const Node& node, std::size_t input, std::size_t) const {
  if (!is_floating(node.type().dtype) || row_.has(disconnected_gradient)) return false;
  if (row_.rule == DTypeRule::select && input == 0) return false;
  return true;
}

std::vector<InputGradient> ElementwiseOp::grad(const Node& node, std::span<const Variable> gradients) const {
  const Variable& gy = gradients[0];
  std::vector<Variable> terms;
  if (row_.gradient != nullptr && gy && is_floating(node.type().dtype)) terms = row_.gradient(node, gy);
  std::vector<InputGradient> result;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    const Variable& input = node.input(i);
    if (!gy || !connected(node, i, 0)) {
      result.push_back(InputGradient::disconnected());
    } else if (i < terms.size() && terms[i]) {
      result.push_back(sum_to(terms[i], input));
    } else if (row_.gradient != nullptr || row_.has(zero_gradient)) {
      result.push_back(zeros_like(input, is_floating(input.dtype()) ? input.dtype() : gy.dtype()));
    } else {
      result.push_back(InputGradient::undefined(fmt::format("{} has no gradient", row_.name)));
    }
  }
  return result;
}

std::vector<std::pair<int, int>> ElementwiseOp::inplace_candidates(const Node& node) const {
  return elementwise_inplace_candidates(node);
}

std::string inplace_suffix(const Op& op, const Node& node) {
  const auto pairs = op.destroy_map(node);
  if (pairs.empty()) return "";
  std::string text = "[";
  for (const auto& [output, input] : pairs) {
    text += fmt::format("{}({}, {})", text.size() == 1 ? "" : ", ", output, input);
  }
  return text + "]";
}

std::string ElementwiseOp::label(const Node& node) const {
  const std::string inplace = inplace_suffix(*this, node);
  if (row_.rule == DTypeRule::cast) {
    return fmt::format("Elemwise{{Cast{{{}}}}}{}", name_of(node.type().dtype), inplace);
  }
  return fmt::format("Elemwise{{{}{}}}{}", row_.name, inplace.empty() ? ",no_inplace" : "", inplace);
}

namespace {

struct Registry {
  std::vector<std::unique_ptr<const ElementwiseOp>> owners;
  std::vector<const ElementwiseOp*> ops;
  std::unordered_map<std::string_view, const ElementwiseOp*> by_name;

  Registry() {
    for (ElementwiseRow& row : elementwise_table()) {
      owners.push_back(std::make_unique<const ElementwiseOp>(std::move(row)));
      ops.push_back(owners.back().get());
      by_name.emplace(owners.back()->row().name, owners.back().get());
    }
  }
};

// Made at first use, so that a user's static variables can use it; never destroyed, for the same reason.
const Registry& registry() {
  static const Registry* const all = new Registry;
  return *all;
}
[[maybe_unused]] const Registry& elementwise_registered_at_start = registry();

}  // namespace

std::span<const ElementwiseOp* const> elementwise_ops() { return registry().ops; }

const ElementwiseOp* find_elementwise(std::string_view name) {
  const auto entry = registry().by_name.find(name);
  return entry == registry().by_name.end() ? nullptr : entry->second;
}

const ElementwiseOp* as_elementwise(const Op& op) { return dynamic_cast<const ElementwiseOp*>(&op); }

}  // namespace croton
