#include "croton/runtime/run_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "croton/graph/check_error.h"
#include "croton/graph/debugprint.h"
#include "croton/graph/flags.h"
#include "croton/graph/op.h"
#include "croton/runtime/node_text.h"
#include "croton/runtime/plan.h"

namespace croton {

namespace {

constexpr std::size_t most_rows = 30;

/// The variables of a plan by size, the largest first, and the sums.
std::string storage_map(const Plan& plan) {
  std::vector<const Plan::StoredValue*> values;
  std::size_t inputs = 0, shared = 0, constants = 0;
  for (const Plan::StoredValue& value : plan.stored()) {
    values.push_back(&value);
    if (value.variable.is_input()) inputs += value.bytes;
    if (value.variable.is_shared()) shared += value.bytes;
    if (value.variable.is_constant()) constants += value.bytes;
  }
  std::ranges::sort(values, [](const Plan::StoredValue* a, const Plan::StoredValue* b) {
    const auto key = [](const Plan::StoredValue* v) {
      return std::tuple(~v->bytes, v->use.kind, v->use.index, v->use.offset, v->variable.node()->id(),
                        v->variable.output_index());
    };
    return key(a) < key(b);
  });
  std::string text = "  storage map (bytes, place, variable):\n";
  for (std::size_t i = 0; i < std::min(values.size(), most_rows); ++i) {
    const Node& node = *values[i]->variable.node();
    const std::string name =
        node.is_apply() && values[i]->variable.name().empty()
            ? fmt::format("{} ({})", node.op().label(node), to_string(values[i]->variable.type()))
            : describe(values[i]->variable);
    text += fmt::format("  {:>12}  {:<12}  {}\n", values[i]->bytes, to_string(values[i]->use), name);
  }
  if (values.size() > most_rows)
    text += fmt::format("  {:>12}  and {} more\n", "", values.size() - most_rows);
  text += fmt::format(
      "  in all: {} for inputs, {} for shared variables, {} for constants, {} for intermediate "
      "values, {} for results",
      inputs, shared, constants, plan.arena_bytes(), plan.result_bytes());
  return text;
}

/// Empty where they do not lie side by side, are many or cannot be fetched.
std::string values_on_device(Device device, const void* data, const Layout& layout) {
  constexpr std::int64_t most_elements = 4096;
  if (!is_contiguous(layout) || layout.shape.count() > most_elements) return {};
  try {
    const Tensor fetched = Tensor::empty(layout.shape, layout.dtype);
    CudaDevice::get(device.ordinal()).download(fetched.raw_data(), data, fetched.bytes());
    return short_values(fetched);
  } catch (const Error&) {
    return {};  // the error that is being told matters more
  }
}

}  // namespace

void rethrow_with(const std::string& context) {
#define CROTON_RETHROW(Type)        \
  catch (const Type& e) {           \
    throw Type(e.what() + context); \
  }
  try {
    throw;
  } catch (const NanGuardError&) {
    throw;  // it says all that already
  }
  CROTON_RETHROW(ShapeError)
  CROTON_RETHROW(IndexError)
  CROTON_RETHROW(ValueError)
  CROTON_RETHROW(TypeError)
  CROTON_RETHROW(AssertionError)
  CROTON_RETHROW(DeviceError)
  CROTON_RETHROW(MemoryError)
#undef CROTON_RETHROW
}

void rethrow_from_step(const Step& step, const Plan& plan, void* const* slots,
                       const std::string& function_name) {
  const Node* node = step.node();
  if (node == nullptr) rethrow_with(fmt::format("\n  in function '{}'", function_name));
  std::size_t position = 0;
  while (plan.steps()[position].get() != &step) ++position;
  std::string context =
      fmt::format("\n  in {}, step {} of function '{}'", node_label(*node), position, function_name);
  if (node->where().known()) context += fmt::format("\n  made at {}", to_string(node->where()));
  const std::vector<Layout> inputs = step.input_layouts();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Layout& layout = inputs[i];
    context += fmt::format("\n  input {}: {}, shape {}, strides {}", i, describe(node->input(i)),
                           to_string(layout.shape), to_string(layout.strides));
    const std::size_t slot = step.first_slot + step.first_input() + i;
    void* data = slots[slot];
    const std::string values =
        plan.slot_use(slot).device.is_cuda()
            ? values_on_device(plan.slot_use(slot).device, data, layout)
            : short_values(Tensor::view(data, layout.dtype, layout.shape, layout.strides, nullptr));
    if (!values.empty()) context += ", values " + values;
  }
  if (config().exception_verbosity() == Verbosity::high) {
    context += "\n  the graph of the node:\n" +
               debugprint_text({node->output()}, {.print_type = true, .stop_on_name = true}) +
               storage_map(plan);
  } else {
    context += "\n  (the flag exception_verbosity=high shows the graph of the node and the storage map)";
  }
  rethrow_with(context);
}

}  // namespace croton
