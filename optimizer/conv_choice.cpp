#include "croton/optimizer/conv_choice.h"

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/message.h"
#include "croton/ops/conv_arguments.h"
#include "croton/ops/conv_shapes.h"
#include "croton/ops/cudnn_algorithm.h"
#include "croton/optimizer/conv_layouts.h"

namespace croton {

namespace {

constexpr std::string_view meta_tag = "conv_meta";
constexpr std::string_view cudnn_tag = "cudnn";
/// Of the tags of implementations; the rest is what versions of convolutions call them.
constexpr std::string_view tag_prefix = "conv_";
constexpr std::string_view error_refusal = "its error is up to";

/// Names that ask for an implementation of one direction of 3-D convolutions only.
struct DirectionName {
  std::string_view name, tag;
  ConvDirection direction;
};
constexpr DirectionName names_in_3d[] = {
    {"conv3d_fft", "conv_fft", ConvDirection::forward},
    {"convgrad3d_fft", "conv_fft", ConvDirection::backward_weights},
    {"convtransp3d_fft", "conv_fft", ConvDirection::backward_inputs},
    {"conv3d_gemm", "conv_gemm", ConvDirection::forward},
    {"convgrad3d_gemm", "conv_gemm", ConvDirection::backward_weights},
    {"convtransp3d_gemm", "conv_gemm", ConvDirection::backward_inputs},
};

/// What a name means for the problem; null where that is nothing.
const DirectionName* row_in_3d(std::string_view name, const ConvProblem& problem) {
  const auto* const row = std::ranges::find_if(names_in_3d, [&](const DirectionName& each) {
    return each.name == name && each.direction == problem.direction;
  });
  return problem.rank == 3 && row != std::end(names_in_3d) ? row : nullptr;
}

/// Whether a query that mentions the name means that candidate for that problem.
bool is_meant(std::string_view name, const ConvCandidate& candidate, const ConvProblem& problem) {
  if (name == candidate.tag) return true;
  if (name == cudnn_tag) return candidate.tag == conv_dnn.tag && problem.device.is_cuda();
  const DirectionName* const row = row_in_3d(name, problem);
  return row != nullptr && row->tag == candidate.tag;
}

bool is_there(const ConvCandidate& candidate, const ConvProblem& problem) {
  return candidate.place != ConvPlace::gpu || problem.device.is_cuda();
}

/// Whether the candidates of a tag refuse a 3-D problem, but take the 2-D convolutions of conv3d2d.
bool takes_only_parts(std::string_view tag, const ConvProblem& problem) {
  const auto is_taken = [&](const ConvProblem& p) {
    return std::ranges::any_of(conv_candidates(), [&](const ConvCandidate* candidate) {
      return candidate->tag == tag && is_there(*candidate, p) &&
             ask(*candidate, p).kind != Support::Kind::refuse;
    });
  };
  return !is_taken(problem) && std::ranges::all_of(conv3d2d_parts(problem), is_taken);
}

/// The first name that the query includes for the parts of a 3-D convolution; null where there is none.
const DirectionName* asked_of_parts(const Query& query, const ConvProblem& problem) {
  if (is_implementation_name(problem.version)) return nullptr;
  for (const std::string& name : query.included()) {
    const DirectionName* const row = row_in_3d(name, problem);
    if (row == nullptr || query.excludes(row->name) || query.excludes(row->tag)) continue;
    if (takes_only_parts(row->tag, problem)) return row;
  }
  return nullptr;
}

/// Whether the version of a convolution means the candidate: it names an implementation, or an algorithm of
/// cuDNN, which on the CPU is oneDNN's business. Implementations of the CPU have two axes: along three
/// conv3d2d is meant, whose parts have the same version.
bool is_asked_for(const ConvCandidate& candidate, const ConvProblem& problem) {
  if (&candidate == &conv_conv3d2d && problem.rank == 3 && problem.device.is_host())
    return is_implementation_name(problem.version);
  if (fmt::format("{}{}", tag_prefix, problem.version) == candidate.tag || problem.version == candidate.name)
    return true;
  return problem.device.is_host() && candidate.tag == conv_dnn.tag &&
         !cudnn_algorithm_in(problem.version).empty();
}

/// The name in the list that means the candidate; null where there is none.
const std::string* naming(const std::vector<std::string>& names, const ConvCandidate& candidate,
                          const ConvProblem& problem) {
  const auto found = std::ranges::find_if(
      names, [&](const std::string& name) { return is_meant(name, candidate, problem); });
  return found == names.end() ? nullptr : &*found;
}

bool has_static_shapes(const Node& node) {
  return node.type().shape.is_known() && node.input(0).type().shape.is_known() &&
         node.input(1).type().shape.is_known();
}

std::vector<const ConvCandidate*> in_order(const Query& query, const ConvProblem& problem,
                                           const DirectionName* of_parts) {
  std::vector<const ConvCandidate*> order;
  // What chooses among cuDNN's algorithms says nothing beside these, but where a convolution asks for it.
  const auto is_selection = [](const ConvCandidate& candidate) {
    const auto names = cudnn_selection_names();
    return std::ranges::find(names, cudnn_algorithm_in(candidate.name)) != names.end();
  };
  const auto add = [&](const ConvCandidate* candidate) {
    if (!is_there(*candidate, problem)) return;
    if (is_selection(*candidate) && problem.version != candidate->name) return;
    if (std::ranges::find(order, candidate) == order.end()) order.push_back(candidate);
  };
  for (const std::string& name : query.included()) {
    for (const ConvCandidate* candidate : conv_candidates()) {
      if (is_meant(name, *candidate, problem)) add(candidate);
    }
    if (of_parts != nullptr && name == of_parts->name) add(&conv_conv3d2d);
  }
  for (const ConvCandidate* candidate : conv_candidates()) add(candidate);
  return order;
}

std::string measured(const ConvChoice::Entry& entry) {
  const ConvTrial& trial = *entry.trial;
  if (trial.has_failed) return "failed: " + trial.reason;
  if (trial.seconds.empty()) return trial.reason;
  return fmt::format("{:.6g} ms of {} samples, workspace {:.1f} MiB, error {:.1e}{}", trial.best() * 1e3,
                     trial.seconds.size(), static_cast<double>(trial.workspace) / (1 << 20), trial.error,
                     trial.reason.empty() ? "" : "; " + trial.reason);
}

bool are_measured(std::span<const ConvChoice::Entry> entries) {
  return std::ranges::any_of(entries, [](const auto& entry) { return entry.trial.has_value(); });
}

std::string answer(const ConvChoice::Entry& entry) {
  if (entry.trial) return measured(entry);
  if (!entry.excluded_by.empty()) return entry.excluded_by;
  switch (entry.support.kind) {
    case Support::Kind::accept:
      return entry.favour.empty() ? "takes it" : "takes it, " + entry.favour;
    case Support::Kind::poor:
      return "poor here: " + entry.support.reason;
    default:
      return "refuses: " + entry.support.reason;
  }
}

/// What metaopt.verbose prints of a convolution that was measured.
std::string report(const ConvChoice& choice, bool all_samples) {
  const auto tried =
      std::ranges::count_if(choice.entries, [](const auto& entry) { return entry.trial.has_value(); });
  std::string text =
      fmt::format("ConvMetaOptimizer meta-optimizing {} ({} choices):\n", to_string(choice.problem), tried);
  for (const ConvChoice::Entry& entry : choice.entries) {
    if (entry.trial && entry.trial->is_measured()) {
      text += fmt::format("* {}: {:.6g} ms\n", entry.candidate->name, entry.trial->best() * 1e3);
      if (!all_samples) continue;
      for (const double seconds : entry.trial->seconds) text += fmt::format("    {:.6g} ms\n", seconds * 1e3);
    } else {
      text += fmt::format("* {}: {}{}\n", entry.candidate->name, entry.trial ? "" : "not applicable: ",
                          entry.trial ? entry.trial->reason : answer(entry));
    }
  }
  return text + fmt::format("= {}", choice.chosen == nullptr ? "none" : choice.chosen->name);
}

/// The first that takes it. What the user asks for by name is taken where it is poor, too, unless another of
/// that name is not. Where all are poor, the first is as good as any.
const ConvCandidate* first_choice(std::span<const ConvChoice::Entry> entries) {
  const auto accepts = [](const ConvChoice::Entry& entry) {
    return entry.excluded_by.empty() && entry.support.kind == Support::Kind::accept;
  };
  for (const ConvChoice::Entry& entry : entries) {
    if (accepts(entry) && entry.is_wanted) return entry.candidate;
  }
  for (const ConvChoice::Entry& entry : entries) {
    if (accepts(entry) && !entry.favour.empty()) return entry.candidate;
  }
  const ConvCandidate* first_poor = nullptr;
  for (const ConvChoice::Entry& entry : entries) {
    if (accepts(entry)) return entry.candidate;
    if (!entry.excluded_by.empty() || entry.support.kind == Support::Kind::refuse) continue;
    const bool has_better = std::ranges::any_of(entries, [&](const ConvChoice::Entry& other) {
      return other.candidate->tag == entry.candidate->tag && accepts(other);
    });
    if (entry.is_wanted && !has_better) return entry.candidate;
    if (first_poor == nullptr && !entry.candidate->opt_in) first_poor = entry.candidate;
  }
  return first_poor;
}

void choose_by_order(ConvChoice& choice, const Query& query) {
  for (ConvChoice::Entry& entry : choice.entries) {
    if (!entry.excluded_by.empty() || entry.support.kind == Support::Kind::refuse) continue;
    if (entry.candidate->costly && query.is_thrifty() && entry.support.kind == Support::Kind::accept) {
      entry.support = poor("fast compiling makes no machine code for a convolution");
    }
    if (entry.candidate->favoured != nullptr && !entry.is_wanted && !query.is_thrifty() &&
        entry.support.kind == Support::Kind::accept) {
      entry.favour = entry.candidate->favoured(choice.problem);
    }
    if (entry.candidate->opt_in && !entry.is_wanted && entry.favour.empty())
      entry.support = poor(fmt::format("only with optimizer_including={}", entry.candidate->tag));
  }
  choice.chosen = first_choice(choice.entries);
  choice.reason = "the first that takes it";
  if (const DirectionName* const row = asked_of_parts(query, choice.problem))
    choice.version_of_parts = row->tag.substr(tag_prefix.size());
}

/// Every candidate with its answer; none is chosen.
ConvChoice ask_all(const ConvProblem& problem, const Query& query) {
  ConvChoice choice;
  choice.problem = problem;
  const bool has_version = !problem.version.empty();
  const bool is_without_fft = !has_version && naming(query.excluded(), conv_fft, problem) != nullptr;
  choice.version_of_parts = is_without_fft ? "no_fft" : problem.version;
  const DirectionName* const of_parts = asked_of_parts(query, problem);
  for (const ConvCandidate* candidate : in_order(query, problem, of_parts)) {
    ConvChoice::Entry& entry = choice.entries.emplace_back();
    entry.candidate = candidate;
    entry.is_wanted = is_asked_for(*candidate, problem) ||
                      naming(query.included(), *candidate, problem) != nullptr ||
                      (of_parts != nullptr && candidate == &conv_conv3d2d);
    if (const std::string* by = naming(query.excluded(), *candidate, problem)) {
      entry.excluded_by = query.why_excluded(*by);
    } else if (is_implementation_name(problem.version) && !is_asked_for(*candidate, problem)) {
      entry.excluded_by = fmt::format("the convolution asks for {}", problem.version);
    } else {
      entry.support = ask(*candidate, problem);
    }
  }
  return choice;
}

bool is_measured(const Query& query) { return query.includes(meta_tag) && !query.excludes(meta_tag); }

ConvTask task_of(const ConvChoice& choice) {
  ConvTask task{.problem = choice.problem, .candidates = {}, .refused = {}};
  for (const ConvChoice::Entry& entry : choice.entries) {
    if (!entry.excluded_by.empty()) continue;
    if (entry.support.kind != Support::Kind::refuse) {
      task.candidates.push_back(entry.candidate);
      continue;
    }
    ConvTrial& trial = task.refused.emplace_back();
    trial.name = entry.candidate->name;
    trial.reason = entry.support.reason;
    trial.is_refused = true;
  }
  return task;
}

/// What may be done where nobody takes a convolution.
std::string advice(const ConvChoice& choice) {
  bool is_excluded = false, is_inexact = false;
  for (const ConvChoice::Entry& entry : choice.entries) {
    is_excluded = is_excluded || entry.excluded_by.starts_with("excluded by");
    is_inexact = is_inexact || (entry.excluded_by.empty() && entry.support.reason.starts_with(error_refusal));
  }
  std::string text;
  if (is_inexact) text += "allow that error with the flag metaopt.max_error, or ";
  if (is_implementation_name(choice.problem.version)) {
    text += fmt::format("let others than {} take it, or ", choice.problem.version);
  } else if (is_excluded) {
    text += "exclude fewer of them, or ";
  }
  return text + "change the options of the convolution";
}

/// False when nobody can measure.
bool choose_by_measurement(ConvChoice& choice) {
  ConvMeasurer* const measurer = conv_measurer();
  if (measurer == nullptr) return false;
  const ConvTask task = task_of(choice);
  if (task.candidates.empty()) return true;
  const ConvMeasurement measurement = measurer->measure(task);
  for (ConvChoice::Entry& entry : choice.entries) {
    const auto trial = std::ranges::find(measurement.trials, entry.candidate->name, &ConvTrial::name);
    if (trial == measurement.trials.end()) continue;
    entry.trial = *trial;
    if (trial->name == measurement.winner) choice.chosen = entry.candidate;
  }
  choice.reason = measurement.origin;
  const bool is_new = measurement.origin == "measured now";
  if (const int verbose = config().metaopt_verbose(); verbose > 0 && is_new)
    send_message(Severity::info, report(choice, verbose > 1));
  return true;
}

/// All candidates of all convolutions are compiled at the same time.
std::shared_ptr<const void> prepare_measurements(std::span<const Ref<Node>> open, const Query& query) {
  if (!is_measured(query) || conv_measurer() == nullptr) return nullptr;
  std::vector<ConvTask> tasks;
  for (const Ref<Node>& node : open) tasks.push_back(task_of(ask_all(conv_problem_in_graph(*node), query)));
  return conv_measurer()->prepare(tasks);
}

/// By age, so that two compilations of one graph make their nodes in the same order.
std::vector<Ref<Node>> open_convolutions(const FunctionGraph& graph) {
  std::vector<Ref<Node>> found;
  for (const Ref<Node>& node : graph.nodes()) {
    if (is_open_convolution(*node)) found.push_back(node);
  }
  std::ranges::sort(found, {}, [](const Ref<Node>& node) { return node->id(); });
  return found;
}

}  // namespace

std::string ConvChoice::text() const {
  std::string text = to_string(problem) + "\n";
  if (chosen != nullptr && are_measured(entries))
    text += fmt::format("  {} is {}{}\n", chosen->name, reason.starts_with("pinned") ? "" : "the fastest, ",
                        reason);
  for (const Entry& entry : entries) {
    const bool is_chosen = entry.candidate == chosen;
    text += fmt::format("  {} {}: {}", is_chosen ? "*" : " ", entry.candidate->name, answer(entry));
    if (is_chosen && chosen == &conv_conv3d2d && version_of_parts != problem.version)
      text += fmt::format("; its 2-D convolutions ask for {}", version_of_parts);
    text += "\n";
  }
  return text;
}

double allowed_error(const ConvProblem& problem) {
  if (const double said = config().metaopt_max_error(); said > 0) return said;
  // What others use is the measure: the library's error is always allowed.
  return std::max(
      {plain_sum_error(problem), conv_dnn.error(problem), allowed_factor_roundoff(problem.dtype)});
}

Support ask(const ConvCandidate& candidate, const ConvProblem& problem) {
  if (problem.unshared && !candidate.knows_unshared)
    return refuse("filters of its own for every position of the output (unshared)");
  Support support = candidate.support(problem);
  if (support.kind == Support::Kind::refuse) return support;
  const double error = candidate.error(problem), allowed = allowed_error(problem);
  if (error > allowed) {
    const char* const by = config().metaopt_max_error() > 0 ? " by metaopt.max_error" : "";
    return refuse(fmt::format("{} {:.1e} of the largest result; {:.1e} is allowed{}", error_refusal, error,
                              allowed, by));
  }
  const double workspace = static_cast<double>(candidate.workspace(problem)) / (1 << 20);
  const int most = config().metaopt_max_workspace();
  if (most > 0 && workspace > most) {
    return refuse(fmt::format("a workspace of {:.1f} MiB; metaopt.max_workspace is {}", workspace, most));
  }
  return support;
}

ConvChoice choose_convolution(const ConvProblem& problem, const Query& query) {
  ConvChoice choice = ask_all(problem, query);
  if (!is_measured(query) || !choose_by_measurement(choice)) choose_by_order(choice, query);
  if (choice.chosen == nullptr) {
    throw DeviceError("no implementation takes this convolution:\n" + choice.text() + advice(choice));
  }
  return choice;
}

bool is_abstract_convolution(const Node& node) {
  return node.is_apply() && conv_direction(node.op()).has_value();
}

ConvProblem conv_problem_in_graph(const Node& node) {
  ConvProblem problem = conv_problem(node);
  if (problem.unshared) return problem;
  problem.layouts = {layout_in_graph(node.input(0)), layout_in_graph(node.input(1)), layout_of_uses(node)};
  return problem;
}

bool is_open_convolution(const Node& node) {
  return is_abstract_convolution(node) && has_static_shapes(node);
}

void choose_convolutions(FunctionGraph& graph, const Query& query) {
  // What is put in the place of one may be made of others.
  for (std::vector<Ref<Node>> open = open_convolutions(graph); !open.empty();
       open = open_convolutions(graph)) {
    const std::shared_ptr<const void> prepared = prepare_measurements(open, query);
    for (const Ref<Node>& node : open) {
      // As the graph is now: what its operands are computed by has its layout.
      ConvProblem problem = conv_problem_in_graph(*node);
      const ConvChoice choice = choose_convolution(problem, query);
      const ConvCandidate& chosen = *choice.chosen;
      if (&chosen == &conv_conv3d2d) problem.version = choice.version_of_parts;
      const Variable result = chosen.build(problem, node->input(0), node->input(1), node->attributes());
      graph.replace(node->output(), result, chosen.tag);
    }
  }
}

std::span<const std::string_view> conv_tags() {
  static const std::vector<std::string_view> tags = [] {
    std::vector<std::string_view> all = {meta_tag, cudnn_tag};
    for (const DirectionName& row : names_in_3d) all.push_back(row.name);
    for (const ConvCandidate* candidate : conv_candidates()) {
      if (std::ranges::find(all, candidate->tag) == all.end()) all.push_back(candidate->tag);
    }
    return all;
  }();
  return tags;
}

}  // namespace croton
