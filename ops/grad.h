#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <utility>
#include <vector>

#include "croton/graph/tensor.h"
#include "croton/graph/variable.h"

namespace croton {

/// What grad does with a variable that the cost does not depend on.
enum class DisconnectedInputs : std::uint8_t {
  raise,   // DisconnectedInputError
  warn,    // zeros, and a message to the sink
  ignore,  // zeros
};

struct GradOptions {
  /// Gradients do not flow into these.
  std::vector<Variable> consider_constant = {};
  DisconnectedInputs disconnected_inputs = DisconnectedInputs::raise;
  /// Gradients that are known: they replace what would be computed at these variables. With an empty cost
  /// they are all there is: grad(none, x, {.known_grads = {{y, gy}}}).
  std::vector<std::pair<Variable, Variable>> known_grads = {};
};

/// The cost of grad: a floating scalar, or `none` when known_grads say all.
class CROTON_API Cost {
 public:
  Cost(NoneType) {}
  Cost(const Variable& variable) : variable_(variable) {}
  const Variable& variable() const { return variable_; }

 private:
  Variable variable_;
};

/// The gradient of the scalar `cost` with respect to each of `wrt`, of its shape; floating always: an integer
/// variable is taken as a real number, and nothing flows through integers that were computed. Named
/// "(dcost/dx)" where both have names. TypeError for a cost that is no floating scalar,
/// DisconnectedInputError, NullTypeGradError where an op on the way has no gradient. The graph made is linear
/// in the size of the one traversed.
CROTON_API std::vector<Variable> grad(const Cost& cost, const std::vector<Variable>& wrt,
                                      const GradOptions& options = {},
                                      std::source_location where = std::source_location::current());
CROTON_API Variable grad(const Cost& cost, const Variable& wrt, const GradOptions& options = {},
                         std::source_location where = std::source_location::current());
/// `auto [gW, gb] = grad(cost, {W, b});`
template <std::size_t N>
std::array<Variable, N> grad(const Cost& cost, const Variable (&wrt)[N], const GradOptions& options = {},
                             std::source_location where = std::source_location::current()) {
  std::vector<Variable> gradients = grad(cost, std::vector<Variable>(wrt, wrt + N), options, where);
  std::array<Variable, N> result;
  for (std::size_t i = 0; i < N; ++i) result[i] = std::move(gradients[i]);
  return result;
}

/// v^T J: the gradients of sum(f * v) over all pairs, without building that cost.
CROTON_API std::vector<Variable> Lop(const std::vector<Variable>& f, const std::vector<Variable>& wrt,
                                     const std::vector<Variable>& v, const GradOptions& options = {},
                                     std::source_location where = std::source_location::current());
CROTON_API Variable Lop(const Variable& f, const Variable& wrt, const Variable& v,
                        const GradOptions& options = {},
                        std::source_location where = std::source_location::current());

// x itself, with another gradient:

/// none: what lies behind is disconnected.
CROTON_API Variable disconnected_grad(const Operand& x);
/// zeros.
CROTON_API Variable zero_grad(const Operand& x);
/// cut to [low, high], element by element.
CROTON_API Variable grad_clip(const Operand& x, double low, double high);
/// times `factor`.
CROTON_API Variable grad_scale(const Operand& x, double factor);

}  // namespace croton
