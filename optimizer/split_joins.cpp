#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "croton/graph/op.h"
#include "croton/ops/indexing.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/match.h"
#include "croton/optimizer/passes.h"

// Elementwise work on shifted windows of a join, as a local response norm has it:
//
//     y = x * (1 + a * (j[:, 0:n] + j[:, 1:n+1] + …)) ** -b,  j = join(zeros, sqr(x), zeros)
//
// reads and writes the join for nothing. Cut where a window passes from one part of the join to the next,
// every piece of y needs slices of the parts only; their elementwise work, sqr here, is done again in the
// piece.

namespace croton {

namespace {

// Less is not worth the launches of the pieces.
constexpr std::int64_t least_joined_elements = 1 << 18;
constexpr std::size_t most_pieces = 12;
constexpr std::size_t most_work_nodes = 64;

struct JoinWindow {
  Node* node = nullptr;  // a subtensor of the join
  std::int64_t start = 0;
};

class JoinSplitter {
 public:
  JoinSplitter(FunctionGraph& graph, Node& join) : graph_(graph), join_(join) {}

  void split() {
    axis_ = static_cast<std::size_t>(join_.attributes().get<std::int64_t>("axis"));
    if (join_.type().shape.count() < least_joined_elements || !find_windows() || !find_work()) return;
    extent_ = sink_->type().shape[axis_];
    const std::set<std::int64_t> cuts = find_cuts();
    if (cuts.size() < 2 || cuts.size() - 1 > most_pieces) return;
    std::vector<Variable> pieces;
    for (auto end = std::next(cuts.begin()); end != cuts.end(); ++end) {
      begin_ = *std::prev(end);
      end_ = *end;
      made_.clear();
      pieces.push_back(piece(sink_->output()));
    }
    const Variable whole(make_node(join_op(), std::move(pieces),
                                   Attributes().with("axis", static_cast<std::int64_t>(axis_)),
                                   sink_->where()));
    graph_.replace(sink_->output(), whole, "split_joins");
  }

 private:
  /// All that use the join are windows: slices with step 1 along its axis, whole along the others.
  bool find_windows() {
    if (graph_.is_output(join_.output())) return false;
    for (const Use& use : join_.uses()) {
      if (&use.node->op() != &subtensor_op() || use.slot != 0 || graph_.is_output(use.node->output()))
        return false;
      const auto selection = static_selection(*use.node, join_.type().shape);
      if (!selection) return false;
      for (std::size_t i = 0; i < selection->size(); ++i) {
        const AxisSelection& axis = (*selection)[i];
        if (axis.dropped || axis.step != 1) return false;
        if (i != axis_ && (axis.start != 0 || axis.extent != join_.type().shape[i])) return false;
      }
      windows_.push_back({use.node, (*selection)[axis_].start});
    }
    return windows_.size() > 1;
  }

  /// The elementwise nodes that need a window; one of them alone is needed by others, or by many.
  bool find_work() {
    std::vector<Node*> found;
    const Shape& shape = windows_[0].node->type().shape;
    const auto add_users = [&](const Node& node) {
      for (const Use& use : node.uses()) {
        const bool fits = is_elementwise(use.node->output()) && use.node->output_count() == 1 &&
                          use.node->type().shape == shape;
        if (!fits) return false;
        if (work_.insert(use.node).second) found.push_back(use.node);
      }
      return true;
    };
    for (const JoinWindow& window : windows_) {
      if (!(window.node->type().shape == shape) || !add_users(*window.node)) return false;
    }
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found.size() > most_work_nodes) return false;
      const bool ends = graph_.is_output(found[i]->output()) || !all_elementwise_users(*found[i], shape);
      if (!ends) {
        add_users(*found[i]);
        continue;
      }
      if (sink_ != nullptr) return false;
      sink_ = found[i];
    }
    return sink_ != nullptr;
  }
  static bool all_elementwise_users(const Node& node, const Shape& shape) {
    return std::ranges::all_of(node.uses(), [&](const Use& use) {
      return is_elementwise(use.node->output()) && use.node->output_count() == 1 &&
             use.node->type().shape == shape;
    });
  }

  std::set<std::int64_t> find_cuts() const {
    std::set<std::int64_t> cuts = {0, extent_};
    std::int64_t boundary = 0;
    for (const Variable& part : join_.inputs()) {
      for (const JoinWindow& window : windows_) {
        const std::int64_t at = boundary - window.start;
        if (at > 0 && at < extent_) cuts.insert(at);
      }
      boundary += part.type().shape[axis_];
    }
    return cuts;
  }

  Variable slice_of(const Variable& v, std::int64_t begin, std::int64_t end) const {
    if (v.type().shape[axis_] == 1 && extent_ != 1) return v;  // broadcast
    if (begin == 0 && end == v.type().shape[axis_]) return v;
    std::vector<Subscript> index(axis_, Subscript(all));
    index.emplace_back(slice(begin, end));
    return v.index(index);
  }

  /// The window's elements [begin_, end_), which lie in one part of the join.
  Variable part_of(std::int64_t start) const {
    std::int64_t boundary = 0;
    const std::int64_t begin = start + begin_, end = start + end_;
    for (const Variable& part : join_.inputs()) {
      const std::int64_t extent = part.type().shape[axis_];
      if (begin < boundary + extent) return part_slice(part, begin - boundary, end - boundary);
      boundary += extent;
    }
    return slice_of(join_.output(), begin, end);  // of no elements
  }

  Variable part_slice(const Variable& part, std::int64_t begin, std::int64_t end) const {
    if (const std::optional<double> number = uniform(part))
      return uniform_constant(*number, part.dtype(), part.rank());
    const Node& node = *part.node();
    if (!is_elementwise(part) || node.output_count() != 1) return slice_of(part, begin, end);
    std::vector<Variable> inputs;
    for (const Variable& input : node.inputs()) {
      const bool is_broadcast = input.type().shape[axis_] == 1 && part.type().shape[axis_] != 1;
      inputs.push_back(is_broadcast || input.is_constant() ? input : slice_of(input, begin, end));
    }
    return Variable(make_node(node.op(), std::move(inputs), node.attributes(), node.where()));
  }

  /// The number that fills an allocation.
  static std::optional<double> uniform(const Variable& part) {
    if (!part.node()->is_apply() || &part.node()->op() != &alloc_op()) return std::nullopt;
    const Variable* value = &part.node()->input(0);
    if (value->node()->is_apply() && value->node()->input_count() == 1 && value->rank() == 0)
      value = &value->node()->input(0);  // copied to the device
    return value->is_constant() ? uniform_value(*value) : std::nullopt;
  }

  Variable piece(const Variable& v) {
    const Node& node = *v.node();
    const auto window = std::ranges::find(windows_, v.node(), &JoinWindow::node);
    if (window != windows_.end()) return part_of(window->start);
    if (!work_.contains(v.node()))
      return v.is_constant() && v.type().shape[axis_] == 1 ? v : slice_of(v, begin_, end_);
    if (const auto entry = made_.find(v); entry != made_.end()) return entry->second;
    std::vector<Variable> inputs;
    for (const Variable& input : node.inputs()) inputs.push_back(piece(input));
    const Variable result(make_node(node.op(), std::move(inputs), node.attributes(), node.where()));
    made_.emplace(v, result);
    return result;
  }

  FunctionGraph& graph_;
  Node& join_;
  std::size_t axis_ = 0;
  std::int64_t extent_ = 0;
  std::vector<JoinWindow> windows_;
  std::unordered_set<const Node*> work_;
  Node* sink_ = nullptr;
  std::int64_t begin_ = 0, end_ = 0;  // of the piece that is made
  std::unordered_map<Variable, Variable> made_;
};

}  // namespace

void split_joins(FunctionGraph& graph) {
  std::vector<Ref<Node>> found;
  for (const Ref<Node>& node : graph.nodes()) {
    if (node->is_apply() && &node->op() == &join_op() && node->type().device.is_cuda()) found.push_back(node);
  }
  // By age, so that two compilations of one graph make their nodes in the same order.
  std::ranges::sort(found, {}, [](const Ref<Node>& node) { return node->id(); });
  for (const Ref<Node>& node : found) JoinSplitter(graph, *node).split();
}

}  // namespace croton
