#pragma once

#include <random>
#include <vector>

#include "croton/graph/variable.h"

namespace croton::test {

/// A random expression graph over float64 matrices, rows, columns, vectors and scalars, whose values stay
/// moderate: elementwise ops, reductions, products, layout, indexing, softmax.
struct RandomGraph {
  std::vector<Variable> inputs;
  std::vector<Variable> outputs;
};
/// `known`: extents are in the types (all square: 3), else unknown.
RandomGraph random_graph(std::mt19937_64& random, int nodes, bool known);

}  // namespace croton::test
