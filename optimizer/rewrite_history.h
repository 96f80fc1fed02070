#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "croton/optimizer/optimizer.h"

namespace croton {

/// One application of a rule or of a pass.
struct CROTON_API RewriteRecord {
  std::string phase = {};
  std::string rule = {};
  /// Both sides as mathematics, cut where they meet the rest of the graph; what has no name there is #1, #2,
  /// …
  std::string before = {}, after = {};
  /// "#1 = Dot22(x, W)": what the numbers stand for.
  std::vector<std::string> definitions = {};
  /// The user's lines that made what was replaced, the root's first.
  std::vector<std::string> lines = {};
  /// The names of the variables that were in the graph before and are not any more.
  std::vector<std::string> gone = {};
  /// Of a convolution: every candidate with its answer (ConvChoice::text()).
  std::string choice = {};

  /// Several lines for people, indented by that many blanks behind the first.
  std::string text(std::size_t indent = 4) const;
};

/// Records all that the optimizer does to a graph, so that one can ask afterwards where a node comes from.
/// Keep it through optimize() and specialize(); where the graph is copied in between (with_types), tell it by
/// follow().
class CROTON_API RewriteHistory final : public OptimizerObserver {
 public:
  explicit RewriteHistory(Query query) : query_(std::move(query)) {}

  const std::vector<RewriteRecord>& records() const { return records_; }
  /// The phases that ran, in order.
  const std::vector<std::string>& phases() const { return phases_; }
  /// Positions of the records that made the node, oldest first; none for a node as the user built it.
  std::vector<std::size_t> chain(const Node& node) const;
  /// The id of the node that stood where `node` now stands when the phase of that position ended.
  std::uint64_t stood_for(const Node& node, std::size_t phase) const;
  /// `copies`: what with_types said.
  void follow(const std::unordered_map<Variable, Variable>& copies);

  void on_phase_begin(const FunctionGraph& graph, std::string_view phase) override;
  void on_import(Node& node) override;
  void on_prune(Node& node) override;
  void on_change_input(Node& node, std::size_t slot) override;
  void on_replace(std::span<const std::pair<Variable, Variable>> pairs, std::string_view rule) override;
  void on_replaced() override;
  void on_set_attributes(Node& node, std::string_view rule) override;

 private:
  struct Link {
    std::size_t phase = 0;
    std::uint64_t old_node = 0;
    std::optional<std::size_t> previous;  // what made the old node
  };
  std::optional<std::size_t> maker(std::uint64_t node) const;
  void add(RewriteRecord record, const Node& old);

  Query query_;
  std::vector<RewriteRecord> records_;
  std::vector<Link> links_;  // of the records
  std::vector<std::string> phases_;
  std::unordered_map<std::uint64_t, std::size_t> makers_;     // by the id of the node that was made
  std::unordered_map<std::uint64_t, std::uint64_t> origins_;  // of copies
  bool is_open_ = false;
  bool has_changed_ = false;
  std::uint64_t first_copy_phase_ = 0;
};

}  // namespace croton
