#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "croton/graph/export.h"
#include "croton/ops/conv_layout.h"
#include "croton/ops/cudnn_problem.h"
#include "croton/runtime/cuda_dnn.h"

/// cuDNN's graph API, of which graphs of one convolution are used.
namespace croton::cudnn {

/// A descriptor of that API, owned. Every function throws DeviceError where the library refuses.
class CROTON_API Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(DescriptorKind kind);
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Descriptor();

  template <class T>
  void set(Attribute attribute, AttributeType type, std::span<const T> values) {
    set(attribute, type, static_cast<std::int64_t>(values.size()), values.data());
  }
  void set(Attribute attribute, std::span<const std::int64_t> values) { set(attribute, type_int64, values); }
  template <class T>
  void set(Attribute attribute, AttributeType type, const T& value) {
    set(attribute, type, 1, &value);
  }
  void set(Attribute attribute, const Descriptor& value) {
    set(attribute, type_descriptor, value.descriptor_);
  }
  /// No attribute changes from here on.
  void finalize();

  /// At most so many values; how many there are.
  std::int64_t get(Attribute attribute, AttributeType type, std::int64_t most, void* values) const;

  BackendDescriptor raw() const { return descriptor_; }

 private:
  void set(Attribute attribute, AttributeType type, std::int64_t count, const void* values);
  BackendDescriptor descriptor_ = nullptr;
};

/// A convolution or a gradient of one, in the library's numbers: the operands' elements have `type`, they lie
/// in `layout` (extents and axes are those of bc01), and are added up in `sum_type`.
struct GraphConvolution {
  ConvDirection direction = ConvDirection::forward;
  CudnnProblem problem;
  ConvLayout layout = ConvLayout::bc01;
  int type = real_32;
  int sum_type = real_32;
};

/// Names of the tensors in a variant pack.
enum GraphTensor : std::int64_t { graph_image = 1, graph_filters = 2, graph_output = 3 };
/// The tensors of a direction: both operands, then the result.
CROTON_API std::vector<std::int64_t> graph_tensors(ConvDirection direction);

/// How an engine computes, as it says itself.
struct EngineNotes {
  bool by_tensor_cores = false;
  bool converts_operands_down = false;
  bool adds_up_in_less = false;
  bool is_transform = false;  ///< Fourier's or Winograd's
  bool is_deterministic = true;
};

/// The graph of one convolution, and the engines for it that the library's heuristics name.
class CROTON_API ConvolutionGraph {
 public:
  ConvolutionGraph(Handle handle, const GraphConvolution& convolution);

  struct Engine {
    Descriptor engine, configuration;
    EngineNotes notes;
  };
  /// The first ones, best first as the heuristic thinks; none where it does not know such a graph.
  std::vector<Engine> engines(HeuristicMode mode, std::size_t most) const;

  /// What runs; it needs graph and engine. Throws DeviceError where the engine does not take it after all.
  Descriptor plan(const Engine& engine) const;
  static std::size_t workspace_of(const Descriptor& plan);

 private:
  Handle handle_;
  std::vector<Descriptor> operation_;
  Descriptor graph_;
};

/// The strides of elements in a layout, by the axes of bc01.
CROTON_API std::vector<std::int64_t> strides_in(ConvLayout layout, const std::vector<int>& extents);
/// The descriptor of such an operation, behind those of which it is made, which it needs as long as it lives.
/// Needs no device.
CROTON_API std::vector<Descriptor> convolution_operation(const GraphConvolution& convolution);

}  // namespace croton::cudnn
