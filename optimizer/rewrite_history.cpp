#include "croton/optimizer/rewrite_history.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "croton/graph/op.h"
#include "croton/optimizer/conv_choice.h"
#include "croton/optimizer/rewrite_view.h"

namespace croton {

namespace {

std::vector<std::string> lines_of(std::span<const Node* const> nodes) {
  std::vector<std::string> lines;
  for (const Node* node : nodes) {
    if (!node->where().known()) continue;
    std::string line = to_string(node->where());
    if (std::ranges::find(lines, line) == lines.end()) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

std::string RewriteRecord::text(std::size_t indent) const {
  const std::string margin(indent, ' ');
  std::string text = fmt::format("{} by {}", phase, rule);
  if (!lines.empty()) text += fmt::format("  ({})", fmt::join(lines, ", "));
  text += fmt::format("\n{}{}\n{}-> {}\n", margin, before, margin, after);
  for (const std::string& definition : definitions) text += fmt::format("{}where {}\n", margin, definition);
  for (std::size_t at = 0; at < choice.size();) {
    const std::size_t end = std::min(choice.find('\n', at), choice.size());
    text += margin + choice.substr(at, end - at) + '\n';
    at = end + 1;
  }
  return text;
}

std::optional<std::size_t> RewriteHistory::maker(std::uint64_t node) const {
  const auto entry = makers_.find(node);
  return entry == makers_.end() ? std::nullopt : std::optional(entry->second);
}

std::vector<std::size_t> RewriteHistory::chain(const Node& node) const {
  std::vector<std::size_t> positions;
  for (auto at = maker(node.id()); at; at = links_[*at].previous) positions.push_back(*at);
  std::ranges::reverse(positions);
  return positions;
}

std::uint64_t RewriteHistory::stood_for(const Node& node, std::size_t phase) const {
  std::uint64_t id = node.id();
  auto at = maker(id);
  for (; at && links_[*at].phase > phase; at = links_[*at].previous) id = links_[*at].old_node;
  // The general graph was copied before the later phases: its node has another id.
  while (phase < first_copy_phase_) {
    const auto origin = origins_.find(id);
    if (origin == origins_.end()) break;
    id = origin->second;
  }
  return id;
}

void RewriteHistory::follow(const std::unordered_map<Variable, Variable>& copies) {
  first_copy_phase_ = phases_.size();
  for (const auto& [original, copy] : copies) {
    origins_.emplace(copy.node()->id(), original.node()->id());
    if (const auto at = maker(original.node()->id())) makers_.emplace(copy.node()->id(), *at);
  }
}

void RewriteHistory::on_phase_begin(const FunctionGraph&, std::string_view phase) {
  phases_.emplace_back(phase);
}

void RewriteHistory::add(RewriteRecord record, const Node& old) {
  if (!phases_.empty()) record.phase = phases_.back();
  links_.push_back({phases_.empty() ? 0 : phases_.size() - 1, old.id(), maker(old.id())});
  records_.push_back(std::move(record));
}

void RewriteHistory::on_replace(std::span<const std::pair<Variable, Variable>> pairs, std::string_view rule) {
  if (pairs.empty()) return;
  RewriteView view = view_rewrite(pairs);
  const Node& old = *pairs[0].first.node();
  RewriteRecord record{.rule = std::string(rule),
                       .before = std::move(view.before),
                       .after = std::move(view.after),
                       .definitions = std::move(view.definitions),
                       .lines = lines_of(view.replaced)};
  if (is_open_convolution(old)) record.choice = choose_convolution(conv_problem_in_graph(old), query_).text();
  add(std::move(record), old);
  is_open_ = true;
  has_changed_ = false;
}

void RewriteHistory::on_import(Node& node) {
  if (!is_open_) return;
  makers_.insert_or_assign(node.id(), records_.size() - 1);
  has_changed_ = true;
}

void RewriteHistory::on_prune(Node& node) {
  has_changed_ = true;
  if (!is_open_) return;
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (!node.name(i).empty()) records_.back().gone.push_back(node.name(i));
  }
}
void RewriteHistory::on_change_input(Node&, std::size_t) { has_changed_ = true; }

void RewriteHistory::on_replaced() {
  if (is_open_ && !has_changed_) {
    records_.pop_back();
    links_.pop_back();
  }
  is_open_ = false;
}

void RewriteHistory::on_set_attributes(Node& node, std::string_view rule) {
  RewriteRecord record{.rule = std::string(rule)};
  const Node* const nodes[] = {&node};
  record.lines = lines_of(nodes);
  for (const auto& [output, input] : node.op().destroy_map(node)) {
    const Variable& over = node.input(static_cast<std::size_t>(input));
    record.before += (record.before.empty() ? "" : ", ") + fmt::format("output {}", output);
    record.after +=
        (record.after.empty() ? "" : ", ") +
        fmt::format("written over input {}, {}", input, over.name().empty() ? spell_node(over) : over.name());
  }
  add(std::move(record), node);
  makers_.insert_or_assign(node.id(), records_.size() - 1);
}

}  // namespace croton
