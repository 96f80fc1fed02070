#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "croton/graph/function_graph.h"
#include "croton/graph/variable.h"

namespace croton {

/// A graph as the text form holds it: a name (may be empty), inputs in order, outputs in order, shared
/// variables with their new values. A variable among the inputs cuts the graph there, whatever computes it.
struct CROTON_API TextGraph {
  std::string name;
  std::vector<Variable> inputs;
  std::vector<Variable> outputs;
  std::vector<std::pair<Variable, Variable>> updates = {};

  /// The outputs, then the new values: all that is computed.
  std::vector<Variable> results() const;
};

struct TextOptions {
  /// Shared variables with their present values; otherwise only with their types.
  bool shared_values = false;
  /// `at "lenet.cpp":57` behind each node made at a known line.
  bool locations = false;
  /// The rewrites that made a node, as a comment behind it.
  bool rewrites = false;
  /// Constants of at most so many elements are written where they are used, others before the first node.
  int inline_elements = 8;
};

/// The graph as text that parse_graph reads back to an equal one; docs/text_form.md has the grammar.
CROTON_API std::string to_text(const TextGraph& graph, const TextOptions& options = {});
CROTON_API std::string to_text(const FunctionGraph& graph, std::string name = {},
                               const TextOptions& options = {});
/// What `outputs` need; the inputs in the order in which a walk from the outputs meets them.
CROTON_API std::string to_text(const std::vector<Variable>& outputs, const TextOptions& options = {});
CROTON_API TextGraph text_graph(const std::vector<Variable>& outputs);
CROTON_API TextGraph text_graph(const FunctionGraph& graph, std::string name = {});
/// The graph with each input that something computes replaced by a fresh one.
CROTON_API TextGraph cut_at_inputs(const TextGraph& graph);

struct ParseOptions {
  /// What errors and the locations of nodes call the text.
  std::string file = "graph";
  /// A constant or a shared variable that would take more bytes is refused.
  std::int64_t most_bytes = std::int64_t{1} << 32;
};

/// Reads one graph. Types behind a node may be left out, they are inferred then; written ones are checked
/// against what the op infers and kept. A shared variable without a value gets a cell that holds an undefined
/// tensor until set_value. Throws ParseError: file, line and column, what is wrong, the line and a caret.
CROTON_API TextGraph parse_graph(std::string_view text, const ParseOptions& options = {});

/// What is compared besides structure: ops, attributes, types, wiring, constants by their bytes.
struct GraphEquality {
  /// The names of inputs, shared variables and outputs.
  bool names = true;
  /// The names of all other variables, too.
  bool inner_names = false;
  /// The values of shared variables where both sides have one.
  bool shared_values = false;
};

/// Where two graphs differ first, in words; nothing where they are equal.
CROTON_API std::optional<std::string> graph_difference(const TextGraph& a, const TextGraph& b,
                                                       const GraphEquality& what = {});
CROTON_API bool equal_graphs(const TextGraph& a, const TextGraph& b, const GraphEquality& what = {});

}  // namespace croton
