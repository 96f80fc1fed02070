#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/op.h"
#include "croton/runtime/bisect.h"

namespace croton {

std::string BisectResult::program() const {
  TextGraph data{"data", {}, {}};
  for (const Tensor& input : inputs) data.outputs.push_back(constant(input));
  std::string comment;
  std::string_view rest = report;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    comment += fmt::format("// {}\n", rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  std::string settings;
  for (const auto& [name, value] : flags)
    settings += fmt::format("  config().set(\"{}\", \"{}\");\n", name, value);
  return fmt::format(R"program(// Compile it with: g++ -std=c++20 FILE -lcroton
//
{}
#include <croton/croton.h>

#include <cstdio>
#include <vector>

using namespace croton;

const char* const graph_text = R"croton(
{})croton";

// The values of the graph's inputs.
const char* const data_text = R"croton(
{})croton";

/// Outputs and new values of shared variables of one call.
std::vector<Tensor> results(const char* mode) {{
  const TextGraph graph = parse_graph(graph_text);
  const std::vector<In> inputs(graph.inputs.begin(), graph.inputs.end());
  FunctionOptions options{{.mode = mode, .on_unused_input = OnUnusedInput::ignore}};
  for (const auto& [target, value] : graph.updates) options.updates.emplace_back(target, value);
  std::vector<Tensor> arguments;
  for (const Variable& value : parse_graph(data_text).outputs) arguments.push_back(value.constant_value());
  const Outputs outputs = function(inputs, graph.outputs, options).call_all(arguments);
  std::vector<Tensor> values(outputs.begin(), outputs.end());
  for (const auto& [target, value] : graph.updates) values.push_back(target.node()->cell()->value());
  return values;
}}

int main() {{
{}  const std::vector<Tensor> expected = results("None"), got = results("FAST_RUN");
  int wrong = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {{
    if (allclose(got[i], expected[i], 1e-4, 1e-5, true)) continue;
    ++wrong;
    std::printf("result %d\nexpected %s\ngot %s\n", static_cast<int>(i), to_string(expected[i]).c_str(),
                to_string(got[i]).c_str());
  }}
  try {{
    results("DebugMode");
  }} catch (const DebugModeError& e) {{
    std::printf("%s\n", e.what());
    ++wrong;
  }}
  std::printf(wrong == 0 ? "nothing is wrong\n" : "wrong\n");
  return wrong == 0 ? 0 : 1;
}}
)program",
                     comment, to_text(graph, {.shared_values = true}), to_text(data), settings);
}

}  // namespace croton
