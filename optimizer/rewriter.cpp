#include "croton/optimizer/rewriter.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <limits>
#include <unordered_map>

#include "croton/graph/error.h"
#include "croton/graph/message.h"

namespace croton {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t few_clients = 32;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A bit for each node, by its id: the nodes of a graph were made around the same time. One that is older
/// than the graph has none and is always clear.
class NodeFlags {
 public:
  explicit NodeFlags(const FunctionGraph& graph) {
    for (const Ref<Node>& node : graph.nodes()) first_ = std::min(first_, node->id());
  }
  bool test_and_set(const Node& node) {
    if (node.id() < first_) return false;
    const std::size_t at = index(node);
    if (at >= flags_.size()) flags_.resize(std::max(at + 1, 2 * flags_.size()), false);
    const bool was = flags_[at];
    flags_[at] = true;
    return was;
  }
  void clear(const Node& node) {
    if (node.id() >= first_) flags_[index(node)] = false;
  }

 private:
  std::size_t index(const Node& node) const { return static_cast<std::size_t>(node.id() - first_); }
  std::uint64_t first_ = std::numeric_limits<std::uint64_t>::max();
  std::vector<bool> flags_;
};

/// The nodes to look at; told by the graph what changes.
class Worklist final : public GraphListener {
 public:
  Worklist(FunctionGraph& graph, int depth) : graph_(graph), depth_(depth), waiting_(graph) {
    graph_.add_listener(this);
  }
  ~Worklist() override { graph_.remove_listener(this); }

  void add(Node& node) {
    if (!node.is_apply() || waiting_.test_and_set(node)) return;
    queue_.emplace_back(&node);
  }

  Ref<Node> take() {
    while (!queue_.empty()) {
      Ref<Node> node = std::move(queue_.front());
      queue_.pop_front();
      waiting_.clear(*node);
      if (node->graph() == &graph_) return node;
    }
    return {};
  }

  void on_import(Node& node) override { add(node); }

  // A pattern that ends at this node may begin at its clients and theirs.
  void on_change_input(Node& node, std::size_t) override { add_upwards(node, depth_); }

  // What has fewer clients than before may now be taken over by the one that remains.
  void on_prune(Node& node) override {
    for (const Variable& input : node.inputs()) {
      if (graph_.client_count(input) > 2) continue;
      for (const Use& use : input.node()->uses(input.output_index())) {
        if (use.node != &node) add_upwards(*use.node, depth_ - 1);
      }
    }
  }

 private:
  void add_upwards(Node& node, int levels) {
    std::vector<Node*> level{&node};
    for (; levels > 0 && !level.empty(); --levels) {
      std::vector<Node*> above;
      for (Node* at : level) {
        add(*at);
        for (std::size_t i = 0; i < at->output_count(); ++i) {
          // Far clients of what many use are left to the next sweep: work stays in proportion.
          if (at->uses(i).size() > few_clients) continue;
          for (const Use& use : at->uses(i)) above.push_back(use.node);
        }
        if (above.size() > few_clients) break;
      }
      level = std::move(above);
    }
  }

  FunctionGraph& graph_;
  int depth_;
  std::deque<Ref<Node>> queue_;
  NodeFlags waiting_;
};

class Rewriter {
 public:
  Rewriter(FunctionGraph& graph, const std::vector<const Rule*>& rules, OptimizerReport::Phase& report,
           const RewriteOptions& options)
      : graph_(graph), rules_(rules), report_(report), options_(options), stopped_(rules.size(), false) {
    for (const Rule* rule : rules) report_.rules.push_back({rule->name(), 0, 0});
  }

  /// One visit of every node, and of those that change meanwhile. Answers whether anything changed.
  bool sweep() {
    const std::uint64_t before = graph_.change_count();
    largest_ = std::max(largest_, graph_.apply_count());
    int depth = 1;
    for (const Rule* rule : rules_) depth = std::max(depth, rule->depth());
    Worklist worklist(graph_, depth);
    for (Node* node : graph_.topological_order()) worklist.add(*node);
    while (const Ref<Node> node = worklist.take()) visit(*node);
    return graph_.change_count() != before;
  }

 private:
  const std::vector<std::size_t>& candidates(const Op& op) {
    const auto [entry, first] = index_.try_emplace(&op);
    if (first) {
      for (std::size_t i = 0; i < rules_.size(); ++i) {
        if (rules_[i]->may_apply_to(op)) entry->second.push_back(i);
      }
    }
    return entry->second;
  }

  void visit(Node& node) {
    ++report_.visits;
    for (std::size_t i : candidates(node.op())) {
      if (stopped_[i] || !rules_[i]->may_match(node)) continue;
      if (!try_rule(i, node)) continue;
      count(i);
      if (node.graph() != &graph_) return;
    }
  }

  bool try_rule(std::size_t i, Node& node) {
    const Rule& rule = *rules_[i];
    const LocationScope scope(node.where());  // what the rule makes belongs to the user's line
    Match match(graph_, node);
    std::vector<std::pair<Variable, Variable>> pairs;
    try {
      const Replacement replacement = rule.apply(match);
      if (replacement.empty()) return false;
      for (std::size_t i = 0; i < replacement.outputs().size(); ++i) {
        const Variable& made = replacement.outputs()[i];
        if (made && !(made == node.output(i))) pairs.emplace_back(node.output(i), made);
      }
      for (auto& pair : match.more()) pairs.push_back(std::move(pair));
    } catch (const Error& error) {
      fail(rule, node, error);
      return false;
    }
    if (pairs.empty()) return false;
    const Clock::time_point start = Clock::now();
    if (options_.verbose) announce(rule, pairs);
    const std::uint64_t before = graph_.change_count();
    graph_.replace_all(pairs, rule.name());
    report_.rules[i].seconds += seconds_since(start);
    return graph_.change_count() != before;
  }

  /// Called from a handler.
  void fail(const Rule& rule, const Node& node, const Error& error) const {
    if (options_.on_error == OnOptError::ignore) return;
    const std::string text =
        fmt::format("the rewrite {} failed on {}: {}", rule.name(), describe(node.output()), error.what());
    if (options_.on_error == OnOptError::raise) throw InternalError(text);
    warn_once(text +
              fmt::format("\n  it is left out there; this is a bug in the rewrite "
                          "(optimizer_excluding={} leaves it out everywhere, on_opt_error=raise stops here)",
                          rule.name()));
  }

  void announce(const Rule& rule, const std::vector<std::pair<Variable, Variable>>& pairs) const {
    const auto label = [](const Variable& v) {
      return v.node()->is_apply() ? node_label(*v.node()) : describe(v);
    };
    for (const auto& [old, made] : pairs) {
      send_message(Severity::info,
                   fmt::format("{}: {} ({}) -> {}", report_.name, label(old), rule.name(), label(made)));
    }
  }

  void count(std::size_t i) {
    largest_ = std::max(largest_, graph_.apply_count());
    const std::uint64_t limit = options_.applications_per_node * (largest_ + 100);
    if (++report_.rules[i].applications < limit) return;
    stopped_[i] = true;
    send_message(
        Severity::warning,
        fmt::format("the rewrite {} was stopped after {} applications in phase {} to a graph of {} nodes: it "
                    "would not have come to an end (this is a bug in Croton: please report it; "
                    "optimizer_excluding={} avoids it)",
                    rules_[i]->name(), report_.rules[i].applications, report_.name, graph_.apply_count(),
                    rules_[i]->name()));
  }

  FunctionGraph& graph_;
  const std::vector<const Rule*>& rules_;
  OptimizerReport::Phase& report_;
  RewriteOptions options_;
  std::vector<bool> stopped_;
  std::unordered_map<const Op*, std::vector<std::size_t>> index_;
  std::size_t largest_ = 0;
};

}  // namespace

void rewrite(FunctionGraph& graph, const std::vector<const Rule*>& rules, OptimizerReport::Phase& report,
             const RewriteOptions& options) {
  const Clock::time_point start = Clock::now();
  report.nodes_before = graph.apply_count();
  Rewriter rewriter(graph, rules, report, options);
  while (rewriter.sweep()) {
  }
  report.nodes_after = graph.apply_count();
  report.seconds += seconds_since(start);
}

}  // namespace croton
