#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "croton/graph/attributes.h"
#include "croton/graph/export.h"
#include "croton/graph/op.h"

namespace croton {

/// What a rule looks for and what it puts in its place: a tree of ops over wildcards, written as an
/// expression: `log(exp(x))`. Rules use it with `using namespace pattern`.
namespace pattern {

inline constexpr int max_slots = 8;

/// Stands for the value of an attribute: the same wherever it occurs in a rule.
struct AttributeWildcard {
  int slot;
};

struct AttributePattern {
  std::string name;
  std::variant<AttributeWildcard, AttributeValue> value;
};

struct PatternNode;

/// A handle on an immutable pattern.
class Pattern {
 public:
  /// A constant all of whose elements are this number; where it is built it takes its partners' dtype.
  Pattern(double literal);
  template <std::integral T>
  Pattern(T literal) : Pattern(static_cast<double>(literal)) {}
  explicit Pattern(PatternNode node);

  const PatternNode& operator*() const { return *node_; }
  const PatternNode* operator->() const { return node_.get(); }

 private:
  std::shared_ptr<const PatternNode> node_;
};

struct PatternNode {
  enum class Kind : std::uint8_t {
    variable,  // anything; a second occurrence must be the same variable
    constant,  // a constant all of whose elements are equal
    literal,
    apply,
  };
  Kind kind = Kind::variable;
  int slot = 0;
  double literal = 0;
  const Op* op = nullptr;
  std::vector<Pattern> children;
  std::vector<AttributePattern> attributes;  // those not named may be anything
  /// The operands may come in any order; with `variadic` there may be more of them.
  bool commutative = false;
  bool variadic = false;
  int depth = 0;  // of apply nodes
};

/// As mathematics: "log((x * exp(y)))". Wildcards for variables are x, y, z, w, those for constants c, d.
std::string to_string(const Pattern& pattern);

/// The application of the op of that name; its order-freedom comes from the elementwise table.
Pattern apply(std::string_view op, std::vector<Pattern> children,
              std::vector<AttributePattern> attributes = {});
CROTON_API Pattern variable(int slot);
CROTON_API Pattern constant(int slot);

inline const Pattern x = variable(0);
inline const Pattern y = variable(1);
inline const Pattern z = variable(2);
inline const Pattern w = variable(3);
inline const Pattern c = constant(4);
inline const Pattern d = constant(5);
/// The axes of a reduction; the axis of a softmax.
inline constexpr AttributeWildcard axes{0};
inline constexpr AttributeWildcard axis{1};

#define CROTON_PATTERN_1(name) \
  inline Pattern name(const Pattern& a) { return apply(#name, {a}); }
#define CROTON_PATTERN_2(name) \
  inline Pattern name(const Pattern& a, const Pattern& b) { return apply(#name, {a, b}); }

CROTON_PATTERN_1(neg)
CROTON_PATTERN_1(reciprocal)
CROTON_PATTERN_1(sqr)
CROTON_PATTERN_1(sqrt)
CROTON_PATTERN_1(abs)
CROTON_PATTERN_1(sgn)
CROTON_PATTERN_1(exp)
CROTON_PATTERN_1(exp2)
CROTON_PATTERN_1(expm1)
CROTON_PATTERN_1(log)
CROTON_PATTERN_1(log2)
CROTON_PATTERN_1(log10)
CROTON_PATTERN_1(log1p)
CROTON_PATTERN_1(sin)
CROTON_PATTERN_1(cos)
CROTON_PATTERN_1(tan)
CROTON_PATTERN_1(sinh)
CROTON_PATTERN_1(cosh)
CROTON_PATTERN_1(tanh)
CROTON_PATTERN_1(arcsin)
CROTON_PATTERN_1(arccos)
CROTON_PATTERN_1(arctan)
CROTON_PATTERN_1(arcsinh)
CROTON_PATTERN_1(arccosh)
CROTON_PATTERN_1(arctanh)
CROTON_PATTERN_1(erf)
CROTON_PATTERN_1(erfc)
CROTON_PATTERN_1(sigmoid)
CROTON_PATTERN_1(softplus)
CROTON_PATTERN_1(floor)
CROTON_PATTERN_1(ceil)
CROTON_PATTERN_1(trunc)
CROTON_PATTERN_1(round)
CROTON_PATTERN_1(invert)
CROTON_PATTERN_1(identity)
CROTON_PATTERN_2(add)
CROTON_PATTERN_2(sub)
CROTON_PATTERN_2(mul)
CROTON_PATTERN_2(true_div)
CROTON_PATTERN_2(floor_div)
CROTON_PATTERN_2(mod)
CROTON_PATTERN_2(pow)
CROTON_PATTERN_2(maximum)
CROTON_PATTERN_2(minimum)
CROTON_PATTERN_2(logaddexp)
CROTON_PATTERN_2(lt)
CROTON_PATTERN_2(le)
CROTON_PATTERN_2(gt)
CROTON_PATTERN_2(ge)
CROTON_PATTERN_2(eq)
CROTON_PATTERN_2(neq)
CROTON_PATTERN_2(and_)
CROTON_PATTERN_2(or_)
CROTON_PATTERN_2(xor_)
CROTON_PATTERN_2(second)
CROTON_PATTERN_2(dot)
CROTON_PATTERN_2(softmax_with_bias)
#undef CROTON_PATTERN_1
#undef CROTON_PATTERN_2

inline Pattern switch_(const Pattern& condition, const Pattern& a, const Pattern& b) {
  return apply("switch", {condition, a, b});
}
inline Pattern sum(const Pattern& a, AttributeWildcard over) { return apply("sum", {a}, {{"axes", over}}); }
inline Pattern max(const Pattern& a, AttributeWildcard over) { return apply("max", {a}, {{"axes", over}}); }
inline Pattern min(const Pattern& a, AttributeWildcard over) { return apply("min", {a}, {{"axes", over}}); }
inline Pattern softmax(const Pattern& a, AttributeWildcard along) {
  return apply("softmax", {a}, {{"axis", along}});
}
inline Pattern log_softmax(const Pattern& a, AttributeWildcard along) {
  return apply("log_softmax", {a}, {{"axis", along}});
}

inline Pattern operator+(const Pattern& a, const Pattern& b) { return add(a, b); }
inline Pattern operator-(const Pattern& a, const Pattern& b) { return sub(a, b); }
inline Pattern operator*(const Pattern& a, const Pattern& b) { return mul(a, b); }
inline Pattern operator/(const Pattern& a, const Pattern& b) { return true_div(a, b); }
inline Pattern operator-(const Pattern& a) { return neg(a); }

}  // namespace pattern
}  // namespace croton
