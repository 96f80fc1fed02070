#pragma once

#include "croton/graph/op.h"
#include "croton/graph/variable.h"

namespace croton {

/// softmax(x): exp(x - max) / sum(exp(x - max)) along attribute `axis` (>= 0).
CROTON_API const Op& softmax_op();
/// log_softmax(x): x - max - log(sum(exp(x - max))) along attribute `axis`.
CROTON_API const Op& log_softmax_op();
/// softmax_grad(g, s): s * (g - sum(g * s)) along attribute `axis`, s a softmax.
CROTON_API const Op& softmax_grad_op();
/// softmax_with_bias(x, b): softmax of x[n,k] + b[k] along the rows.
CROTON_API const Op& softmax_with_bias_op();
/// crossentropy_categorical_1hot(p, y): -log(p[i, y[i]]) for p[n,k] and integers y[n]. A label outside
/// 0 … k-1 is an IndexError at run time.
CROTON_API const Op& crossentropy_categorical_1hot_op();
/// crossentropy_categorical_1hot_grad(g, p, y): zeros but for -g[i] / p[i, y[i]].
CROTON_API const Op& crossentropy_categorical_1hot_grad_op();
/// crossentropy_softmax_1hot_with_bias(x, b, y) -> (nll[n], softmax[n,k]): of x + b, without overflow.
CROTON_API const Op& crossentropy_softmax_1hot_with_bias_op();
/// crossentropy_softmax_1hot_with_bias_dx(g, s, y): g[i] * (s[i, j] - (j == y[i])): the gradient of nll with
/// respect to x.
CROTON_API const Op& crossentropy_softmax_1hot_with_bias_dx_op();

/// exp(x) / sum(exp(x)) along `axis`, without overflow. Floating x of any rank but 0 (integers become
/// floatX).
CROTON_API Variable softmax(const Operand& x, int axis = -1);
/// log(softmax(x)), accurate where softmax underflows.
CROTON_API Variable log_softmax(const Operand& x, int axis = -1);
/// p[n,k] (rows that sum to 1) against integer labels y[n]: -log(p[i, y[i]]), shape [n]; against a
/// distribution of p's rank: -sum(y * log(p)) along the last axis. TypeError otherwise.
CROTON_API Variable categorical_crossentropy(const Operand& p, const Operand& y);
/// -(t log(p) + (1 - t) log(1 - p)), elementwise, without clipping.
CROTON_API Variable binary_crossentropy(const Operand& p, const Operand& t);
/// binary_crossentropy(sigmoid(x), t) without overflow.
CROTON_API Variable sigmoid_binary_crossentropy(const Operand& x, const Operand& t);

/// x where x > 0, else alpha * x; the gradient at 0 is alpha (0 by default).
CROTON_API Variable relu(const Operand& x, const Operand& alpha = 0);
CROTON_API Variable leaky_relu(const Operand& x, const Operand& alpha = 0.01);
/// x where x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2015).
CROTON_API Variable elu(const Operand& x, const Operand& alpha = 1);
/// scale * elu(x, alpha) with the self-normalizing constants (Klambauer et al. 2017).
CROTON_API Variable selu(const Operand& x);
/// x / (1 + |x|).
CROTON_API Variable softsign(const Operand& x);
/// clip(0.2 * x + 0.5, 0, 1).
CROTON_API Variable hard_sigmoid(const Operand& x);

}  // namespace croton
