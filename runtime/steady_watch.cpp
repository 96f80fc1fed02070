#include "croton/runtime/steady_watch.h"

#include <fmt/format.h>

#include "croton/graph/check_error.h"
#include "croton/graph/message.h"
#include "croton/runtime/node_text.h"
#include "croton/runtime/plan.h"

namespace croton {

void SteadyWatch::add_call(const Plan& plan, std::uint64_t blocks, const std::string& function_name) {
  {
    const std::lock_guard guard(mutex_);
    int& calls = calls_[&plan];
    if (calls < warm_up_calls) {
      ++calls;
      return;
    }
  }
  if (blocks == 0) return;
  std::string text = fmt::format(
      "function '{}' allocated {} block{} of memory in a call after its {} first ones with these shapes",
      function_name, blocks, blocks == 1 ? "" : "s", warm_up_calls);
  bool has_reference = false;
  for (const auto& step : plan.steps()) {
    if (step->kind() != "reference") continue;
    has_reference = true;
    text += fmt::format("\n  the reference evaluator allocates for {}", node_text(*step->node()));
  }
  if (!has_reference) {
    text +=
        "\n  no step does: earlier results are still held (a loop that drops them reuses their memory), or "
        "an "
        "argument had to be converted or copied";
  }
  if (action_ == Allocations::raise) throw SteadyStateError(text);
  warn_once(text);
}

}  // namespace croton
