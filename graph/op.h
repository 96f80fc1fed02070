#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "croton/graph/attributes.h"
#include "croton/graph/export.h"
#include "croton/graph/node.h"

namespace croton {

/// The gradient of a cost with respect to one input of a node, as its op answers it.
class CROTON_API InputGradient {
 public:
  enum class Kind : std::uint8_t { value, disconnected, undefined };
  /// A variable of the input's shape and floating dtype.
  InputGradient(Variable value) : kind_(Kind::value), value_(std::move(value)) {}
  /// The cost does not depend on the input (an integer, an index, a shape).
  static InputGradient disconnected() { return InputGradient(Kind::disconnected, ""); }
  /// There is no gradient; grad reports the reason when it is needed.
  static InputGradient undefined(std::string reason) {
    return InputGradient(Kind::undefined, std::move(reason));
  }

  Kind kind() const { return kind_; }
  const Variable& value() const { return value_; }
  const std::string& reason() const { return reason_; }

 private:
  InputGradient(Kind kind, std::string reason) : kind_(kind), reason_(std::move(reason)) {}
  Kind kind_;
  Variable value_;
  std::string reason_;
};

/// A kind of operation: one immutable object for the whole process; what differs from node to node is in the
/// node's attributes. Declares types, gradient, reference value and what the compiler must know.
class CROTON_API Op {
 public:
  /// The name in the text form and in expressions. Registers the op under it.
  explicit Op(std::string_view name);
  virtual ~Op();
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  const std::string& name() const { return name_; }

  /// The output types for these inputs; throws TypeError, ShapeError or ValueError that name the operands.
  /// Sees constant inputs' values through Variable::constant_value(), so that a reshape to a constant shape
  /// has a static type.
  virtual std::vector<TensorType> infer(std::span<const Variable> inputs,
                                        const Attributes& attributes) const = 0;

  /// The slow reference: computes the outputs from host tensors of any strides. Output tensors are new (the
  /// caller takes them as they are). Throws ShapeError or IndexError on run-time mismatches.
  virtual std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const = 0;

  /// One entry an input. `output_gradients` has one entry an output: an empty Variable where the cost does
  /// not depend on that output.
  virtual std::vector<InputGradient> grad(const Node& node, std::span<const Variable> output_gradients) const;
  /// Whether output depends on input in a way that gradients follow. Default: true.
  virtual bool connected(const Node& node, std::size_t input, std::size_t output) const;

  /// The inputs whose *values* (not only types) decide the outputs' shapes: the shape given to reshape, the
  /// bounds of a slice. With those inputs constant, infer() must answer known extents (for known input
  /// extents). Default: none.
  virtual std::vector<std::size_t> shape_inputs(const Node& node) const;

  /// Pairs (output, input): the output may be written over the input. By default read from the attribute
  /// "inplace" (a flat list output, input, output, input …).
  virtual std::vector<std::pair<int, int>> destroy_map(const Node& node) const;
  /// Pairs (output, input): the output is a view of the input's memory. Default: none.
  virtual std::vector<std::pair<int, int>> view_map(const Node& node) const;
  /// Pairs (output, input) that the in-place pass may put into "inplace" for this node. Default: none.
  virtual std::vector<std::pair<int, int>> inplace_candidates(const Node& node) const;

  /// Where the outputs of a node lie whose data operands lie on `operands`. Default: there too. An op that
  /// answers the host for operands elsewhere looks at their shapes only, unless it is a transfer.
  virtual Device output_device(const Attributes& attributes, Device operands) const;

  /// As debugprint shows the node: "Dot22", "Elemwise{tanh,no_inplace}". Default: the name and the
  /// attributes.
  virtual std::string label(const Node& node) const;
  /// The value may differ between equal nodes or must not be dropped: assertions, prints. Never merged or
  /// folded.
  virtual bool has_side_effect() const { return false; }

 private:
  std::string name_;
};

/// The op of that name, or null.
CROTON_API const Op* find_op(std::string_view name);
/// All registered ops by name.
CROTON_API std::vector<const Op*> all_ops();

/// The output types of an op on these inputs, with where they lie: a node computes on the device of its data
/// operands, to which constants and the inputs that decide shapes do not belong: these stay on the host.
/// Throws TypeError, ShapeError or ValueError.
CROTON_API std::vector<TensorType> infer_types(const Op& op, const std::vector<Variable>& inputs,
                                               const Attributes& attributes);

/// Applies an op: infers and checks the types, records the location (an open LocationScope's first). Errors
/// that infer throws are completed with the op's name and the operands' types, names and lines.
CROTON_API Ref<Node> make_node(const Op& op, std::vector<Variable> inputs, Attributes attributes = {},
                               SourceLocation where = {});
/// The same, for its first output.
CROTON_API Variable apply_op(const Op& op, std::vector<Variable> inputs, Attributes attributes = {},
                             SourceLocation where = {});

/// "x (float32[?,3], made at lenet.cpp:57)": how errors name a variable.
CROTON_API std::string describe(const Variable& variable);

/// How debugprint and errors show a node: Op::label, with Gpu in front where it computes on a device.
CROTON_API std::string node_label(const Node& node);

/// A constant variable.
CROTON_API Variable constant(const Tensor& value, SourceLocation where = {});
/// A 0-d constant of that dtype.
CROTON_API Variable scalar_constant(double value, DType dtype);

}  // namespace croton
