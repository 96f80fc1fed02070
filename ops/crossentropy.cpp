#include <fmt/format.h>

#include <cmath>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/nnet.h"
#include "croton/ops/nnet_rows.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

void require_count(std::span<const Variable> inputs, std::size_t count, const Op& op) {
  if (inputs.size() != count) {
    throw TypeError(fmt::format("{} takes {} inputs, got {}", op.name(), count, inputs.size()));
  }
}

void require_labels(const Variable& y, const char* what) {
  if (y.rank() != 1 || !is_integer(y.dtype())) {
    throw TypeError(
        fmt::format("{}: the labels must be an integer vector, got {}", what, to_string(y.type())));
  }
}

// The number of rows, from the operands that have one entry a row. ShapeError when they differ.
std::int64_t common_rows(std::initializer_list<const Variable*> operands, const char* what) {
  std::int64_t rows = unknown;
  for (const Variable* operand : operands) {
    const std::int64_t n = operand->type().shape[0];
    if (n != unknown && rows != unknown && n != rows) {
      throw ShapeError(fmt::format("{}: one operand has {} rows, another {}", what, rows, n));
    }
    if (n != unknown) rows = n;
  }
  return rows;
}

void require_matrix(const Variable& p, const char* what) {
  if (p.rank() != 2 || !is_floating(p.dtype())) {
    throw TypeError(fmt::format("{} takes a floating matrix, got {}", what, to_string(p.type())));
  }
}

void require_row_weights(const Variable& g, const Variable& p, const char* what) {
  if (g.rank() != 1 || g.dtype() != p.dtype()) {
    throw TypeError(fmt::format("{}: the gradient must be a vector of {}, got {}", what, name_of(p.dtype()),
                                to_string(g.type())));
  }
}

void require_rows(const Tensor& matrix, const Tensor& vector, const char* what) {
  if (matrix.shape()[0] == vector.shape()[0]) return;
  throw ShapeError(fmt::format("{}: a matrix of shape {} goes with a vector of shape {}", what,
                               to_string(matrix.shape()), to_string(vector.shape())));
}

// v[i] as a column that broadcasts against a matrix.
Variable column(const Variable& v) { return v.dimshuffle({0, 'x'}); }

// Where the matrix's column is the row's label.
Variable label_mask(const Variable& matrix, const Variable& y) {
  return eq(column(cast(y, DType::int64)), arange(matrix.shape(1)).dimshuffle({'x', 0}));
}

class Crossentropy1Hot final : public Op {
 public:
  Crossentropy1Hot() : Op("crossentropy_categorical_1hot") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    require_count(inputs, 2, *this);
    require_matrix(inputs[0], name().c_str());
    require_labels(inputs[1], name().c_str());
    return {{inputs[0].dtype(), {common_rows({&inputs[0], &inputs[1]}, name().c_str())}}};
  }
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    const Tensor& p = inputs[0];
    require_rows(p, inputs[1], name().c_str());
    const auto labels = checked_labels(inputs[1], p.shape()[1]);
    Tensor result = Tensor::empty({p.shape()[0]}, p.dtype());
    visit_floating(p.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto ps = p.elements<const T>();
      for (std::int64_t i = 0; i < p.shape()[0]; ++i) {
        const T probability = ps[Shape{i, labels[static_cast<std::size_t>(i)]}];
        result.data<T>()[i] = T(-std::log(Accumulator<T>(probability)));
      }
    });
    return {result};
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    return {apply_op(crossentropy_categorical_1hot_grad_op(), {gradients[0], node.input(0), node.input(1)}),
            InputGradient::disconnected()};
  }
  bool connected(const Node&, std::size_t input, std::size_t) const override { return input == 0; }
  std::string label(const Node&) const override { return "CrossentropyCategorical1Hot"; }
};

/// The gradient of a loss of labels with respect to a matrix with a row for each: weights of the rows, the
/// matrix the loss was computed with, labels. Element (i, c) of the gradient comes from the weight of row i,
/// element (i, c) of the matrix, and whether c is the label of row i.
class RowLossGradient : public Op {
 public:
  using Op::Op;
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const final {
    require_count(inputs, 3, *this);
    require_matrix(inputs[1], name().c_str());
    require_row_weights(inputs[0], inputs[1], name().c_str());
    require_labels(inputs[2], name().c_str());
    TensorType type = inputs[1].type();
    type.shape[0] = common_rows({&inputs[0], &inputs[1], &inputs[2]}, name().c_str());
    return {type};
  }
  bool connected(const Node&, std::size_t input, std::size_t) const final { return input < 2; }

 protected:
  /// `element` takes the weight and the matrix' element, in the type that sums are formed in, and is_label.
  template <class Element>
  std::vector<Tensor> evaluate_rows(std::span<const Tensor> inputs, Element&& element) const {
    const Tensor &g = inputs[0], &p = inputs[1];
    require_rows(p, g, name().c_str());
    require_rows(p, inputs[2], name().c_str());
    const auto labels = checked_labels(inputs[2], p.shape()[1]);
    Tensor result = Tensor::empty(p.shape(), p.dtype());
    visit_floating(p.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      using A = Accumulator<T>;
      const auto gs = g.elements<const T>(), ps = p.elements<const T>();
      const auto to = result.elements<T>();
      for_each_index(p.shape(), [&](const Shape& at) {
        const bool is_label = at[1] == labels[static_cast<std::size_t>(at[0])];
        to[at] = T(element(A(gs[Shape{at[0]}]), A(ps[at]), is_label));
      });
    });
    return {result};
  }
};

class Crossentropy1HotGrad final : public RowLossGradient {
 public:
  Crossentropy1HotGrad() : RowLossGradient("crossentropy_categorical_1hot_grad") {}
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    return evaluate_rows(inputs,
                         [](auto g, auto p, bool is_label) { return is_label ? -g / p : decltype(p)(0); });
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const Variable &g = node.input(0), &p = node.input(1);
    // Elsewhere than at the labels a p of 0 must not turn into NaN.
    const Variable mask = label_mask(p, node.input(2));
    const Variable inverse = switch_(mask, reciprocal(switch_(mask, p, 1)), 0);
    return {neg(sum(gradients[0] * inverse, 1)), gradients[0] * column(g) * sqr(inverse),
            InputGradient::disconnected()};
  }
  std::string label(const Node&) const override { return "CrossentropyCategorical1HotGrad"; }
};

class CrossentropySoftmax final : public Op {
 public:
  CrossentropySoftmax() : Op("crossentropy_softmax_1hot_with_bias") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    require_count(inputs, 3, *this);
    TensorType type = rows_with_bias(inputs[0], inputs[1], name().c_str());
    require_labels(inputs[2], name().c_str());
    type.shape[0] = common_rows({&inputs[0], &inputs[2]}, name().c_str());
    return {{type.dtype, {type.shape[0]}}, type};
  }
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    const Tensor x = add_bias(inputs[0], inputs[1]);
    require_rows(x, inputs[2], name().c_str());
    const auto labels = checked_labels(inputs[2], x.shape()[1]);
    const Tensor logarithms = log_softmax_rows(x);
    Tensor nll = Tensor::empty({x.shape()[0]}, x.dtype());
    visit_floating(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto from = logarithms.elements<const T>();
      for (std::int64_t i = 0; i < x.shape()[0]; ++i) {
        const T logarithm = from[Shape{i, labels[static_cast<std::size_t>(i)]}];
        nll.data<T>()[i] = T(-Accumulator<T>(logarithm));
      }
    });
    return {nll, softmax_rows(x)};
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const Variable s = node.output(1);
    Variable gx;
    if (gradients[0]) {
      gx = apply_op(crossentropy_softmax_1hot_with_bias_dx_op(), {gradients[0], s, node.input(2)});
    }
    if (gradients[1]) {
      const Variable more = apply_op(softmax_grad_op(), {gradients[1], s}, {{"axis", std::int64_t{1}}});
      gx = gx ? gx + more : more;
    }
    return {gx, sum(gx, 0), InputGradient::disconnected()};
  }
  bool connected(const Node&, std::size_t input, std::size_t) const override { return input < 2; }
  std::vector<std::pair<int, int>> inplace_candidates(const Node&) const override { return {{1, 0}}; }
  std::string label(const Node&) const override { return "CrossentropySoftmax1HotWithBias"; }
};

class CrossentropySoftmaxDx final : public RowLossGradient {
 public:
  CrossentropySoftmaxDx() : RowLossGradient("crossentropy_softmax_1hot_with_bias_dx") {}
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    return evaluate_rows(inputs, [](auto g, auto s, bool is_label) { return g * (is_label ? s - 1 : s); });
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const Variable &g = node.input(0), &s = node.input(1);
    const Variable hot = cast(label_mask(s, node.input(2)), s.dtype());
    return {sum(gradients[0] * (s - hot), 1), gradients[0] * column(g), InputGradient::disconnected()};
  }
  std::vector<std::pair<int, int>> inplace_candidates(const Node&) const override { return {{0, 1}}; }
  std::string label(const Node&) const override { return "CrossentropySoftmax1HotWithBiasDx"; }
};

}  // namespace

std::vector<std::int64_t> checked_labels(const Tensor& labels, std::int64_t classes) {
  std::vector<std::int64_t> result = labels.astype(DType::int64).to_vector<std::int64_t>();
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (result[i] < 0 || result[i] >= classes) {
      throw IndexError(fmt::format("label {} in row {} is outside 0 to {}: there are {} classes", result[i],
                                   i, classes - 1, classes));
    }
  }
  return result;
}

const Op& crossentropy_categorical_1hot_op() {
  static const Crossentropy1Hot op;
  return op;
}
const Op& crossentropy_categorical_1hot_grad_op() {
  static const Crossentropy1HotGrad op;
  return op;
}
const Op& crossentropy_softmax_1hot_with_bias_op() {
  static const CrossentropySoftmax op;
  return op;
}
const Op& crossentropy_softmax_1hot_with_bias_dx_op() {
  static const CrossentropySoftmaxDx op;
  return op;
}
[[maybe_unused]] const Op* const crossentropy_registered_at_start[] = {
    &crossentropy_categorical_1hot_op(), &crossentropy_categorical_1hot_grad_op(),
    &crossentropy_softmax_1hot_with_bias_op(), &crossentropy_softmax_1hot_with_bias_dx_op()};

}  // namespace croton
