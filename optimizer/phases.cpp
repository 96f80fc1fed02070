#include "croton/optimizer/phases.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "croton/graph/error.h"
#include "croton/graph/nearest_names.h"
#include "croton/optimizer/conv_choice.h"
#include "croton/optimizer/passes.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

/// Forms that every later rule may count on.
std::vector<const RuleSet*> canonical() {
  return {&useless_rules(), &constant_rules(), &broadcast_rules(), &shape_rules(),
          &layout_rules(),  &indexing_rules(), &reduction_rules(), &arithmetic_rules()};
}

std::vector<const RuleSet*> with(std::vector<const RuleSet*> sets,
                                 std::initializer_list<const RuleSet*> more) {
  sets.insert(sets.begin(), more);
  return sets;
}

RewritePhase rules(std::string name, std::vector<const RuleSet*> sets) {
  RewritePhase phase;
  phase.name = std::move(name);
  phase.rules = std::move(sets);
  return phase;
}

RewritePhase pass(std::string name, std::vector<std::string> tags, bool costly, bool essential,
                  std::function<void(FunctionGraph&, const PassContext&)> run) {
  RewritePhase phase;
  phase.name = std::move(name);
  phase.tags = std::move(tags);
  phase.costly = costly;
  phase.essential = essential;
  phase.pass = std::move(run);
  return phase;
}

/// Rules from outside of the library, by phase.
struct RegisteredRules {
  std::mutex mutex;
  bool is_closed = false;
  std::map<std::string, std::deque<RuleSet>, std::less<>> sets;
};

RegisteredRules& registered() {
  static RegisteredRules& instance = *new RegisteredRules;
  return instance;
}

std::vector<RewritePhase> with_registered(std::vector<RewritePhase> phases) {
  const std::lock_guard guard(registered().mutex);
  registered().is_closed = true;
  for (RewritePhase& phase : phases) {
    const auto entry = registered().sets.find(phase.name);
    if (entry == registered().sets.end()) continue;
    for (const RuleSet& set : entry->second) phase.rules.push_back(&set);
  }
  return phases;
}

}  // namespace

void register_rules(std::string_view phase, RuleSet rules) {
  constexpr std::string_view known[] = {"canonicalize", "stabilize", "blas", "specialize", "static_shapes"};
  if (std::ranges::find(known, phase) == std::end(known)) {
    throw ValueError(fmt::format("no phase of rules is called '{}'{}", phase, did_you_mean(phase, known)));
  }
  const std::lock_guard guard(registered().mutex);
  if (registered().is_closed) {
    throw ValueError("rules are registered before the first function is made");
  }
  registered().sets[std::string(phase)].push_back(std::move(rules));
}

const std::vector<RewritePhase>& general_phases() {
  static const std::vector<RewritePhase> phases = with_registered({
      // First, so that later patterns have fewer ways to be written.
      rules("canonicalize", canonical()),
      // Before products and powers take nodes away: exp, log and sums must still be seen as the user wrote
      // them.
      rules("stabilize", with(canonical(), {&softmax_rules(), &stability_rules()})),
      // Sums with products in them, before the scalar that stands before a product alone is taken into it.
      rules("blas", with({&useless_rules(), &constant_rules(), &layout_rules()}, {&blas_rules()})),
      // Cheap forms, last: the general rules above do not know them.
      rules("specialize",
            with(canonical(), {&product_rules(), &power_rules(), &bias_rules(), &alloc_rules()})),
  });
  return phases;
}

const std::vector<RewritePhase>& specialize_phases() {
  static const std::vector<RewritePhase> phases = with_registered({
      // Known extents turn shapes into constants and reshapes into dimshuffles, and allow what needs a
      // non-empty axis.
      rules("static_shapes", with(canonical(), {&stability_rules(), &softmax_rules(), &power_rules()})),
      // Before anything that differs between devices is chosen.
      pass("placement", {}, false, true,
           [](FunctionGraph& graph, const PassContext& context) { place_on_device(graph, context.options); }),
      // What becomes elementwise work must be there before fusion.
      pass("thin_products", {}, true, false,
           [](FunctionGraph& graph, const PassContext&) { expand_thin_products(graph); }),
      // The elementwise work before these sums is whole now, and not yet in groups.
      pass("column_sums", {}, true, false,
           [](FunctionGraph& graph, const PassContext&) { share_column_sums(graph); }),
      pass("split_joins", {}, true, false,
           [](FunctionGraph& graph, const PassContext&) { split_joins(graph); }),
      // Before fusion takes what stands behind products into groups of its own.
      pass("product_epilogues", {}, true, false,
           [](FunctionGraph& graph, const PassContext& context) {
             fuse_product_epilogues(graph, context.options);
           }),
      // As soon as the shapes are known; the elementwise work around them does not matter to it.
      pass("convolutions", {}, false, true,
           [](FunctionGraph& graph, const PassContext& context) {
             choose_convolutions(graph, context.query);
           }),
      pass("conv_layouts", {}, false, false,
           [](FunctionGraph& graph, const PassContext&) { keep_layouts(graph); }),
      // Behind the choice of convolutions, some of which read the places.
      pass("pool_places", {}, true, false,
           [](FunctionGraph& graph, const PassContext&) { keep_pool_places(graph); }),
      // After everything that looks for single elementwise nodes and reductions.
      pass("fusion", {}, true, false, [](FunctionGraph& graph, const PassContext&) { fuse(graph); }),
      // Last: marks do not survive rewriting.
      pass("inplace", {}, true, false,
           [](FunctionGraph& graph, const PassContext& context) { mark_in_place(graph, context.options); }),
      pass("precision", {}, false, true,
           [](FunctionGraph& graph, const PassContext&) { mark_precision(graph); }),
  });
  return phases;
}

const std::vector<std::string_view>& rewrite_names() {
  static const std::vector<std::string_view> names = [] {
    std::set<std::string_view> all;
    for (const std::vector<RewritePhase>* phases : {&general_phases(), &specialize_phases()}) {
      for (const RewritePhase& phase : *phases) {
        all.insert(phase.name);
        all.insert(phase.tags.begin(), phase.tags.end());
        for (const RuleSet* set : phase.rules) {
          for (const Rule& rule : *set) {
            all.insert(rule.name());
            all.insert(rule.tags().begin(), rule.tags().end());
          }
        }
      }
    }
    all.insert(conv_tags().begin(), conv_tags().end());
    return std::vector<std::string_view>(all.begin(), all.end());
  }();
  return names;
}

}  // namespace croton
