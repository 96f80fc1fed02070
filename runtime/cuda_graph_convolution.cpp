#include "croton/runtime/cuda_graph_convolution.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/ops/conv_implementations.h"
#include "croton/runtime/cuda_conv_timing.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_dnn_graph.h"

namespace croton {

namespace {

/// Whose engines are tried, and how many of each.
struct EngineSource {
  cudnn::HeuristicMode mode;
  std::size_t most;
  const char* name;
};
constexpr EngineSource sources[] = {{cudnn::heuristic_a, 10, "a"}, {cudnn::heuristic_b, 4, "b"}};
// Asked where these name none that may be used.
constexpr EngineSource fallback = {cudnn::heuristic_fallback, 4, "fallback"};

/// Whether the flags allow what the engine does with numbers.
bool is_allowed(const cudnn::EngineNotes& notes, DType dtype) {
  const Precision precision = config().precision();
  const bool is_ieee = dtype == DType::float32 && precision == Precision::ieee;
  if (config().deterministic() && !notes.is_deterministic) return false;
  if (notes.adds_up_in_less) return false;
  if (notes.converts_operands_down && precision != Precision::bf16) return false;
  // Of float32 tensor cores take factors in TF32.
  if (is_ieee && notes.by_tensor_cores) return false;
  // Transforms round more than sums of products; where factors are rounded that does not show.
  const bool rounds_factors = dtype == DType::float32 && !is_ieee;
  return !notes.is_transform || rounds_factors;
}

class CudaGraphConvolution final : public CudaLibraryStep {
 public:
  CudaGraphConvolution(CudaDevice& device, const cudnn::GraphConvolution& convolution)
      : handle_(cudnn::handle_of(device)),
        names_(cudnn::graph_tensors(convolution.direction)),
        graph_(handle_, convolution) {}

  /// False when cuDNN has no engine that may be used.
  bool choose(CudaDevice& device, const cudnn::GraphConvolution& c, DType dtype) {
    const bool may_measure = !config().deterministic();  // another may be chosen in another run
    const std::string problem = name_of(device, c);
    if (may_measure) {
      if (const auto known = known_conv_algorithm(problem); known && use_known(*known)) return true;
    }
    for (const EngineSource& source : sources) add_engines(source, dtype);
    if (engines_.empty()) add_engines(fallback, dtype);
    const std::array<std::size_t, 3> bytes = bytes_of(c, dtype);
    const std::size_t most = most_conv_workspace(bytes[0] + bytes[1] + bytes[2]);
    const auto use_one = [&](const CudnnAlgorithm& one) {
      use(one);
      if (workspace_ > most) throw DeviceError("its workspace is too large");
      return workspace_;
    };
    if (may_measure) {
      const auto measured = measure_conv_algorithms(
          device, candidates_, bytes, use_one, [&](void* const* buffers) { run(buffers, device.stream()); });
      if (measured) {
        remember_conv_algorithm(problem, *measured);
        return use_known(*measured);
      }
    }
    for (const CudnnAlgorithm& one : candidates_) {
      try {
        use_one(one);
        return true;
      } catch (const DeviceError&) {
        // The next one, then.
      }
    }
    return false;
  }

  void run(void* const* buffers, CUstream stream) override {
    void* const workspace = workspace_ == 0 ? nullptr : buffers[3];
    const std::array<void*, 4> wanted{buffers[0], buffers[1], buffers[2], workspace};
    if (wanted != packed_) {
      pack_ = cudnn::Descriptor(cudnn::variant_pack);
      pack_.set(cudnn::pack_names, names_);
      pack_.set(cudnn::pack_pointers, cudnn::type_pointer,
                std::span<void* const>(wanted).first(names_.size()));
      pack_.set(cudnn::pack_workspace, cudnn::type_pointer, workspace);
      pack_.finalize();
      packed_ = wanted;
    }
    cudnn::check(cudnn::library().set_stream(handle_, stream), "cudnnSetStream");
    cudnn::check(cudnn::library().backend_execute(handle_, plan_.raw(), pack_.raw()), "cudnnBackendExecute");
  }

  std::size_t scratch_bytes() const override { return workspace_; }
  bool is_exclusive() const override { return true; }
  std::size_t alignment() const override { return 16; }
  std::string description() const override {
    return fmt::format("cuDNN graph, engine {} of heuristic {}", position_, source_);
  }

 private:
  using Engine = cudnn::ConvolutionGraph::Engine;

  static std::array<std::size_t, 3> bytes_of(const cudnn::GraphConvolution& c, DType dtype) {
    std::array<std::size_t, 3> bytes{};
    const std::vector<std::int64_t> names = cudnn::graph_tensors(c.direction);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const std::vector<int>& extents = names[i] == cudnn::graph_image     ? c.problem.image
                                        : names[i] == cudnn::graph_filters ? c.problem.filters
                                                                           : c.problem.output;
      bytes[i] = size_of(dtype);
      for (const int extent : extents) bytes[i] *= static_cast<std::size_t>(extent);
    }
    return bytes;
  }

  /// Everything that the choice depends on.
  static std::string name_of(const CudaDevice& device, const cudnn::GraphConvolution& c) {
    const CudnnProblem& p = c.problem;
    return fmt::format(
        "cuDNN {} graph on {}\ndirection {} type {} sums {} precision {} layout {} workspace {}\nimage {} "
        "filters {} "
        "output "
        "{} pad {} stride {} dilation {} flip {}",
        cudnn::library().version, device.info().name, static_cast<int>(c.direction), c.type, c.sum_type,
        static_cast<int>(config().precision()), name_of_layout(c), config().metaopt_max_workspace(),
        fmt::join(p.image, "x"), fmt::join(p.filters, "x"), fmt::join(p.output, "x"), fmt::join(p.pad, "x"),
        fmt::join(p.stride, "x"), fmt::join(p.dilation, "x"), p.flip);
  }
  static std::string_view name_of_layout(const cudnn::GraphConvolution& c) {
    return croton::name_of(c.layout);
  }

  void add_engines(const EngineSource& source, DType dtype) {
    std::vector<Engine> found = graph_.engines(source.mode, source.most);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!is_allowed(found[i].notes, dtype)) continue;
      // Told apart by where the heuristic names them.
      candidates_.push_back({.algorithm = static_cast<int>(i),
                             .math = static_cast<int>(source.mode),
                             .workspace = 0,
                             .is_deterministic = found[i].notes.is_deterministic});
      engines_.push_back(std::move(found[i]));
    }
  }

  void use(const CudnnAlgorithm& one) {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (candidates_[i].algorithm == one.algorithm && candidates_[i].math == one.math) use(one, engines_[i]);
    }
  }
  void use(const CudnnAlgorithm& one, const Engine& engine) {
    plan_ = graph_.plan(engine);
    workspace_ = cudnn::ConvolutionGraph::workspace_of(plan_);
    packed_ = {};
    position_ = one.algorithm;
    source_ = one.math == fallback.mode     ? fallback.name
              : one.math == sources[0].mode ? sources[0].name
                                            : sources[1].name;
  }

  /// False where the heuristics name no such engine any more. Keeps no other.
  bool use_known(const CudnnAlgorithm& known) {
    std::vector<Engine> found = graph_.engines(static_cast<cudnn::HeuristicMode>(known.math),
                                               static_cast<std::size_t>(known.algorithm) + 1);
    if (found.size() != static_cast<std::size_t>(known.algorithm) + 1) return false;
    engines_.clear();
    engines_.push_back(std::move(found.back()));
    candidates_ = {known};
    use(known);
    return true;
  }

  cudnn::Handle handle_;
  std::vector<std::int64_t> names_;  // of both operands and the result
  cudnn::ConvolutionGraph graph_;
  std::vector<CudnnAlgorithm> candidates_;
  std::vector<Engine> engines_;  // of the candidates
  cudnn::Descriptor plan_, pack_;
  std::array<void*, 4> packed_{};  // the addresses in pack_
  std::size_t workspace_ = 0;
  int position_ = 0;
  const char* source_ = "";
};

}  // namespace

std::unique_ptr<CudaLibraryStep> make_graph_convolution(CudaDevice& device, const Node& node,
                                                        const CudnnProblem& problem, int type) {
  const ConvProblem p = concrete_conv_problem(node);
  const std::string precision = config().get("dnn.conv.precision");
  const cudnn::GraphConvolution convolution{.direction = p.direction,
                                            .problem = problem,
                                            .layout = conv_layout_of(node.op()),
                                            .type = type,
                                            .sum_type = cudnn::type_of_sums(type, precision)};
  auto step = std::make_unique<CudaGraphConvolution>(device, convolution);
  if (!step->choose(device, convolution, p.dtype))
    throw DeviceError("cuDNN " + cudnn::library().version +
                      " has no engine for the graph of this convolution; optimizer_excluding=conv_dnn takes "
                      "another implementation");
  return step;
}

}  // namespace croton
