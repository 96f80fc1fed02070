#include "graph_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_map>

#include <croton/graph/debugprint.h>
#include <croton/graph/op.h>
#include <croton/graph/shared_variable.h>
#include <croton/graph/subgraph.h>
#include <croton/graph/text.h>
#include <croton/graph/text_form.h>

namespace {

using nlohmann::ordered_json;

ordered_json type_json(const croton::TensorType& type) {
  ordered_json shape = ordered_json::array();
  for (const std::int64_t extent : type.shape) {
    if (extent == croton::unknown) {
      shape.push_back(nullptr);
    } else {
      shape.push_back(extent);
    }
  }
  return {{"dtype", croton::name_of(type.dtype)}, {"shape", std::move(shape)}};
}

ordered_json value_json(const croton::AttributeValue& value) {
  return std::visit(
      [](const auto& held) -> ordered_json {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, croton::DType>) {
          return croton::name_of(held);
        } else if constexpr (std::is_same_v<T, std::shared_ptr<const croton::Subgraph>>) {
          return croton::to_text(croton::TextGraph{"", held->inputs(), held->outputs()});
        } else {
          return held;
        }
      },
      value);
}

ordered_json map_json(const std::vector<std::pair<int, int>>& pairs) {
  ordered_json map = ordered_json::array();
  for (const auto& [output, input] : pairs) map.push_back({{"output", output}, {"input", input}});
  return map;
}

class Writer {
 public:
  ordered_json write(const croton::FunctionGraph& graph, const std::string& name) {
    ordered_json nodes = ordered_json::array();
    for (const croton::Variable& input : graph.inputs()) refer(input);
    std::size_t position = 0;
    for (croton::Node* node : graph.topological_order()) nodes.push_back(node_json(*node, position++));
    ordered_json inputs = ordered_json::array(), outputs = ordered_json::array();
    for (const croton::Variable& input : graph.inputs()) inputs.push_back(refer(input));
    for (const croton::Variable& output : graph.outputs()) outputs.push_back(refer(output));
    return {{"name", name},
            {"inputs", std::move(inputs)},
            {"leaves", std::move(leaves_)},
            {"nodes", std::move(nodes)},
            {"outputs", std::move(outputs)}};
  }

 private:
  std::string refer(const croton::Variable& v) {
    const auto [entry, first] = ids_.try_emplace(v);
    if (!first) return entry->second;
    entry->second = fmt::format("x{}", leaves_.size());  // nodes are numbered before they are used
    leaves_.push_back({{"id", entry->second},
                       {"kind", v.is_constant() ? "constant"
                                : v.is_shared() ? "shared"
                                                : "input"},
                       {"name", v.name()},
                       {"text", croton::leaf_text(v)},
                       {"type", type_json(v.type())}});
    return entry->second;
  }

  ordered_json node_json(croton::Node& node, std::size_t position) {
    ordered_json inputs = ordered_json::array(), outputs = ordered_json::array();
    for (const croton::Variable& input : node.inputs()) inputs.push_back(refer(input));
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      const std::string id = i == 0 ? fmt::format("n{}", position) : fmt::format("n{}.{}", position, i);
      ids_.emplace(node.output(i), id);
      outputs.push_back({{"id", id}, {"name", node.name(i)}, {"type", type_json(node.type(i))}});
    }
    ordered_json attributes = ordered_json::object();
    for (const auto& [key, value] : node.attributes()) attributes[key] = value_json(value);
    ordered_json rewrites = ordered_json::array();
    for (const std::string_view rule : node.rewrites()) rewrites.push_back(std::string(rule));
    return {{"op", node.op().name()},
            {"label", croton::node_label(node)},
            {"inputs", std::move(inputs)},
            {"outputs", std::move(outputs)},
            {"attributes", std::move(attributes)},
            {"destroys", map_json(node.op().destroy_map(node))},
            {"views", map_json(node.op().view_map(node))},
            {"made_at", to_string(node.where())},
            {"rewrites", std::move(rewrites)}};
  }

  std::unordered_map<croton::Variable, std::string> ids_;
  ordered_json leaves_ = ordered_json::array();
};

}  // namespace

std::string graph_json(const croton::FunctionGraph& graph, const std::string& name) {
  return Writer().write(graph, name).dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}
