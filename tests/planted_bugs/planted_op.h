#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "croton/codegen/own_lowering.h"
#include "croton/graph/op.h"

namespace planted {

/// What a step of a planted op works on.
struct Memory {
  std::span<const croton::Layout> inputs, outputs;
  void* const* buffers;
  float* input(std::size_t i) const { return static_cast<float*>(buffers[i]); }
  float* output(std::size_t i = 0) const { return static_cast<float*>(buffers[inputs.size() + i]); }
};

/// An op made of its parts, some of which are wrong.
struct Parts {
  std::string name;
  /// Default: the type of input 0.
  std::function<std::vector<croton::TensorType>(std::span<const croton::Variable>)> infer;
  std::function<std::vector<croton::Tensor>(std::span<const croton::Tensor>)> evaluate;
  std::function<std::vector<croton::InputGradient>(const croton::Node&, std::span<const croton::Variable>)>
      grad;
  /// Absent: the reference evaluator runs.
  std::function<void(const Memory&)> step;
  croton::LowerNode lower;
  std::vector<std::pair<int, int>> inplace_candidates;
};

/// The op of that name, made once.
const croton::Op& planted_op(const Parts& parts);

/// Elements of a float32 tensor in C order, and back.
std::vector<float> floats(const croton::Tensor& tensor);
croton::Tensor map(const croton::Tensor& x, const std::function<float(float)>& f);

}  // namespace planted
