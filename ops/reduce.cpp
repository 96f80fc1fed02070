#include "croton/ops/reduce.h"

#include <algorithm>
#include <memory>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/elementwise_reference.h"
#include "croton/ops/reduce_axes.h"
#include "croton/ops/reduce_gradients.h"

namespace croton {

namespace {

DType widened(DType dtype) {
  if (is_unsigned_integer(dtype)) return DType::uint64;
  return is_discrete(dtype) ? DType::int64 : dtype;
}
DType unchanged(DType dtype) { return dtype; }
DType boolean(DType) { return DType::bool_; }

/// What the reference folds in: integers wrap around in 64 bits, floating numbers have digits to spare.
template <class T, class R>
using ReduceAccumulator = std::conditional_t<is_floating(dtype_of<R>), long double, R>;

template <class A>
A fold(std::string_view name, A total, A x) {
  if constexpr (!std::is_same_v<A, bool>) {
    if (name == "sum") return reference::sum(total, x);
    if (name == "prod") return reference::product(total, x);
  }
  return name == "max" || name == "any" ? reference::larger(total, x) : reference::smaller(total, x);
}

}  // namespace

ReduceOp::ReduceOp(ReduceRow row) : Op(row.name), row_(row) {}

std::vector<TensorType> ReduceOp::infer(std::span<const Variable> inputs,
                                        const Attributes& attributes) const {
  const std::vector<std::int64_t> axes = reduced_axes(name(), inputs, attributes);
  const TensorType& x = inputs[0].type();
  const Shape shape = without_axes(x.shape, axes);
  if (!row_.has_identity) require_elements(name(), x.shape, axes);
  return {{row_.result(x.dtype), shape}};
}

Tensor ReduceOp::reduce(const Tensor& x, std::span<const std::int64_t> axes) const {
  if (!row_.has_identity) require_elements(name(), x.shape(), axes);
  const Tensor lines = with_axes_last(x, axes);
  const Shape kept = without_axes(x.shape(), axes);
  Shape reduced;
  for (const std::int64_t axis : axes) reduced.push_back(x.shape()[static_cast<std::size_t>(axis)]);
  const Shape reduced_strides(std::span(lines.strides().begin() + kept.size(), reduced.size()));
  Tensor result = Tensor::empty(kept, row_.result(x.dtype()));
  visit_dtype(x.dtype(), [&](auto in_tag) {
    using T = typename decltype(in_tag)::type;
    visit_dtype(result.dtype(), [&](auto out_tag) {
      using R = typename decltype(out_tag)::type;
      using A = ReduceAccumulator<T, R>;
      R* out = result.data<R>();
      for_each_index(kept, [&](const Shape& index) {
        T* first = lines.data<T>();
        for (std::size_t i = 0; i < index.size(); ++i) first += index[i] * lines.strides()[i];
        A total = static_cast<A>(row_.identity);
        bool empty = row_.has_identity ? false : true;
        for_each_element(StridedView<T>(first, reduced, reduced_strides), [&](T element) {
          const A value = static_cast<A>(convert_element<R>(element));
          total = empty ? value : fold<A>(name(), total, value);
          empty = false;
        });
        if constexpr (is_floating(dtype_of<R>))
          *out++ = convert_element<R>(static_cast<double>(total));
        else
          *out++ = total;
      });
    });
  });
  return result;
}

std::vector<Tensor> ReduceOp::evaluate(const Node& node, std::span<const Tensor> inputs) const {
  return {reduce(inputs[0], node.attributes().get<std::vector<std::int64_t>>("axes"))};
}

bool ReduceOp::connected(const Node& node, std::size_t, std::size_t) const {
  return is_floating(node.type().dtype);
}

std::vector<InputGradient> ReduceOp::grad(const Node& node, std::span<const Variable> gradients) const {
  if (!gradients[0] || !is_floating(node.type().dtype)) return {InputGradient::disconnected()};
  if (name() == "sum") return {gradient_of_sum(node, gradients[0])};
  if (name() == "prod") return {gradient_of_prod(node, gradients[0])};
  return {gradient_of_extremum(node, gradients[0])};
}

std::string ReduceOp::label(const Node& node) const { return reduction_label(node); }

namespace {

struct ReduceRegistry {
  std::vector<std::unique_ptr<const ReduceOp>> owners;
  std::vector<const ReduceOp*> ops;

  ReduceRegistry() {
    add({"sum", widened, ScalarOp::add, true, 0, "Sum; integers are summed in 64 bits, of nothing it is 0."});
    add({"prod", widened, ScalarOp::mul, true, 1,
         "Product; of integers in 64 bits, of nothing it is 1. Its gradient is right where elements are 0."});
    add({"max", unchanged, ScalarOp::max, false, 0,
         "Maximum; NaN wins, an empty axis is an error. The first maximum has the gradient."});
    add({"min", unchanged, ScalarOp::min, false, 0,
         "Minimum; NaN wins, an empty axis is an error. The first minimum has the gradient."});
    add({"all", boolean, ScalarOp::bit_and, true, 1, "Whether no element is 0."});
    add({"any", boolean, ScalarOp::bit_or, true, 0, "Whether some element is not 0."});
  }
  void add(ReduceRow row) {
    owners.push_back(std::make_unique<const ReduceOp>(row));
    ops.push_back(owners.back().get());
  }
};

// As the elementwise registry: made at first use, never destroyed.
const ReduceRegistry& reduce_registry() {
  static const ReduceRegistry* const all_reductions = new ReduceRegistry;
  return *all_reductions;
}
[[maybe_unused]] const ReduceRegistry& reduce_registered_at_start = reduce_registry();

}  // namespace

std::span<const ReduceOp* const> reduce_ops() { return reduce_registry().ops; }

const ReduceOp* find_reduce(std::string_view name) {
  for (const ReduceOp* op : reduce_registry().ops) {
    if (op->name() == name) return op;
  }
  return nullptr;
}

const ReduceOp* as_reduce(const Op& op) { return dynamic_cast<const ReduceOp*>(&op); }

}  // namespace croton
