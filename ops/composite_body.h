#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/attributes.h"
#include "croton/graph/node.h"
#include "croton/graph/subgraph.h"
#include "croton/graph/tensor.h"
#include "croton/graph/type.h"

namespace croton {

/// The graph of that attribute. TypeError when there is none.
std::shared_ptr<const Subgraph> body_of(const Attributes& attributes, std::string_view name);
/// TypeError unless the graph is made of elementwise nodes and 0-d constants over 0-d inputs of the dtypes of
/// what stands for them.
void check_body(const Subgraph& body, std::span<const Variable> inputs, std::string_view name);
void check_body_types(const Subgraph& body, std::span<const TensorType> inputs, std::string_view name);
/// The outputs of the graph, each of `shape`, to which the inputs broadcast.
std::vector<Tensor> evaluate_body(const Subgraph& body, std::span<const Tensor> inputs, const Shape& shape);

/// A scalar as bodies print it: True, 3, 0.5.
std::string scalar_text(const Tensor& value);
/// "(a + b)", "tanh(a)": an elementwise node with `operands` as the texts of its inputs. A variadic row is
/// spelled pair after pair.
std::string elementwise_text(const Node& node, std::span<const std::string> operands);

}  // namespace croton
