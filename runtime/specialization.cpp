#include "croton/runtime/specialization.h"

#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/ops/composite.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/elementwise.h"
#include "croton/runtime/cuda_dnn.h"
#include "croton/runtime/cuda_library_step.h"
#include "croton/runtime/cuda_support.h"
#include "croton/runtime/device_info.h"
#include "croton/runtime/run_error.h"

namespace croton {

namespace {

/// Types narrowed to the shapes of a call would broadcast where an extent happens to be 1: the general graph
/// is asked whether it may.
void check_broadcast(const Node& original, std::span<const Variable> inputs, std::vector<TensorType>&) {
  if (as_elementwise(original.op()) == nullptr && &original.op() != &composite_op()) return;
  std::vector<Shape> shapes;
  for (const Variable& input : inputs) {
    if (!input.type().shape.is_known()) return;
    shapes.push_back(input.type().shape);
  }
  try {
    broadcast_shape(original, shapes);
  } catch (const ShapeError&) {
    std::string context = fmt::format("\n  in {}", original.op().label(original));
    if (original.where().known()) context += ", made at " + to_string(original.where());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      context +=
          fmt::format("\n  input {}: {}, shape {}", i, describe(original.input(i)), to_string(shapes[i]));
    }
    rethrow_with(context);
  }
}

}  // namespace

std::unique_ptr<FunctionGraph> copy_of(const FunctionGraph& graph) {
  std::vector<TensorType> inputs, shared;
  for (const Variable& v : graph.inputs()) inputs.push_back(v.type());
  for (const Variable& v : graph.shared()) shared.push_back(v.type());
  return graph.with_types(inputs, shared);
}

std::unique_ptr<FunctionGraph> typed_graph(const FunctionGraph& general, const Tensor* const* inputs,
                                           SharedCell* const* shared) {
  std::vector<TensorType> input_types, shared_types;
  for (std::size_t i = 0; i < general.inputs().size(); ++i) {
    input_types.push_back({general.inputs()[i].dtype(), inputs[i]->shape()});
  }
  for (std::size_t i = 0; i < general.shared().size(); ++i) {
    shared_types.push_back({shared[i]->value().dtype(), shared[i]->value().shape()});
  }
  return general.with_types(input_types, shared_types, check_broadcast);
}

void check_cudnn(const Query& query, const Device& device) {
  if (!query.includes("cudnn")) return;
  if (device.is_host())
    throw FlagError("optimizer_including=cudnn is for functions on a GPU; this one is for device=cpu");
  const std::string name = to_string(device);
  if (const Availability dnn = dnn_available(name); !dnn) {
    throw DeviceError(
        fmt::format("optimizer_including=cudnn, but cuDNN cannot be used on {}: {}", name, dnn.reason));
  }
}

Query for_device(const Device& device, SpecializeOptions& options, const Query& query) {
  options.device = device;
  options.supports = cuda_supports;
  options.has_epilogues = has_cuda_library_epilogues;
  if (device.is_host() || has_cuda_library_step(dnn_conv_op())) return query;
  const std::string& problem = cudnn::library().problem;  // where it was looked for stands in parentheses
  return query.excluding("conv_dnn", problem.substr(0, problem.find(" (")) + "; croton doctor says more");
}

void specialize_function(FunctionGraph& graph, const FunctionDefinition& definition,
                         std::span<SharedCell* const> updated, std::vector<Device> devices,
                         OptimizerReport* report, OptimizerObserver* observer) {
  const std::size_t first = definition.output_names.size();
  SpecializeOptions options;
  options.results = first;
  options.input_devices = std::move(devices);
  for (std::size_t j = 0; j < updated.size(); ++j) {
    for (std::size_t s = 0; s < graph.shared().size(); ++s) {
      if (graph.shared()[s].node()->cell().get() == updated[j]) options.updates.emplace_back(first + j, s);
    }
  }
  const Query query = for_device(definition.device, options, definition.mode.query());
  specialize(graph, query, options, report, observer);
}

}  // namespace croton
