#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/op.h"
#include "croton/ops/scalar_builder.h"

namespace croton {

/// How an elementwise node's inputs and output relate in dtype. The user-level functions insert the casts;
/// the nodes themselves are strict.
enum class DTypeRule : std::uint8_t {
  same,       // inputs of one dtype, which is the output's
  number,     // as same, but not bool, which becomes int8
  no_bool,    // as same; bool is a TypeError
  floating,   // inputs of one floating dtype (integers become floatX), which is the output's
  predicate,  // inputs of one dtype, the output is bool
  bitwise,    // inputs of one discrete dtype, which is the output's
  shift,      // inputs of one integer dtype (bool becomes int8), which is the output's
  select,     // a bool, then inputs of one dtype, which is the output's
  second,     // two inputs of any dtypes, the output has the second's
  cast,       // one input of any dtype, the output has that of the attribute "dtype"
};

/// Facts that rewrites may use.
enum ElementwiseTrait : std::uint32_t {
  commutative = 1u << 0,
  associative = 1u << 1,
  idempotent = 1u << 2,             // f(f(x)) = f(x) for unary rows, f(x, x) = x for binary ones
  involution = 1u << 3,             // f(f(x)) = x
  increasing = 1u << 4,             // monotone in its input: max(f(x)) = f(max(x))
  even_function = 1u << 5,          // f(-x) = f(x)
  odd_function = 1u << 6,           // f(-x) = -f(x)
  zero_gradient = 1u << 7,          // piecewise constant
  costly = 1u << 8,                 // worth computing once: transcendental
  disconnected_gradient = 1u << 9,  // no gradient passes, though the values do
};

/// Where the tests draw an argument from; for integers the interval is cut to the dtype's range.
struct Domain {
  double low = -10;
  double high = 10;
};

/// One element run of the reference: out[i] = f(in[0][i], in[1][i], …). `steps` are bytes from element to
/// element; `out` is contiguous.
using ElementwiseLoop = void (*)(DType dtype, std::int64_t n, const std::byte* const* in,
                                 const std::int64_t* steps, std::byte* out);

/// One elementwise operation: everything the layers know about it.
struct ElementwiseRow {
  /// In C++, in the text form and in expressions.
  std::string_view name;
  /// How debugprint spells it inside a Composite: "({0} + {1})". Empty: as a call of the name. Variadic rows
  /// are spelled for two operands.
  std::string print = {};
  /// The number of inputs; the least number where variadic.
  int arity = 1;
  bool variadic = false;
  DTypeRule rule = DTypeRule::same;
  std::uint32_t traits = 0;
  /// CPU code; the inputs are as the rule demands. Variadic rows are called with pairs, from the left.
  ScalarValue (*lower)(ScalarBuilder& b, std::span<const ScalarValue> in, DType out) = nullptr;
  /// CUDA C++ text: {0}, {1}, … stand for the operands, {T} for the result's type. Empty: a call of the name.
  std::string cuda = {};
  /// The reference, called with the dtype of the last input; null where the op only moves values (cast,
  /// second). Variadic rows are called with pairs.
  ElementwiseLoop reference = nullptr;
  /// The terms for the inputs, before they are summed over broadcast axes; null: no gradient (its output is
  /// discrete). An empty Variable stands for zeros.
  std::vector<Variable> (*gradient)(const Node& node, const Variable& gy) = nullptr;
  /// One sentence for the reference page.
  std::string_view doc = {};
  /// One for each input; the last one holds for those that follow.
  std::vector<Domain> domain = {{}};

  bool has(ElementwiseTrait trait) const { return (traits & trait) != 0; }
};

/// An op that works element by element over inputs of equal rank. An axis broadcasts where its static extent
/// is 1, never because of what it turns out to be at run time. Rows live in elementwise_table.cpp.
class CROTON_API ElementwiseOp final : public Op {
 public:
  explicit ElementwiseOp(ElementwiseRow row);
  const ElementwiseRow& row() const { return row_; }

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override;
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override;
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override;
  bool connected(const Node& node, std::size_t input, std::size_t output) const override;
  std::vector<std::pair<int, int>> inplace_candidates(const Node& node) const override;
  std::string label(const Node& node) const override;

  /// The reference on tensors that already have one shape (strides of 0 allowed); `out` is the result's
  /// dtype.
  Tensor evaluate_same_shape(std::span<const Tensor> inputs, DType out) const;

 private:
  ElementwiseRow row_;
};

/// All rows in the order of the table.
CROTON_API std::span<const ElementwiseOp* const> elementwise_ops();
/// The row of that name, or null.
CROTON_API const ElementwiseOp* find_elementwise(std::string_view name);
/// The op as an elementwise one, or null. Composite is none.
CROTON_API const ElementwiseOp* as_elementwise(const Op& op);

/// Applies a row as the C++ functions do: weak literals take the dtype of their partners, integers become
/// floating where the row wants that, shorter shapes are padded on the left. TypeError, ShapeError;
/// ValueError for an integer literal that does not fit.
CROTON_API Variable apply_elementwise(const ElementwiseOp& op, std::span<const Operand> operands);
CROTON_API Variable apply_elementwise(std::string_view name, std::initializer_list<Operand> operands);

/// Operands as one dtype and rank, as apply_elementwise makes them: for ops of several floating operands.
CROTON_API std::vector<Variable> promote_operands(std::span<const Operand> operands, bool floating);
/// A weak literal becomes a 0-d constant of `dtype`; any other operand is cast to it when it differs.
CROTON_API Variable as_dtype(const Operand& operand, DType dtype);
/// The dtype that operands promote to, weak literals giving way to the others.
CROTON_API DType promoted_dtype(std::span<const Operand> operands);
/// What a tensor that is fed to an op without dtype of its own becomes: int64 for integers, floatX, bool.
CROTON_API Variable as_variable(const Operand& operand);

/// The static type that elementwise inputs of equal rank broadcast to, in its extents. ShapeError.
CROTON_API Shape broadcast_types(std::span<const Variable> inputs);
/// The run-time shape of an elementwise (or Composite) node as its *static* input types allow: an extent of 1
/// broadcasts only where the type says 1. ShapeError otherwise, in Theano's words, with how to declare it.
/// Whoever narrows types to run-time shapes must ask this on the node as it was before.
CROTON_API Shape broadcast_shape(const Node& node, std::span<const Shape> shapes);
/// Sums `gradient` over the axes along which `input` was broadcast: it gets the input's shape.
CROTON_API Variable sum_to(const Variable& gradient, const Variable& input);
/// Pairs (output, input) of equal dtype where the input is not broadcast: an elementwise node may write
/// there.
CROTON_API std::vector<std::pair<int, int>> elementwise_inplace_candidates(const Node& node);

}  // namespace croton
