// croton profile: how long the nodes of a graph take, on values that are drawn at random.

#include <fmt/format.h>

#include <memory>
#include <random>

#include <croton/graph/error.h>
#include <croton/graph/flags.h>
#include <croton/graph/shared_variable.h>
#include <croton/runtime/function.h>

#include "command.h"
#include "graph_source.h"

namespace {

struct Options {
  GraphSource source;
  int calls = 20;
  std::string trace_file;
};

/// Normal numbers for floating dtypes (small ones, so that nothing overflows), zeros for others: they may be
/// labels or indices.
croton::Tensor drawn(const croton::TensorType& type, std::mt19937& engine) {
  if (!croton::is_floating(type.dtype)) return croton::Tensor::zeros(type.shape, type.dtype);
  croton::Tensor values = croton::Tensor::empty(type.shape, croton::DType::float32);
  std::normal_distribution<float> normal(0, 0.1F);
  for (std::int64_t i = 0; i < values.size(); ++i) values.data<float>()[i] = normal(engine);
  return values.astype(type.dtype);
}

void require_known(const croton::Variable& v) {
  if (v.type().shape.is_known()) return;
  const std::string name = v.name().empty() ? "an input without a name" : v.name();
  throw croton::ShapeError(
      fmt::format("profile: the shape of {} is not known, it is {}: give it with --shapes '{}=[{}]'", name,
                  to_string(v.type()), v.name(), v.rank() == 0 ? "" : "…"));
}

void profile(const Options& options) {
  if (options.calls < 1) throw croton::ValueError("--calls must be at least 1");
  if (!options.trace_file.empty()) croton::trace_to(options.trace_file);
  const croton::TextGraph built = read_graph(options.source, "profile");
  const auto typed = optimized_graph(built, options.source.shapes, Stage::built);
  std::mt19937 engine(1);
  std::vector<croton::Tensor> arguments;
  std::vector<croton::In> inputs;
  for (const croton::Variable& input : typed->inputs()) {
    require_known(input);
    inputs.emplace_back(input);
    arguments.push_back(drawn(input.type(), engine));
  }
  const auto give_value = [&](const croton::Variable& state) {
    if (state.node()->cell()->value().defined()) return;
    require_known(state);
    state.node()->cell()->value() = drawn(state.type(), engine);
  };
  for (const croton::Variable& state : typed->shared()) give_value(state);
  const auto end = typed->outputs().begin() + static_cast<std::ptrdiff_t>(built.outputs.size());
  croton::FunctionOptions how{.name = built.name.empty() ? "graph" : built.name,
                              .on_unused_input = croton::OnUnusedInput::ignore,
                              .profile = true};
  for (std::size_t i = 0; i < built.updates.size(); ++i) {
    croton::Variable target = built.updates[i].first;
    for (const croton::Variable& state : typed->shared()) {
      if (state.node()->cell() == target.node()->cell()) target = state;
    }
    give_value(target);
    how.updates.emplace_back(target, end[static_cast<std::ptrdiff_t>(i)]);
  }
  const croton::Function f =
      croton::function(inputs, std::vector<croton::Variable>(typed->outputs().begin(), end), how);
  for (int i = 0; i < options.calls; ++i) f.call_all(arguments);
  fmt::print("{}", f.profile().to_text());
}

}  // namespace

void add_profile_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("profile", "Run a graph on random values and tell where its time and memory go.");
  auto options = std::make_shared<Options>();
  add_graph_options(*command, options->source);
  command->add_option("--calls", options->calls, "How often it runs")->capture_default_str();
  command->add_option("--trace-file", options->trace_file,
                      "Write what ran when, on which thread, as JSON for Perfetto (ui.perfetto.dev)");
  add_flags_option(*command);
  command->callback([options] { profile(*options); });
}
