#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "croton/graph/op.h"
#include "croton/graph/subgraph.h"

namespace croton {

/// `Composite`: the attribute "body", a graph over 0-d inputs made of elementwise nodes and 0-d constants,
/// applied to every element of inputs that broadcast as an elementwise node's do. Several outputs allowed.
CROTON_API const Op& composite_op();

/// A Composite node: `body`'s inputs stand for `inputs` by position.
CROTON_API Ref<Node> make_composite(std::shared_ptr<const Subgraph> body, std::vector<Variable> inputs,
                                    SourceLocation where = {});

/// `CompositeReduce`: a reduction with what was fused into it. Attributes: "body" (a graph like a Composite's
/// from the elements of the full inputs to one or more values), "op" (sum, prod, max, min), "axes" (sorted,
/// dropped), and "epilogue" (optional: such a graph from the reduced values, then the extra inputs, to the
/// outputs; absent: the reduced values are the outputs). The node's inputs are the body's, of the full rank,
/// then the epilogue's extra ones, of the reduced rank. A reduced value has the dtype that the reduction of
/// that name gives.
CROTON_API const Op& composite_reduce_op();

struct CompositeReduce {
  std::shared_ptr<const Subgraph> body;
  std::string op;
  std::vector<std::int64_t> axes;
  std::shared_ptr<const Subgraph> epilogue;  // may be null
};
CROTON_API Ref<Node> make_composite_reduce(const CompositeReduce& parts, std::vector<Variable> inputs,
                                           SourceLocation where = {});
/// The parts of a CompositeReduce node.
CROTON_API CompositeReduce composite_reduce_parts(const Node& node);

/// "tanh((i0 + i1))": the body as debugprint shows it; several outputs in brackets.
CROTON_API std::string composite_text(const Subgraph& body);

}  // namespace croton
