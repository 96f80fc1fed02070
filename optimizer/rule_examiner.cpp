#include "croton/optimizer/rule_examiner.h"

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/nearest_names.h"
#include "croton/graph/op.h"
#include "croton/optimizer/conv_choice.h"
#include "croton/optimizer/passes.h"

namespace croton {

namespace {

template <class Visit>
void for_each_phase(const Visit& visit) {
  for (const auto* phases : {&general_phases(), &specialize_phases()}) {
    for (const RewritePhase& phase : *phases) visit(phase);
  }
}

/// Why a query leaves a rule out; nothing where it selects it.
std::optional<std::string> why_left_out(const Rule& rule, const RewritePhase& phase, const Query& query) {
  std::vector<std::string> tags = rule.tags();
  tags.push_back(phase.name);
  tags.insert(tags.end(), phase.tags.begin(), phase.tags.end());
  if (query.selects({rule.name(), tags, rule.is_opt_in(), phase.costly})) return std::nullopt;
  tags.push_back(rule.name());
  for (const std::string& tag : tags) {
    if (query.excludes(tag)) return fmt::format("it is excluded: optimizer_excluding has {}", tag);
  }
  if (query.mode() == ModeName::None) return "mode=None has no rewrites";
  if (rule.is_opt_in()) return fmt::format("it runs on demand only: optimizer_including={}", rule.name());
  return "the mode or optimizer_requiring leaves it out";
}

std::string applied(const RewriteRecord& record) {
  return fmt::format("{} -> {}", record.before, record.after);
}

}  // namespace

RuleExaminer::RuleExaminer(std::string name, const Query& query)
    : name_(std::move(name)), query_(query), history_(query) {
  for_each_phase([&](const RewritePhase& phase) {
    if (phase.pass && phase.name == name_) is_pass_ = true;
    for (const RuleSet* set : phase.rules) {
      for (const Rule& rule : *set) {
        if (concerns(rule, phase))
          questions_.push_back({&rule, phase.name, 0, false, why_left_out(rule, phase, query), {}});
      }
    }
  });
  const bool is_convolution = std::ranges::find(conv_tags(), name_) != conv_tags().end();
  if (!questions_.empty() || is_pass_ || is_convolution) return;
  throw FlagError(fmt::format("there is no rewrite, tag or implementation '{}'{}", name_,
                              did_you_mean(name_, rewrite_names())));
}

bool RuleExaminer::concerns(const Rule& rule, const RewritePhase& phase) const {
  return rule.name() == name_ || phase.name == name_ ||
         std::ranges::find(rule.tags(), name_) != rule.tags().end();
}

void RuleExaminer::on_phase_begin(const FunctionGraph& graph, std::string_view phase) {
  history_.on_phase_begin(graph, phase);
}

void RuleExaminer::on_phase_end(const FunctionGraph& graph, std::string_view phase) {
  for (Question& question : questions_) {
    if (question.phase != phase) continue;
    question.position = history_.phases().size() - 1;
    question.has_run = true;
    for (const Ref<Node>& node : graph.nodes()) {
      if (!node->is_apply()) continue;
      question.findings[node->id()] = {question.rule->may_apply_to(node->op()),
                                       question.rule->why_not(graph, *node)};
    }
  }
}

std::vector<RuleExaminer::Answer> RuleExaminer::answers(FunctionGraph& graph, const Node& node) const {
  std::vector<Answer> answers;
  const std::vector<std::size_t> chain = history_.chain(node);
  const auto record_by = [&](std::string_view rule, std::string_view phase) -> const RewriteRecord* {
    for (const std::size_t at : chain) {
      const RewriteRecord& record = history_.records()[at];
      if (record.rule == rule && (phase.empty() || record.phase == phase)) return &record;
    }
    return nullptr;
  };
  if (const RewriteRecord* record = record_by(name_, ""); record != nullptr && questions_.empty())
    return {{name_, record->phase, applied(*record), true, true}};
  if (is_pass_ && name_ == "fusion") return {{name_, name_, why_not_fused(graph, node), false, true}};
  if (is_pass_ && name_ == "inplace") return {{name_, name_, why_not_in_place(graph, node), false, true}};
  if (questions_.empty()) {
    for (const std::size_t at : chain) {
      const std::string& choice = history_.records()[at].choice;
      if (!choice.empty()) return {{name_, "convolutions", choice, false, true}};
    }
    const bool is_open = is_abstract_convolution(node);
    return {{name_, "convolutions",
             is_open ? "the shapes of the convolution are not all known"
                     : "the node is no convolution: " + node_label(node),
             false, is_open}};
  }
  for (const Question& question : questions_) {
    Answer answer{question.rule->name(), question.phase, question.left_out, false, true};
    if (const RewriteRecord* record = record_by(answer.rule, answer.phase)) {
      answer.reason = applied(*record);
      answer.has_applied = true;
    } else if (!question.left_out && question.has_run) {
      const auto found = question.findings.find(history_.stood_for(node, question.position));
      if (found == question.findings.end()) {
        answer.looks_here = false;
        answer.reason = "the node did not exist then";
      } else {
        answer.looks_here = found->second.looks_here;
        answer.reason = found->second.reason;
      }
    }
    answers.push_back(std::move(answer));
  }
  return answers;
}

}  // namespace croton
