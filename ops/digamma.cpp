#include <cmath>
#include <limits>
#include <numbers>

#include "croton/ops/elementwise_reference.h"

namespace croton::reference {

double digamma(double x) {
  if (std::isnan(x) || x == std::numeric_limits<double>::infinity()) return x;
  if (x == 0) return std::copysign(std::numeric_limits<double>::infinity(), -x);
  if (x < 0) {
    if (x == std::floor(x)) return std::numeric_limits<double>::quiet_NaN();
    // The fraction keeps the argument of the tangent small.
    const double fraction = x - std::floor(x);
    return digamma(1 - x) - std::numbers::pi / std::tan(std::numbers::pi * fraction);
  }
  double below = 0;
  for (; x < 10; ++x) below -= 1 / x;
  const double s = 1 / (x * x);
  const double series =
      s *
      (1.0 / 12 -
       s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * (1.0 / 132 - s * (691.0 / 32760 - s / 12))))));
  return below + std::log(x) - 0.5 / x - series;
}

}  // namespace croton::reference
