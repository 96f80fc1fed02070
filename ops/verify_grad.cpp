#include "croton/ops/verify_grad.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "croton/graph/error.h"
#include "croton/graph/node.h"
#include "croton/graph/op.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/grad.h"
#include "croton/ops/reduce.h"

namespace croton {

namespace {

/// Step and tolerance by the coarsest dtype of the points.
struct Tolerance {
  double eps;
  double tolerance;
};

Tolerance tolerance_of(const std::vector<Tensor>& points) {
  Tolerance coarsest{1e-7, 1e-4};
  for (const Tensor& point : points) {
    switch (point.dtype()) {
      case DType::float64:
        break;
      case DType::float32:
        coarsest = {std::max(coarsest.eps, 3e-4), std::max(coarsest.tolerance, 1e-2)};
        break;
      case DType::float16:
      case DType::bfloat16:
        coarsest = {1e-1, 5e-2};
        break;
      default:
        throw TypeError(fmt::format("verify_grad takes floating points, got {}", name_of(point.dtype())));
    }
  }
  return coarsest;
}

DType finest(const std::vector<Tensor>& points) {
  DType dtype = points.empty() ? DType::float64 : points[0].dtype();
  for (const Tensor& point : points) dtype = promote(dtype, point.dtype());
  return dtype;
}

/// Where analytic and numeric gradient differ most: the element whose errors lie furthest above both
/// tolerances.
struct Worst {
  double excess = -1;
  std::size_t argument = 0;
  Shape index;
  double analytic = 0, numeric = 0, abs_error = 0, rel_error = 0;
};

Tensor random_projection(const Shape& shape, DType dtype, std::mt19937_64& generator) {
  std::uniform_real_distribution<double> uniform(0.5, 1.5);
  Tensor projection = Tensor::empty(shape, DType::float64);
  for_each_element(projection.elements<double>(), [&](double& x) { x = uniform(generator); });
  return projection.astype(dtype);
}

double cost_value(const Variable& cost, const std::vector<Variable>& inputs,
                  const std::vector<Tensor>& points) {
  std::unordered_map<Variable, Tensor> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) values.emplace(inputs[i], points[i]);
  return evaluate(cost, values).item<double>();
}

}  // namespace

void verify_grad(const std::function<Variable(const std::vector<Variable>&)>& function,
                 const std::vector<Tensor>& points, const VerifyGradOptions& options) {
  const Tolerance allowed = tolerance_of(points);
  const double eps = options.eps.value_or(allowed.eps);
  const double abs_tol = options.abs_tol.value_or(allowed.tolerance);
  const double rel_tol = options.rel_tol.value_or(allowed.tolerance);
  std::vector<Variable> inputs;
  std::unordered_map<Variable, Tensor> values;
  for (std::size_t i = 0; i < points.size(); ++i) {
    // The exact shape is in the type, so that the extents of 1 broadcast as written.
    inputs.push_back(tensor(points[i].dtype(), points[i].shape(), fmt::format("point{}", i)));
    values.emplace(inputs.back(), points[i]);
  }
  const Variable output = function(inputs);
  if (!is_floating(output.dtype())) {
    throw TypeError(fmt::format("verify_grad needs a floating output, got {}", describe(output)));
  }
  const Shape shape = evaluate(output, values).shape();
  std::mt19937_64 generator(options.seed);
  for (int test = 0; test < options.n_tests; ++test) {
    const DType dtype = promote(finest(points), output.dtype());
    const Variable projection = constant(random_projection(shape, dtype, generator));
    const Variable cost = sum(output * projection);
    const std::vector<Tensor> analytic =
        evaluate(grad(cost, inputs, {.disconnected_inputs = DisconnectedInputs::ignore}), values);
    const double at_point = cost_value(cost, inputs, points);
    if (!std::isfinite(at_point))
      throw ValueError(fmt::format("verify_grad: the value at the point is {}", at_point));
    Worst worst;
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (analytic[i].shape() != points[i].shape()) {
        throw GradientError(fmt::format("the gradient for argument {} has the shape {}, the argument {}", i,
                                        to_string(analytic[i].shape()), to_string(points[i].shape())));
      }
      std::vector<Tensor> moved = points;
      const Tensor gradient = analytic[i].astype(DType::float64);
      for_each_index(points[i].shape(), [&](const Shape& index) {
        moved[i] = points[i].copy();
        Tensor element = moved[i];
        for (std::size_t axis = 0; axis < index.size(); ++axis) element = element.select(0, index[axis]);
        const double before = element.item<double>();
        element.fill(Tensor(before + eps));
        const double step = element.item<double>() - before;  // what the dtype made of eps
        const double numeric = (cost_value(cost, inputs, moved) - at_point) / step;
        const double exact = gradient.at<double>(index);
        const double abs_error = std::abs(exact - numeric);
        const double rel_error = abs_error / std::max(std::abs(exact) + std::abs(numeric), 1e-8);
        if (!std::isfinite(abs_error)) {
          throw ValueError(
              fmt::format("verify_grad: argument {} at {}: the gradient is {}, the difference quotient {}", i,
                          to_string(index), exact, numeric));
        }
        const double excess = std::min(abs_error / abs_tol, rel_error / rel_tol);
        if (excess > worst.excess) worst = {excess, i, index, exact, numeric, abs_error, rel_error};
      });
    }
    if (worst.excess > 1) {
      throw GradientError(fmt::format(
          "the gradient differs from finite differences at argument {}, element {}: {} instead of "
          "{}\n  absolute error {} (allowed {}), relative error {} (allowed {}), step {}\n  "
          "argument {} is\n{}",
          worst.argument, to_string(worst.index), worst.analytic, worst.numeric, worst.abs_error, abs_tol,
          worst.rel_error, rel_tol, eps, worst.argument, to_string(points[worst.argument])));
    }
  }
}

}  // namespace croton
