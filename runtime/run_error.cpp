#include "croton/runtime/run_error.h"

#include <fmt/format.h>

#include "croton/graph/debugprint.h"
#include "croton/graph/flags.h"
#include "croton/graph/op.h"
#include "croton/runtime/plan.h"

namespace croton {

void rethrow_with(const std::string& context) {
#define CROTON_RETHROW(Type)        \
  catch (const Type& e) {           \
    throw Type(e.what() + context); \
  }
  try {
    throw;
  }
  CROTON_RETHROW(ShapeError)
  CROTON_RETHROW(IndexError)
  CROTON_RETHROW(ValueError)
  CROTON_RETHROW(TypeError)
  CROTON_RETHROW(DeviceError)
  CROTON_RETHROW(MemoryError)
#undef CROTON_RETHROW
}

void rethrow_from_step(const Step& step, const Plan& plan, const std::string& function_name) {
  const Node* node = step.node();
  if (node == nullptr) rethrow_with(fmt::format("\n  in function '{}'", function_name));
  std::size_t position = 0;
  while (plan.steps()[position].get() != &step) ++position;
  std::string context =
      fmt::format("\n  in {}, step {} of function '{}'", node_label(*node), position, function_name);
  if (node->where().known()) context += fmt::format("\n  made at {}", to_string(node->where()));
  const std::vector<Layout> inputs = step.input_layouts();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    context += fmt::format("\n  input {}: {}, shape {}, strides {}", i, describe(node->input(i)),
                           to_string(inputs[i].shape), to_string(inputs[i].strides));
  }
  if (config().exception_verbosity() == Verbosity::high) {
    context += "\n  the graph of the node:\n" +
               debugprint_text({node->output()}, {.print_type = true, .stop_on_name = true}) +
               fmt::format("  memory in use: {} bytes for intermediate values, {} for results",
                           plan.arena_bytes(), plan.result_bytes());
  } else {
    context += "\n  (the flag exception_verbosity=high shows the graph of the node and the memory in use)";
  }
  rethrow_with(context);
}

}  // namespace croton
