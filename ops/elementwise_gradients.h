#pragma once

#include <cstddef>
#include <vector>

#include "croton/ops/elementwise.h"
#include "croton/ops/elementwise_functions.h"

/// The gradient columns of the elementwise table: terms for the inputs, each of the output's shape; an empty
/// Variable stands for zeros.
namespace croton::gradients {

using X = const Variable&;
using Terms = std::vector<Variable>;
using Gradient = std::vector<Variable> (*)(const Node&, const Variable&);

/// f(x, y, gy) with y = the node's output.
template <class F>
constexpr Gradient unary_gradient(F) {
  return [](const Node& node, X gy) { return Terms{F{}(node.input(0), node.output(), gy)}; };
}
/// f(a, b, y, gy) gives the terms of a and b.
template <class F>
constexpr Gradient binary_gradient(F) {
  return [](const Node& node, X gy) { return F{}(node.input(0), node.input(1), node.output(), gy); };
}

inline Terms of_add(const Node& node, X gy) { return Terms(node.input_count(), gy); }

/// gy times the other factors: products of those before and of those after, so that n factors take 3 n
/// products.
inline Terms of_mul(const Node& node, X gy) {
  const std::size_t n = node.input_count();
  Terms terms(n);
  Variable before = gy;
  for (std::size_t i = 0; i < n; ++i) {
    terms[i] = before;
    if (i + 1 < n) before = before * node.input(i);
  }
  Variable after = node.input(n - 1);
  for (std::size_t i = n - 1; i-- > 0;) {
    terms[i] = terms[i] * after;
    if (i > 0) after = node.input(i) * after;
  }
  return terms;
}

/// The term of a constant exponent is never asked for: its logarithm would only be built to be dropped.
inline Terms of_pow(const Node& node, X gy) {
  const Variable &a = node.input(0), &b = node.input(1);
  Terms terms{gy * b * pow(a, b - 1), Variable()};
  if (!b.is_constant()) terms[1] = switch_(eq(a, 0), 0, gy * node.output() * log(a));
  return terms;
}

/// Of maximum and minimum: each input where it is the output and none before it is.
inline Terms of_extremum(const Node& node, X gy) {
  const std::size_t n = node.input_count();
  if (n == 2) {
    const Variable &a = node.input(0), &b = node.input(1);
    const bool largest = node.op().name() == "maximum";
    return {switch_(largest ? a >= b : a <= b, gy, 0), switch_(largest ? a < b : a > b, gy, 0)};
  }
  Terms terms(n);
  Variable left = gy;
  for (std::size_t i = 0; i < n; ++i) {
    const Variable chosen = eq(node.input(i), node.output());
    terms[i] = switch_(chosen, left, 0);
    if (i + 1 < n) left = switch_(chosen, 0, left);
  }
  return terms;
}

inline Terms of_clip(const Node& node, X gy) {
  const Variable &x = node.input(0), &low = node.input(1), &high = node.input(2);
  const Variable below = x < low;
  return {switch_((x >= low) & (x <= high), gy, 0), switch_(below, gy, 0),
          switch_(below, 0, switch_(x > high, gy, 0))};
}

inline Terms of_switch(const Node& node, X gy) {
  const Variable& condition = node.input(0);
  return {Variable(), switch_(condition, gy, 0), switch_(condition, 0, gy)};
}

inline Terms of_second(const Node&, X gy) { return {Variable(), gy}; }

/// An integer input gets the gradient of the real number that it stands for.
inline Terms of_cast(const Node& node, X gy) {
  const DType from = node.input(0).dtype();
  return {is_floating(from) ? cast(gy, from) : gy};
}

inline Terms of_grad_clip(const Node& node, X gy) {
  return {clip(gy, node.attributes().get<double>("low"), node.attributes().get<double>("high"))};
}
inline Terms of_grad_scale(const Node& node, X gy) { return {gy * node.attributes().get<double>("factor")}; }

}  // namespace croton::gradients
