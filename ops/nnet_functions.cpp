#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/nnet.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

bool is_literal_zero(const Operand& x) {
  return x.is_weak() && x.variable().constant_value().item<double>() == 0;
}

Variable one_hot_crossentropy(const Variable& p, const Variable& y) {
  if (p.rank() == 2) return apply_op(crossentropy_categorical_1hot_op(), {p, y});
  // Every axis but the last counts rows.
  const Variable labels = y.rank() == 1 ? y : y.flatten();
  const Variable rows = reshape(p, {labels.shape(0), p.shape(-1)});
  return reshape(apply_op(crossentropy_categorical_1hot_op(), {rows, labels}), SymbolicShape(y.shape()));
}

}  // namespace

Variable categorical_crossentropy(const Operand& probabilities, const Operand& labels) {
  const LocationScope scope(probabilities.where());
  const Variable p = promote_operands(std::span(&probabilities, 1), true)[0];
  const Variable& y = labels.variable();
  if (p.rank() >= 1 && y.rank() == p.rank() - 1 && is_integer(y.dtype())) return one_hot_crossentropy(p, y);
  if (p.rank() >= 1 && y.rank() == p.rank()) return neg(sum(labels * log(p), p.rank() - 1));
  throw TypeError(
      fmt::format("categorical_crossentropy: the labels {} must be integers with one axis less than the "
                  "probabilities {}, "
                  "or a distribution of their rank",
                  describe(y), describe(p)));
}

Variable binary_crossentropy(const Operand& p, const Operand& t) {
  const LocationScope scope(p.where());
  return neg(t * log(p) + (1 - t) * log(1 - p));
}

Variable sigmoid_binary_crossentropy(const Operand& x, const Operand& t) {
  const LocationScope scope(x.where());
  // -log(sigmoid(x)) = softplus(-x): each term keeps its own accuracy where it is small.
  return t * softplus(neg(x)) + (1 - t) * softplus(x);
}

Variable relu(const Operand& x, const Operand& alpha) {
  const LocationScope scope(x.where());
  // The comparison is false for NaN, which so passes through.
  return switch_(le(x, 0), is_literal_zero(alpha) ? alpha : Operand(alpha * x), x);
}

Variable leaky_relu(const Operand& x, const Operand& alpha) { return relu(x, alpha); }

Variable elu(const Operand& x, const Operand& alpha) {
  const LocationScope scope(x.where());
  // minimum keeps the exponential of the branch that is not taken finite, and with it the gradient.
  return switch_(gt(x, 0), x, alpha * expm1(minimum(x, 0)));
}

Variable selu(const Operand& x) {
  const LocationScope scope(x.where());
  return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717);
}

Variable softsign(const Operand& x) {
  const LocationScope scope(x.where());
  return x / (1 + abs(x));
}

Variable hard_sigmoid(const Operand& x) {
  const LocationScope scope(x.where());
  return clip(0.2 * x + 0.5, 0, 1);
}

}  // namespace croton
