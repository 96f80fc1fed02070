#include "croton/runtime/cuda_dnn_graph.h"

#include <algorithm>
#include <array>

namespace croton::cudnn {

namespace {

/// What device memory is aligned to at least, and operands must be.
constexpr std::int64_t alignment_bytes = 16;

std::vector<std::int64_t> wide(const std::vector<int>& numbers) { return {numbers.begin(), numbers.end()}; }

Descriptor tensor(const GraphConvolution& convolution, const std::vector<int>& extents, GraphTensor name) {
  Descriptor made(tensor_descriptor);
  made.set(tensor_data_type, type_data_type, convolution.type);
  made.set(tensor_extents, wide(extents));
  made.set(tensor_strides, strides_in(convolution.layout, extents));
  made.set(tensor_name, type_int64, static_cast<std::int64_t>(name));
  made.set(tensor_alignment, type_int64, alignment_bytes);
  made.finalize();
  return made;
}

/// The attributes of an operation's kind.
struct OperationRow {
  DescriptorKind kind;
  Attribute image, filters, output, convolution, alpha, beta;
};
OperationRow row_of(ConvDirection direction) {
  switch (direction) {
    case ConvDirection::forward:
      return {forward_operation,   forward_image, forward_filters, forward_output,
              forward_convolution, forward_alpha, forward_beta};
    case ConvDirection::backward_inputs:
      return {inputs_operation,   inputs_image, inputs_filters, inputs_output,
              inputs_convolution, inputs_alpha, inputs_beta};
    default:
      return {weights_operation,   weights_image, weights_filters, weights_output,
              weights_convolution, weights_alpha, weights_beta};
  }
}

EngineNotes notes_of(const Descriptor& engine) {
  std::array<int, 16> notes{};
  const std::int64_t count = engine.get(engine_numerical_notes, type_numerical_note,
                                        static_cast<std::int64_t>(notes.size()), notes.data());
  const auto has = [&](NumericalNote note) {
    const auto said = std::span(notes).first(static_cast<std::size_t>(count));
    return std::ranges::find(said, static_cast<int>(note)) != said.end();
  };
  return {.by_tensor_cores = has(by_tensor_cores),
          .converts_operands_down = has(converts_operands_down),
          .adds_up_in_less = has(adds_up_in_less),
          .is_transform = has(by_fourier_transforms) || has(by_winograd),
          .is_deterministic = !has(may_differ_between_runs)};
}

}  // namespace

Descriptor::Descriptor(DescriptorKind kind) {
  check(library().backend_create(kind, &descriptor_), "cudnnBackendCreateDescriptor");
}

Descriptor::~Descriptor() {
  if (descriptor_ != nullptr) library().backend_destroy(descriptor_);
}

void Descriptor::set(Attribute attribute, AttributeType type, std::int64_t count, const void* values) {
  check(library().backend_set(descriptor_, attribute, type, count, values), "cudnnBackendSetAttribute");
}

void Descriptor::finalize() { check(library().backend_finalize(descriptor_), "cudnnBackendFinalize"); }

std::int64_t Descriptor::get(Attribute attribute, AttributeType type, std::int64_t most, void* values) const {
  std::int64_t count = 0;
  check(library().backend_get(descriptor_, attribute, type, most, &count, values),
        "cudnnBackendGetAttribute");
  return most == 0 ? count : std::min(count, most);
}

std::vector<std::int64_t> graph_tensors(ConvDirection direction) {
  switch (direction) {
    case ConvDirection::forward:
      return {graph_image, graph_filters, graph_output};
    case ConvDirection::backward_inputs:
      return {graph_filters, graph_output, graph_image};
    default:
      return {graph_image, graph_output, graph_filters};
  }
}

std::vector<std::int64_t> strides_in(ConvLayout layout, const std::vector<int>& extents) {
  std::vector<std::int64_t> strides(extents.size());
  std::int64_t stride = 1;
  const std::vector<std::int64_t> order = axes_into(layout, extents.size());
  for (std::size_t i = order.size(); i-- > 0;) {
    const auto axis = static_cast<std::size_t>(order[i]);
    strides[axis] = stride;
    stride *= extents[axis];
  }
  return strides;
}

std::vector<Descriptor> convolution_operation(const GraphConvolution& c) {
  const CudnnProblem& p = c.problem;
  std::vector<Descriptor> made;
  made.push_back(tensor(c, p.image, graph_image));
  made.push_back(tensor(c, p.filters, graph_filters));
  made.push_back(tensor(c, p.output, graph_output));
  Descriptor& convolution = made.emplace_back(convolution_descriptor);
  convolution.set(convolution_axes, type_int64, static_cast<std::int64_t>(p.pad.size()));
  convolution.set(convolution_sum_type, type_data_type, c.sum_type);
  convolution.set(convolution_mode, type_convolution_mode,
                  static_cast<int>(p.flip ? cudnn::convolution : cross_correlation));
  convolution.set(convolution_pad_before, wide(p.pad));
  convolution.set(convolution_pad_behind, wide(p.pad));
  convolution.set(convolution_dilation, wide(p.dilation));
  convolution.set(convolution_stride, wide(p.stride));
  convolution.finalize();

  const OperationRow row = row_of(c.direction);
  Descriptor operation(row.kind);
  operation.set(row.image, made[0]);
  operation.set(row.filters, made[1]);
  operation.set(row.output, made[2]);
  operation.set(row.convolution, convolution);
  if (c.sum_type == real_64) {
    operation.set(row.alpha, type_double, 1.0);
    operation.set(row.beta, type_double, 0.0);
  } else {
    operation.set(row.alpha, type_float, 1.0F);
    operation.set(row.beta, type_float, 0.0F);
  }
  operation.finalize();
  made.push_back(std::move(operation));
  return made;
}

ConvolutionGraph::ConvolutionGraph(Handle handle, const GraphConvolution& convolution)
    : handle_(handle), operation_(convolution_operation(convolution)), graph_(operation_graph) {
  graph_.set(graph_handle, type_handle, handle);
  graph_.set(graph_operations, operation_.back());
  graph_.finalize();
}

std::vector<ConvolutionGraph::Engine> ConvolutionGraph::engines(HeuristicMode mode, std::size_t most) const {
  Descriptor heuristic(engine_heuristic);
  heuristic.set(heuristic_graph, graph_);
  heuristic.set(cudnn::heuristic_mode, type_heuristic_mode, static_cast<int>(mode));
  // That it knows none is no error.
  if (library().backend_finalize(heuristic.raw()) != 0) return {};
  const std::int64_t count = heuristic.get(heuristic_results, type_descriptor, 0, nullptr);
  std::vector<Engine> found(std::min(most, static_cast<std::size_t>(count)));
  std::vector<BackendDescriptor> raw;
  for (Engine& engine : found) {
    engine.configuration = Descriptor(engine_configuration);
    raw.push_back(engine.configuration.raw());
  }
  if (raw.empty()) return {};
  const std::int64_t given =
      heuristic.get(heuristic_results, type_descriptor, static_cast<std::int64_t>(raw.size()), raw.data());
  found.resize(static_cast<std::size_t>(given));
  for (Engine& one : found) {
    one.engine = Descriptor(engine_descriptor);
    BackendDescriptor engine = one.engine.raw();
    one.configuration.get(configuration_engine, type_descriptor, 1, &engine);
    one.notes = notes_of(one.engine);
  }
  return found;
}

Descriptor ConvolutionGraph::plan(const Engine& engine) const {
  Descriptor plan(execution_plan);
  plan.set(plan_handle, type_handle, handle_);
  plan.set(plan_configuration, engine.configuration);
  plan.finalize();
  return plan;
}

std::size_t ConvolutionGraph::workspace_of(const Descriptor& plan) {
  std::int64_t bytes = 0;
  plan.get(plan_workspace, type_int64, 1, &bytes);
  return static_cast<std::size_t>(bytes);
}

}  // namespace croton::cudnn
