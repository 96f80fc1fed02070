#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "croton/graph/function_graph.h"
#include "croton/graph/shared_variable.h"
#include "croton/ops/indexing.h"
#include "croton/runtime/scalar_program.h"

namespace croton {

/// Integers that tell plans of one shape signature apart. Kept in place while there are few.
class ExtentKey {
 public:
  void push_back(std::int64_t value) {
    if (size_ < few) {
      in_place_[size_++] = value;
      return;
    }
    if (size_++ == few) many_.assign(in_place_, in_place_ + few);
    many_.push_back(value);
  }
  std::span<const std::int64_t> values() const { return {size_ > few ? many_.data() : in_place_, size_}; }

 private:
  static constexpr std::size_t few = 64;
  std::int64_t in_place_[few];
  std::vector<std::int64_t> many_;
  std::size_t size_ = 0;
};

/// The extents of a typed graph (inputs and shared variables of known shapes) that depend on the values of a
/// call: x[a:b], reshapes to a given shape, arange(n). Of a slice only the extent counts, so that
/// x[i*n:(i+1)*n] has one key for all i.
class Extents {
 public:
  /// `function`: what is told where values have to be copied from a device.
  Extents(const FunctionGraph& typed, std::string function);

  /// All shapes follow from those of the arguments.
  bool empty() const { return nodes_.empty(); }
  /// The numbers that decide the extents of this call. Cheap when they follow from scalar arguments by
  /// elementwise arithmetic, else the reference evaluator computes what they depend on, from values that are
  /// copied to the host where they lie on a device. `inputs` and `shared` (locked) are in the graph's order.
  void find(const Tensor* const* inputs, SharedCell* const* shared, ExtentKey& key) const;
  /// A copy of the typed graph in which those extents are known.
  std::unique_ptr<FunctionGraph> resolve(const Tensor* const* inputs, SharedCell* const* shared) const;

 private:
  struct Source {  // of a number: a register, or an element of something evaluated
    bool evaluated = false;
    std::uint32_t index = 0;
  };
  struct SlicedAxis {
    IndexEntry entry;
    std::size_t axis = 0;
    std::int64_t extent = 0;
    bool step_counts = false;
  };
  struct ValueNode {
    const Node* node = nullptr;
    std::vector<Source> sources;
    std::vector<SlicedAxis> axes;  // empty: every number is part of the key
  };

  /// Shapes alone decide it: those of the arguments, and what stands in the key already.
  bool follows_from_shapes(const Variable& variable) const;
  void add(const Node& node);
  std::vector<Source> sources_of(const Variable& variable);
  std::vector<Tensor> evaluate(std::span<const Variable> variables, const Tensor* const* inputs,
                               SharedCell* const* shared) const;

  const FunctionGraph& typed_;
  const std::string function_;
  std::unordered_set<const Node*> of_shapes_;  // whose results follow from shapes
  ScalarProgram program_;
  std::vector<Variable> evaluated_;  // what the program cannot compute
  std::vector<ValueNode> nodes_;
};

/// The values of a call by variable, for the reference evaluator.
std::unordered_map<Variable, Tensor> values_of_call(const FunctionGraph& graph, const Tensor* const* inputs,
                                                    SharedCell* const* shared);

}  // namespace croton
