#include <cmath>

#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

using namespace pattern;

bool is_power_of_two(double value) {
  int exponent = 0;
  return std::abs(std::frexp(value, &exponent)) == 0.5 && std::abs(exponent) < 100;
}

/// A quotient by a constant costs more than a product.
Replacement multiply_by_reciprocal(Match& match) {
  const Variable& divisor = match[c];
  const Variable factor = uniform_constant(1 / match.value(c), divisor.dtype(), divisor.rank());
  return fit(elementwise("mul", {match[x], factor}), match.node().type(), match.node().inputs());
}

/// x^n for small whole n as products.
Replacement multiply_out(Match& match) {
  const double exponent = match.value(c);
  const double n = std::abs(exponent);
  const Variable& base = match[x];
  if (n != std::floor(n) || n < 2 || n > 8 || (exponent < 0 && !is_floating(base.dtype())))
    return match.refuse("the exponent is no whole number from 2 to 8 (or negative, of an integer)");
  Variable power = base, product;
  for (int rest = static_cast<int>(n); rest > 0; rest /= 2) {
    if (rest % 2 == 1) product = product ? elementwise("mul", {product, power}) : power;
    if (rest > 1) power = elementwise("sqr", {power});
  }
  return fit(exponent < 0 ? elementwise("reciprocal", {product}) : product, match.node().type(),
             match.node().inputs());
}

/// x * x = sqr(x), among other factors too.
Replacement square(Match& match) {
  const Node& node = match.node();
  std::vector<Variable> factors(node.inputs().begin(), node.inputs().end());
  if (is_bool(node.type().dtype) || factors.size() > 32)
    return match.refuse("the factors are bool, or more than 32");
  for (std::size_t i = 0; i < factors.size(); ++i) {
    for (std::size_t j = i + 1; j < factors.size(); ++j) {
      if (!(factors[i] == factors[j])) continue;
      factors[i] = elementwise("sqr", {factors[i]});
      factors.erase(factors.begin() + static_cast<std::ptrdiff_t>(j));
      return factors.size() == 1 ? factors[0] : elementwise("mul", factors);
    }
  }
  return match.refuse("no factor occurs twice");
}

}  // namespace

const RuleSet& power_rules() {
  static const RuleSet rules = {
      rule("pow_half", pow(x, 0.5), sqrt(x)).when(floating(x)).assumes_finite().on(0.1, 3),
      rule("pow_minus_half", pow(x, -0.5), reciprocal(sqrt(x))).when(floating(x)).assumes_finite().on(0.1, 3),
      rule("pow_minus_one", pow(x, -1), reciprocal(x)).when(floating(x)),
      rule("pow_whole", pow(x, c), multiply_out).reassociates(),
      // Roots are rounded as the standard says and cost less.
      rule("pow_quarter", pow(x, 0.25), sqrt(sqrt(x))).when(floating(x)).reassociates().on(0.1, 3),
      rule("pow_minus_quarter", pow(x, -0.25), reciprocal(sqrt(sqrt(x))))
          .when(floating(x))
          .reassociates()
          .on(0.1, 3),
      rule("pow_three_quarters", pow(x, 0.75), sqrt(x) * sqrt(sqrt(x)))
          .when(floating(x))
          .reassociates()
          .on(0.1, 3),
      rule("pow_minus_three_quarters", pow(x, -0.75), reciprocal(sqrt(x) * sqrt(sqrt(x))))
          .when(floating(x))
          .reassociates()
          .on(0.1, 3),
      rule("square", Roots("mul"), square).reassociates(),
      rule("div_by_power_of_two", x / c, multiply_by_reciprocal)
          .when({[](const Match& match) { return is_power_of_two(match.value(c)); },
                 "c must be a power of two"}),
      rule("div_by_constant", x / c, multiply_by_reciprocal).when(nonzero(c)).reassociates(),
      rule("reciprocal_from_quotient", 1 / x, reciprocal(x)),
  };
  return rules;
}

}  // namespace croton
