#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "croton/ops/blas.h"
#include "croton/ops/composite.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/fused_body.h"
#include "croton/optimizer/fusion_groups.h"
#include "croton/optimizer/passes.h"

// The gradients of a layer with few inputs or outputs are sums over all points: of the rows of d, the
// gradient by its activations, for the bias; of x[i, k] d[i, :] for few k; of h[i, :] g[i, k] for those of
// the next layer. Each by itself would pass over a matrix of points times units, and d would be written for
// them.

namespace croton {

namespace {

constexpr std::int64_t most_thin_sums = 4;        // of a product
constexpr std::size_t most_shared_sums = 8;       // together
constexpr std::int64_t least_rows = 256;          // that are added up
constexpr std::int64_t least_elements = 1 << 20;  // of the matrix: smaller ones are a matter of launches
constexpr std::size_t most_looked_at = 4096;      // nodes, when asking whether one needs another

/// A node that is sums over the rows of `wide` [rows, columns]: of its rows themselves, or each times an
/// element of a column of `thin` [rows, few].
struct ColumnSums {
  Ref<Node> node;
  Variable wide, thin;           // thin may be absent
  bool thin_first = false;       // thin.T @ wide, not wide.T @ thin
  std::vector<const Node*> via;  // transpositions of the operands that this node reads
};

Variable untransposed(const Variable& v, std::vector<const Node*>& via) {
  const Node* node = node_of(v, &dimshuffle_op());
  if (node == nullptr || shuffle_pattern(*node) != transposition) return {};
  via.push_back(node);
  return node->input(0);
}

bool is_large(const Variable& wide) {
  const Shape& shape = wide.type().shape;
  return shape.is_known() && shape[0] >= least_rows && shape.count() >= least_elements && !wide.is_constant();
}

std::optional<ColumnSums> column_sums(const Ref<Node>& node) {
  const Op& op = node->op();
  ColumnSums sums{node, {}, {}, false, {}};
  if (op.name() == "sum" && as_reduce(op) != nullptr) {
    if (node->input(0).rank() != 2 || reduced_axes(*node) != std::vector<std::int64_t>{0})
      return std::nullopt;
    sums.wide = node->input(0);
    return is_large(sums.wide) ? std::optional(std::move(sums)) : std::nullopt;
  }
  const bool is_product = &op == &dot22_op() || &op == &dot22_scalar_op() || &op == &gemm_op();
  if (!is_product || has_relu(*node)) return std::nullopt;
  const std::size_t first = &op == &gemm_op() ? 2 : 0;
  const Variable left = untransposed(node->input(first), sums.via), &right = node->input(first + 1);
  if (!left) return std::nullopt;
  sums.thin_first = left.type().shape[1] <= most_thin_sums;
  sums.thin = sums.thin_first ? left : right;
  sums.wide = sums.thin_first ? right : left;
  const std::int64_t few = sums.thin.type().shape[1];
  const bool fits = few >= 1 && few <= most_thin_sums && !sums.thin.is_constant() && is_large(sums.wide);
  return fits ? std::optional(std::move(sums)) : std::nullopt;
}

/// Sums over the rows of matrices of one shape, computed together.
class SharedSums {
 public:
  SharedSums(FunctionGraph& graph, BodyMaker& bodies, std::vector<ColumnSums> members)
      : graph_(graph), bodies_(bodies), members_(std::move(members)) {
    for (const ColumnSums& member : members_) {
      readers_.insert(member.node.get());
      readers_.insert(member.via.begin(), member.via.end());
    }
    for (const ColumnSums& member : members_) take_in(member.wide);
  }

  void compute() {
    std::vector<Variable> terms;
    for (const ColumnSums& member : members_) add_terms(member, terms);
    if (terms.size() > most_shared_sums || inside_.size() > FusionPlan::most_nodes) return;
    std::vector<Variable> inputs;
    const auto is_inside = [&](const Node& node) { return inside_.contains(&node); };
    auto body = bodies_.make(is_inside, terms, nullptr, inputs);
    if (inputs.size() > FusionPlan::most_inputs || needs_a_member(inputs)) return;
    const Ref<Node> sums = make_composite_reduce({std::move(body), "sum", {0}, nullptr}, std::move(inputs),
                                                 members_[0].node->where());
    std::vector<std::pair<Variable, Variable>> pairs;
    std::size_t next = 0;
    for (const ColumnSums& member : members_)
      pairs.emplace_back(member.node->output(), result_of(member, *sums, next));
    graph_.replace_all(pairs, "column_sums");
  }

 private:
  /// Elementwise work on matrices of that shape, from v upwards, that nobody but the sums needs.
  void take_in(const Variable& v) {
    std::vector<Variable> stack = {v};
    while (!stack.empty()) {
      const Variable next = stack.back();
      stack.pop_back();
      const Node& node = *next.node();
      const bool is_wide = is_elementwise(next) && next.type().shape == members_[0].wide.type().shape;
      if (!is_wide || graph_.is_output(next) || inside_.contains(&node)) continue;
      const bool is_ours = std::ranges::all_of(node.uses(), [&](const Use& use) {
        return readers_.contains(use.node) || inside_.contains(use.node);
      });
      if (!is_ours) continue;
      inside_.insert(&node);
      stack.insert(stack.end(), node.inputs().begin(), node.inputs().end());
    }
  }

  void add_terms(const ColumnSums& member, std::vector<Variable>& terms) {
    if (!member.thin) return terms.push_back(member.wide);
    const LocationScope scope(member.node->where());
    const std::int64_t few = member.thin.type().shape[1];
    for (std::int64_t i = 0; i < few; ++i) {
      const Variable factor = few == 1 ? member.thin : member.thin(all, slice(i, i + 1));
      terms.push_back(elementwise("mul", {factor, member.wide}));
      inside_.insert(terms.back().node());
    }
  }

  /// What stands for a member, from the sums from `next` on.
  static Variable result_of(const ColumnSums& member, const Node& sums, std::size_t& next) {
    if (!member.thin) return sums.output(next++);
    const LocationScope scope(member.node->where());
    std::vector<Operand> rows;
    for (std::int64_t i = 0; i < member.thin.type().shape[1]; ++i)
      rows.emplace_back(pad_left(sums.output(next++), 2));
    const Variable stacked = rows.size() == 1 ? rows[0].variable() : join(0, rows);
    return instead_of_product(*member.node, member.thin_first ? stacked : dimshuffle(stacked, transposition));
  }

  /// Whether what the sums read is computed from one of them; yes where that would take long to find out.
  bool needs_a_member(const std::vector<Variable>& inputs) const {
    std::unordered_set<const Node*> members, seen;
    for (const ColumnSums& member : members_) members.insert(member.node.get());
    std::vector<const Node*> stack;
    for (const Variable& input : inputs) stack.push_back(input.node());
    while (!stack.empty()) {
      const Node* node = stack.back();
      stack.pop_back();
      if (members.contains(node) || seen.size() > most_looked_at) return true;
      if (!node->is_apply() || !seen.insert(node).second) continue;
      for (const Variable& input : node->inputs()) stack.push_back(input.node());
    }
    return false;
  }

  FunctionGraph& graph_;
  BodyMaker& bodies_;
  std::vector<ColumnSums> members_;
  std::unordered_set<const Node*> readers_;  // members and their transpositions
  std::unordered_set<const Node*> inside_;   // elementwise nodes that become part of the body
};

/// The matrix and those of its shape that elementwise work makes it of.
std::unordered_set<Variable> matrices_of(const Variable& wide) {
  std::unordered_set<Variable> found;
  std::vector<Variable> stack = {wide};
  while (!stack.empty() && found.size() < FusionPlan::most_nodes) {
    const Variable v = stack.back();
    stack.pop_back();
    if (v.type().shape != wide.type().shape || !found.insert(v).second || !is_elementwise(v)) continue;
    stack.insert(stack.end(), v.node()->inputs().begin(), v.node()->inputs().end());
  }
  return found;
}

/// Nodes whose sums read a matrix in common.
struct Sharing {
  std::vector<Ref<Node>> nodes;
  std::unordered_set<Variable> matrices;
};

/// Large sums on devices, in the order of computation.
std::vector<Sharing> sums_by_matrix(const FunctionGraph& graph) {
  std::vector<Sharing> groups;
  for (Node* node : graph.topological_order()) {
    const bool is_candidate = node->is_apply() && node->output_count() == 1 &&
                              node->type().device.is_cuda() &&
                              (node->type().dtype == DType::float32 || node->type().dtype == DType::float64);
    const auto sums = is_candidate ? column_sums(Ref<Node>(node)) : std::nullopt;
    if (!sums) continue;
    const std::unordered_set<Variable> matrices = matrices_of(sums->wide);
    const auto shared = std::ranges::find_if(groups, [&](const Sharing& group) {
      return std::ranges::any_of(matrices, [&](const Variable& v) { return group.matrices.contains(v); });
    });
    Sharing& group = shared != groups.end() ? *shared : groups.emplace_back();
    group.nodes.emplace_back(node);
    group.matrices.insert(matrices.begin(), matrices.end());
  }
  return groups;
}

}  // namespace

void share_column_sums(FunctionGraph& graph) {
  BodyMaker bodies;
  for (const Sharing& group : sums_by_matrix(graph)) {
    std::vector<ColumnSums> members;
    for (const Ref<Node>& node : group.nodes) {
      if (node->graph() != &graph) continue;  // merged with an equal one
      if (auto sums = column_sums(node)) members.push_back(std::move(*sums));
    }
    if (members.size() > 1) SharedSums(graph, bodies, std::move(members)).compute();
  }
}

}  // namespace croton
