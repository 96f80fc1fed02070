#include <cmath>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/reduce.h"
#include "croton/ops/reduce_axes.h"

namespace croton {

namespace {

class ArgOp final : public Op {
 public:
  ArgOp(std::string_view name, bool largest) : Op(name), largest_(largest) {}

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    const auto axes = reduced_axes(name(), inputs, attributes);
    require_elements(name(), inputs[0].type().shape, axes);
    return {{DType::int64, without_axes(inputs[0].type().shape, axes)}};
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const Tensor& x = inputs[0];
    const auto& axes = node.attributes().get<std::vector<std::int64_t>>("axes");
    require_elements(name(), x.shape(), axes);
    const Shape kept = without_axes(x.shape(), axes);
    const Tensor lines = with_axes_last(x, axes).contiguous();
    Tensor result = Tensor::empty(kept, DType::int64);
    const std::int64_t count = result.size();
    if (count == 0) return {result};
    const std::int64_t length = x.size() / count;
    visit_dtype(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* line = lines.data<const T>();
      auto* out = result.data<std::int64_t>();
      for (std::int64_t i = 0; i < count; ++i, line += length) {
        std::int64_t best = 0;
        for (std::int64_t k = 1; k < length; ++k) {
          if (better(line[k], line[best])) best = k;
        }
        out[i] = best;
      }
    });
    return {result};
  }

  std::vector<InputGradient> grad(const Node&, std::span<const Variable>) const override {
    return {InputGradient::disconnected()};
  }
  bool connected(const Node&, std::size_t, std::size_t) const override { return false; }
  std::string label(const Node& node) const override { return reduction_label(node); }

 private:
  /// NaN is better than any number; of two NaNs the first stays.
  template <class T>
  bool better(T candidate, T best) const {
    if constexpr (is_floating(dtype_of<T>)) {
      if (std::isnan(static_cast<double>(best))) return false;
      if (std::isnan(static_cast<double>(candidate))) return true;
    }
    return largest_ ? best < candidate : candidate < best;
  }

  bool largest_;
};

[[maybe_unused]] const Op& argmax_registered_at_start = argmax_op();
[[maybe_unused]] const Op& argmin_registered_at_start = argmin_op();

}  // namespace

const Op& argmax_op() {
  static const Op* const op = new ArgOp("argmax", true);
  return *op;
}
const Op& argmin_op() {
  static const Op* const op = new ArgOp("argmin", false);
  return *op;
}

}  // namespace croton
