#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <unordered_map>
#include <vector>

#include "croton/graph/function_graph.h"
#include "croton/graph/variable.h"

namespace croton {

/// How debugprint tells nodes apart: "[@A]", "[id A]" (letters A … Z, BA, BB, …), "[@0]", nothing.
enum class DebugprintIds : std::uint8_t { at, id, number, none };

/// What was printed already, to give to several calls: their ids go on, and a node printed by an earlier call
/// shows without its operands. Keeps the nodes alive.
using DebugprintDone = std::unordered_map<Variable, std::string>;

struct DebugprintOptions {
  /// Levels to print; -1 for all.
  int depth = -1;
  /// " <TensorType(float32, matrix)>" behind the id.
  bool print_type = false;
  DebugprintIds ids = DebugprintIds::at;
  /// Do not go below a computed variable that has a name.
  bool stop_on_name = false;
  /// "d={0: [1]}": output 0 is written over input 1.
  bool print_destroy_map = false;
  /// "v={0: [0]}": output 0 is a view of input 0.
  bool print_view_map = false;
  /// " by a, b" at the end of a line: the rewrites that made the node, oldest first.
  bool print_rewrites = false;
  /// " (500, 784)" behind the id, "?" for an extent that is not known.
  bool print_shape = false;
  /// " clients:[[Dot22 [@C] 1], [output 0]]" behind variables with several clients, in a function graph: the
  /// node and the operand that it is there.
  bool print_clients = false;
  /// " arena+128", " shared 0", " result 1": where the value lies while a function that has run runs again;
  /// of functions only.
  bool print_storage = false;
  /// What fused nodes compute, below the tree: each line begins with " >", an inner input shows what it
  /// stands for ("i0 [@F] -> [@C]").
  bool print_inner_graphs = false;
  /// Escape sequences for a terminal.
  bool color = false;
  /// More to print at the end of a variable's line.
  std::function<std::string(const Variable&)> annotate = {};
  DebugprintDone* done = nullptr;
  /// Where to print; standard output when null.
  std::ostream* file = nullptr;
};

// Prints what computes the variables as a tree, a line each variable, Theano's layout:
//   <tree><op>[.<output>] <id>[ <type>][ <shape>] '<name>' <destroy map> <view map> <position>[ <more>]
// The position is that in the order in which a function graph computes; variables that are not in one have
// none. A node that was printed before shows without its operands. From 500 levels on the tree in front is
// the number of the level.

/// ValueError for a depth below -1.
CROTON_API void debugprint(const Variable& variable, const DebugprintOptions& options = {});
CROTON_API void debugprint(const std::vector<Variable>& variables, const DebugprintOptions& options = {});
/// The outputs of the graph.
CROTON_API void debugprint(const FunctionGraph& graph, const DebugprintOptions& options = {});

/// The same as text.
CROTON_API std::string debugprint_text(const std::vector<Variable>& variables,
                                       const DebugprintOptions& options = {});
CROTON_API std::string debugprint_text(const FunctionGraph& graph, const DebugprintOptions& options = {});

/// Writes a text where the options say.
CROTON_API void write_debugprint(const std::string& text, const DebugprintOptions& options);

/// How debugprint and errors show a leaf: its name, else "TensorConstant{0.5}",
/// "<TensorType(float32, matrix)>".
CROTON_API std::string leaf_text(const Variable& leaf);

}  // namespace croton
