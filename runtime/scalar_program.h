#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "croton/graph/function_graph.h"
#include "croton/graph/shared_variable.h"
#include "croton/ops/elementwise.h"

namespace croton {

/// Small integer arithmetic on the scalar arguments of a call, run before anything else: the numbers that
/// decide shapes (the bounds of slices). A register machine over the references of elementwise rows; runs in
/// nanoseconds and allocates nothing.
class ScalarProgram {
 public:
  using Register = std::uint32_t;
  static constexpr std::size_t most_registers = 512;

  /// `graph`'s inputs and shared variables are what the program may read.
  explicit ScalarProgram(const FunctionGraph& graph);

  /// The register that will hold an integer (or bool) scalar; nothing when it does not follow from small
  /// arguments by elementwise arithmetic.
  std::optional<Register> add(const Variable& scalar);
  /// The registers of the elements of an integer scalar or vector.
  std::optional<std::vector<Register>> add_elements(const Variable& variable);

  /// Fills `registers` (at most most_registers of them; values as int64). `inputs` (host
  /// tensors) and `shared` (locked) are in the graph's order.
  void run(const Tensor* const* inputs, SharedCell* const* shared, std::int64_t* registers) const;

 private:
  struct Load {
    bool is_shared;
    std::uint32_t argument;
    std::int64_t element;
    DType dtype;
    Register to;
  };
  struct Operation {
    ElementwiseLoop loop;  // null: a conversion of the first operand
    DType dtype;           // of the last input
    DType from;            // of the first input
    DType result;
    std::uint8_t count;
    Register operands[3];
    Register to;
  };
  Register constant(std::int64_t value);
  std::optional<Register> leaf(const Variable& variable, std::int64_t element);
  std::optional<Register> apply(const Node& node, std::span<const Register> operands);

  std::unordered_map<Variable, std::pair<bool, std::uint32_t>> arguments_;
  std::unordered_map<Variable, Register> known_;
  std::vector<std::int64_t> constants_;  // the first value of every register
  std::vector<Load> loads_;
  std::vector<Operation> operations_;
};

}  // namespace croton
