#pragma once

#include <cstdint>
#include <vector>

#include "croton/graph/tensor.h"
#include "croton/graph/text_form.h"

namespace croton {

/// A graph and the values that it goes wrong on; below, the smaller ones that are made of it.
struct BisectCase {
  TextGraph graph;
  std::vector<Tensor> inputs;
};

/// The same with inputs in the place of shared variables.
BisectCase case_without_shared(const BisectCase& from);
/// Only the inputs that the outputs need.
BisectCase trimmed_case(const BisectCase& from);
/// Inputs in the place of computed variables.
BisectCase cut_case(const BisectCase& from, const std::vector<Variable>& variables);
/// Every axis of that extent is cut to its first elements.
BisectCase sliced_case(const BisectCase& from, std::int64_t extent, std::int64_t kept);

}  // namespace croton
