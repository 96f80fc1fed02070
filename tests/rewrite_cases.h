#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "croton/graph/function_graph.h"
#include "croton/graph/tensor.h"
#include "croton/optimizer/query.h"

namespace croton::test {

/// One golden case of tests/rewrites/*.txt:
///
///     === name of the case
///     inputs x: matrix, y: float32[3,?]
///     excluding fusion            a query's words, optional; so including, requiring
///     specialized                 specialize() too; without it only optimize()
///     device cuda                 specialize() for that device, optional; ops that it has no code for behind
///                                 it. A library does all that may stand behind products there
///     values 0.1 3                the interval that inputs are drawn from when values are compared, optional
///     log(1 + exp(x))             an expression; a tuple gives several outputs
///     ---
///     graph (…) { … }             what it becomes
struct RewriteCase {
  std::string name;
  std::vector<std::string> head;  // the lines before ---, as they stand
  std::string inputs;
  std::string expression;
  Query query;
  bool specialized = false;
  Device device;
  std::vector<std::string> without;  // names of ops
  double low = -2;
  double high = 2;
  std::string expected;
};

/// The cases of a file; lines before the first are its comment.
struct RewriteFile {
  std::string path;
  std::string comment;
  std::vector<RewriteCase> cases;
};
RewriteFile read_rewrites(const std::string& path);
void write_rewrites(const RewriteFile& file);

/// Values of these types, drawn from an interval; unknown extents become 3. Integers lie in 0 … 2.
std::unordered_map<Variable, Tensor> random_values(std::span<const Variable> inputs, double low, double high,
                                                   std::mt19937_64& random);
/// The same values for the variables of a graph made of these inputs.
std::unordered_map<Variable, Tensor> values_for(const FunctionGraph& graph, std::span<const Variable> inputs,
                                                const std::unordered_map<Variable, Tensor>& values);

}  // namespace croton::test
