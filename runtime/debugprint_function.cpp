#include "croton/runtime/debugprint_function.h"

#include "croton/graph/function_graph.h"

namespace croton {

void debugprint(const Function& function, const DebugprintOptions& options) {
  const auto planned = function.plan_graph();
  debugprint(planned ? *planned : function.graph(), options);
}

void debugprint(const Function& function, std::span<const Shape> shapes, const DebugprintOptions& options) {
  const auto planned = function.plan_graph(shapes);
  debugprint(planned ? *planned : function.graph(), options);
}

void debugprint(const Function& function, std::initializer_list<Shape> shapes,
                const DebugprintOptions& options) {
  debugprint(function, std::span<const Shape>(shapes.begin(), shapes.size()), options);
}

std::string debugprint_text(const Function& function, const DebugprintOptions& options) {
  const auto planned = function.plan_graph();
  return debugprint_text(planned ? *planned : function.graph(), options);
}

}  // namespace croton
