#include "croton/runtime/debugprint_function.h"

#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

#include "croton/graph/function_graph.h"

namespace croton {

namespace {

/// In larger graphs only a node's own time is shown: what all the nodes need together would take their
/// square.
constexpr std::size_t most_cumulated = 4000;

class Timings {
 public:
  Timings(const FunctionGraph& graph, std::unordered_map<const Node*, double> seconds)
      : seconds_(std::move(seconds)), has_sums_(graph.apply_count() <= most_cumulated) {
    for (const auto& [node, time] : seconds_) total_ += time;
  }
  bool empty() const { return seconds_.empty() || total_ <= 0; }

  std::string text(const Variable& v) const {
    if (v.node()->is_leaf()) return {};
    const double own = own_seconds(*v.node());
    std::string text = fmt::format(" --> {:.2e}s {:.1f}%", own, 100 * own / total_);
    if (!has_sums_) return text;
    double sum = 0;
    std::vector<const Node*> stack{v.node()};
    std::unordered_set<const Node*> seen{v.node()};
    while (!stack.empty()) {
      const Node& node = *stack.back();
      stack.pop_back();
      sum += own_seconds(node);
      for (const Variable& input : node.inputs()) {
        if (input.node()->is_apply() && seen.insert(input.node()).second) stack.push_back(input.node());
      }
    }
    return text + fmt::format(" {:.2e}s {:.1f}%", sum, 100 * sum / total_);
  }

  std::string preamble() const {
    return fmt::format(
        "Timing Info\n-----------\n--> <time> <% time>{}\n'<time>' is that of the node in all calls, '<% "
        "time>' its "
        "share of {:.2e}s{}\n\n",
        has_sums_ ? " <total time> <% total time>" : "", total_,
        has_sums_ ? ";\n'<total time>' is that of the node and all that it needs" : "");
  }

 private:
  double own_seconds(const Node& node) const {
    const auto entry = seconds_.find(&node);
    return entry == seconds_.end() ? 0 : entry->second;
  }
  std::unordered_map<const Node*, double> seconds_;
  double total_ = 0;
  bool has_sums_;
};

std::string text_of(const Function& function, const FunctionGraph& graph, const DebugprintOptions& options) {
  const Timings timings(graph, function.node_seconds());
  const auto places = options.print_storage ? function.places() : std::unordered_map<Variable, std::string>();
  DebugprintOptions more = options;
  more.annotate = [&](const Variable& v) {
    std::string text = options.annotate ? options.annotate(v) : std::string();
    if (const auto place = places.find(v); place != places.end()) text += " " + place->second;
    if (!timings.empty()) text += timings.text(v);
    return text;
  };
  return (timings.empty() ? "" : timings.preamble()) + debugprint_text(graph, more);
}

std::string text_of(const Function& function, const std::shared_ptr<const FunctionGraph>& planned,
                    const DebugprintOptions& options) {
  return planned ? text_of(function, *planned, options) : debugprint_text(function.graph(), options);
}

}  // namespace

void debugprint(const Function& function, const DebugprintOptions& options) {
  write_debugprint(text_of(function, function.plan_graph(), options), options);
}

void debugprint(const Function& function, std::span<const Shape> shapes, const DebugprintOptions& options) {
  write_debugprint(text_of(function, function.plan_graph(shapes), options), options);
}

void debugprint(const Function& function, std::initializer_list<Shape> shapes,
                const DebugprintOptions& options) {
  debugprint(function, std::span<const Shape>(shapes.begin(), shapes.size()), options);
}

std::string debugprint_text(const Function& function, const DebugprintOptions& options) {
  return text_of(function, function.plan_graph(), options);
}

}  // namespace croton
