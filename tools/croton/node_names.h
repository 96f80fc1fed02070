#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <croton/graph/debugprint.h>
#include <croton/graph/function_graph.h>

/// The nodes of a graph under the names and ids that debugprint shows.
class NodeNames {
 public:
  explicit NodeNames(const croton::FunctionGraph& graph);

  /// The variable that somebody calls "hidden", "[@C]", "@C", "C", "[id C]" or "7" (the position in the order
  /// of execution). Names of variables go before ids. ValueError, with the nearest names, where there is
  /// none.
  croton::Variable find(std::string_view wanted) const;
  /// "[@C]".
  std::string id(const croton::Node& node) const;
  /// "[@C] Softmax 'p'".
  std::string title(const croton::Variable& variable) const;
  const std::vector<croton::Node*>& order() const { return order_; }

 private:
  const croton::FunctionGraph& graph_;
  std::vector<croton::Node*> order_;
  croton::DebugprintDone ids_;
};
