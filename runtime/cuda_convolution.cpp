#include "croton/runtime/cuda_convolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <vector>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/cudnn_problem.h"
#include "croton/runtime/cuda_conv_choice.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_dnn.h"
#include "croton/runtime/cuda_memory.h"
#include "croton/runtime/cuda_timing.h"

namespace croton {

namespace {

/// One a device, made when first needed, never destroyed: the library outlives us at the end of a process.
cudnn::Handle handle_of(const CudaDevice& device) {
  static std::mutex mutex;
  static auto* const handles = new std::map<int, cudnn::Handle>;
  const std::lock_guard lock(mutex);
  cudnn::Handle& handle = (*handles)[device.ordinal()];
  if (handle == nullptr) cudnn::check(cudnn::library().create(&handle), "cudnnCreate");
  return handle;
}

std::optional<int> data_type(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return cudnn::real_16;
    case DType::bfloat16:
      return cudnn::brain_16;
    case DType::float32:
      return cudnn::real_32;
    case DType::float64:
      return cudnn::real_64;
    default:
      return std::nullopt;
  }
}

/// The names of NVIDIA's documentation, without their common beginnings.
const char* name_of_algorithm(ConvDirection direction, int algorithm) {
  static constexpr const char* forward[] = {
      "implicit_gemm", "implicit_precomp_gemm", "gemm", "direct", "fft", "fft_tiling",
      "winograd",      "winograd_nonfused"};
  static constexpr const char* data[] = {"algo_0",     "algo_1",   "fft",
                                         "fft_tiling", "winograd", "winograd_nonfused"};
  static constexpr const char* filter[] = {
      "algo_0", "algo_1", "fft", "algo_3", "winograd", "winograd_nonfused", "fft_tiling"};
  const auto pick = [algorithm](const auto& names) {
    return algorithm >= 0 && static_cast<std::size_t>(algorithm) < std::size(names)
               ? names[static_cast<std::size_t>(algorithm)]
               : "unnamed algorithm";
  };
  switch (direction) {
    case ConvDirection::forward:
      return pick(forward);
    case ConvDirection::backward_inputs:
      return pick(data);
    default:
      return pick(filter);
  }
}

class CudaConvolution final : public CudaLibraryStep {
 public:
  CudaConvolution(CudaDevice& device, ConvDirection direction, const CudnnProblem& p, int type)
      : direction_(direction), is_double_(type == cudnn::real_64), handle_(handle_of(device)) {
    const cudnn::Library& dnn = cudnn::library();
    image_ = tensor(p.image, type);
    output_ = tensor(p.output, type);
    cudnn::check(dnn.filter_create(&filters_), "cudnnCreateFilterDescriptor");
    cudnn::check(dnn.filter_set(filters_, type, cudnn::channels_first, static_cast<int>(p.filters.size()),
                                p.filters.data()),
                 "cudnnSetFilterNdDescriptor");
    cudnn::check(dnn.convolution_create(&convolution_), "cudnnCreateConvolutionDescriptor");
    cudnn::check(
        dnn.convolution_set(convolution_, static_cast<int>(p.pad.size()), p.pad.data(), p.stride.data(),
                            p.dilation.data(), p.flip ? cudnn::convolution : cudnn::cross_correlation,
                            is_double_ ? cudnn::real_64 : cudnn::real_32),
        "cudnnSetConvolutionNdDescriptor");
    cudnn::check(dnn.convolution_set_groups(convolution_, p.groups), "cudnnSetConvolutionGroupCount");
    // What cuDNN does by default with float32 is TF32 where the device has it.
    const bool is_ieee = type == cudnn::real_32 && config().precision() == Precision::ieee;
    cudnn::check(dnn.convolution_set_math(convolution_,
                                          is_ieee ? cudnn::fused_multiply_add_math : cudnn::default_math),
                 "cudnnSetConvolutionMathType");
    is_ieee_ = is_ieee;
  }
  ~CudaConvolution() override {
    const cudnn::Library& dnn = cudnn::library();
    if (convolution_ != nullptr) dnn.convolution_destroy(convolution_);
    if (filters_ != nullptr) dnn.filter_destroy(filters_);
    for (const cudnn::TensorDescriptor t : {image_, output_}) {
      if (t != nullptr) dnn.tensor_destroy(t);
    }
  }

  /// False when cuDNN has no algorithm that may be used.
  bool choose(CudaDevice& device, const CudnnProblem& p, int type) {
    const std::string problem = name_of(device, p, type);
    const bool may_measure = !config().deterministic();
    if (may_measure) {
      if (const auto known = known_conv_algorithm(problem)) {
        use(*known);
        return true;
      }
    }
    const auto bytes_of = [&](const std::vector<int>& extents) {
      return std::accumulate(extents.begin(), extents.end(), element_bytes(type),
                             [](std::size_t a, int b) { return a * static_cast<std::size_t>(b); });
    };
    const std::size_t image = bytes_of(p.image), filters = bytes_of(p.filters), output = bytes_of(p.output);
    const std::vector<CudnnAlgorithm> candidates = usable(most_conv_workspace(image + filters + output));
    if (candidates.empty()) return false;
    // Measuring may choose another in another run.
    if (!may_measure || candidates.size() == 1) {
      use(candidates.front());
      return true;
    }
    const std::array<std::size_t, 3> operands =
        direction_ == ConvDirection::forward           ? std::array{image, filters, output}
        : direction_ == ConvDirection::backward_inputs ? std::array{filters, output, image}
                                                       : std::array{image, output, filters};
    const std::optional<CudnnAlgorithm> best = measure(device, candidates, operands);
    use(best.value_or(candidates.front()));
    if (best) remember_conv_algorithm(problem, *best);
    return true;
  }

  void run(void* const* buffers, CUstream stream) override {
    const cudnn::Library& dnn = cudnn::library();
    const double wide[] = {1, 0};
    const float narrow[] = {1, 0};
    const void* const one = is_double_ ? static_cast<const void*>(&wide[0]) : &narrow[0];
    const void* const zero = is_double_ ? static_cast<const void*>(&wide[1]) : &narrow[1];
    void *const first = buffers[0], *const second = buffers[1], *const result = buffers[2];
    void* const workspace = workspace_ == 0 ? nullptr : buffers[3];
    cudnn::check(dnn.set_stream(handle_, stream), "cudnnSetStream");
    switch (direction_) {
      case ConvDirection::forward:
        cudnn::check(dnn.forward(handle_, one, image_, first, filters_, second, convolution_, algorithm_,
                                 workspace, workspace_, zero, output_, result),
                     "cudnnConvolutionForward");
        break;
      case ConvDirection::backward_inputs:
        cudnn::check(dnn.backward_data(handle_, one, filters_, first, output_, second, convolution_,
                                       algorithm_, workspace, workspace_, zero, image_, result),
                     "cudnnConvolutionBackwardData");
        break;
      default:
        cudnn::check(dnn.backward_filter(handle_, one, image_, first, output_, second, convolution_,
                                         algorithm_, workspace, workspace_, zero, filters_, result),
                     "cudnnConvolutionBackwardFilter");
    }
  }

  std::size_t scratch_bytes() const override { return workspace_; }
  std::string description() const override {
    return std::string("cuDNN ") + name_of_algorithm(direction_, algorithm_);
  }

 private:
  static std::size_t element_bytes(int type) {
    return type == cudnn::real_64 ? 8 : type == cudnn::real_32 ? 4 : 2;
  }

  /// Everything that the choice of an algorithm depends on.
  std::string name_of(const CudaDevice& device, const CudnnProblem& p, int type) const {
    return fmt::format(
        "cuDNN {} on {}\ndirection {} type {} ieee {} precision {}\nimage {} filters {} output {} pad {} "
        "stride {} dilation {} groups {} flip {}",
        cudnn::library().version, device.info().name, static_cast<int>(direction_), type, is_ieee_,
        static_cast<int>(config().precision()), fmt::join(p.image, "x"), fmt::join(p.filters, "x"),
        fmt::join(p.output, "x"), fmt::join(p.pad, "x"), fmt::join(p.stride, "x"), fmt::join(p.dilation, "x"),
        p.groups, p.flip);
  }

  /// The algorithms that may be used, in the order of the library's guess.
  std::vector<CudnnAlgorithm> usable(std::size_t most_workspace) const {
    const cudnn::Library& dnn = cudnn::library();
    std::array<cudnn::Performance, 16> found{};
    int count = 0;
    const int wanted = static_cast<int>(found.size());
    int status = 0;
    switch (direction_) {
      case ConvDirection::forward:
        status = dnn.forward_algorithms(handle_, image_, filters_, convolution_, output_, wanted, &count,
                                        found.data());
        break;
      case ConvDirection::backward_inputs:
        status = dnn.data_algorithms(handle_, filters_, output_, convolution_, image_, wanted, &count,
                                     found.data());
        break;
      default:
        status = dnn.filter_algorithms(handle_, image_, output_, convolution_, filters_, wanted, &count,
                                       found.data());
    }
    std::vector<CudnnAlgorithm> result;
    if (status != 0) return result;
    const bool deterministic = config().deterministic();
    for (const cudnn::Performance& p : std::span(found).first(static_cast<std::size_t>(count))) {
      if (p.status != 0 || p.workspace_bytes > most_workspace) continue;
      if (deterministic && p.determinism != cudnn::is_deterministic) continue;
      if (is_ieee_ && p.math != cudnn::fused_multiply_add_math && p.math != cudnn::default_math) continue;
      result.push_back({p.algorithm, p.math, p.workspace_bytes, p.determinism == cudnn::is_deterministic});
    }
    return result;
  }

  void use(const CudnnAlgorithm& a) {
    algorithm_ = a.algorithm;
    workspace_ = a.workspace;
    if (is_ieee_) return;
    cudnn::check(cudnn::library().convolution_set_math(convolution_, a.math), "cudnnSetConvolutionMathType");
  }

  /// Runs each on memory of its own; nothing where that is not to be had.
  std::optional<CudnnAlgorithm> measure(CudaDevice& device, const std::vector<CudnnAlgorithm>& candidates,
                                        const std::array<std::size_t, 3>& operands) {
    constexpr unsigned char filling = 0x3c;  // ordinary numbers in every type: 0x3c3c3c3c is 0.0115
    const std::lock_guard guard(device.mutex());
    std::vector<StorageRef> memory;
    std::array<void*, 4> buffers{};
    try {
      for (const std::size_t bytes : operands) {
        memory.push_back(device.allocate(bytes));
        buffers[memory.size() - 1] = memory.back()->data();
        device.fill(memory.back()->data(), filling, bytes);
      }
    } catch (const MemoryError&) {
      return std::nullopt;
    }
    const auto seconds = [&](const CudnnAlgorithm& candidate, double limit) -> std::optional<double> {
      try {
        use(candidate);
        StorageRef workspace;
        if (workspace_ > 0) workspace = device.allocate(workspace_);
        buffers[3] = workspace_ > 0 ? workspace->data() : nullptr;
        return device_seconds(device, [&] { run(buffers.data(), device.stream()); }, limit);
      } catch (const MemoryError&) {
      } catch (const DeviceError&) {
        // The library refuses some that it has named.
      }
      return std::nullopt;
    };
    const std::optional<CudnnAlgorithm> best = fastest_conv_algorithm(candidates, seconds);
    memory.clear();
    device.memory().trim();
    return best;
  }

  static cudnn::TensorDescriptor tensor(const std::vector<int>& extents, int type) {
    cudnn::TensorDescriptor made = nullptr;
    const std::vector<int> strides = packed_strides(extents);
    cudnn::check(cudnn::library().tensor_create(&made), "cudnnCreateTensorDescriptor");
    cudnn::check(cudnn::library().tensor_set(made, type, static_cast<int>(extents.size()), extents.data(),
                                             strides.data()),
                 "cudnnSetTensorNdDescriptor");
    return made;
  }

  ConvDirection direction_;
  bool is_double_;
  bool is_ieee_ = true;
  cudnn::Handle handle_;
  cudnn::TensorDescriptor image_ = nullptr, output_ = nullptr;
  cudnn::FilterDescriptor filters_ = nullptr;
  cudnn::ConvolutionDescriptor convolution_ = nullptr;
  int algorithm_ = 0;
  std::size_t workspace_ = 0;
};

}  // namespace

std::string cudnn_start_problem(CudaDevice& device) {
  if (!cudnn::library().problem.empty()) return cudnn::library().problem;
  try {
    device.make_current();
    handle_of(device);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

std::unique_ptr<CudaLibraryStep> make_cuda_convolution(CudaDevice& device, const Node& node,
                                                       std::span<const Layout> inputs,
                                                       std::span<const Layout> outputs) {
  const ConvProblem problem = concrete_conv_problem(node);
  const std::optional<int> type = data_type(problem.dtype);
  if (!type) return nullptr;
  for (const std::span<const Layout>& layouts : {inputs, outputs}) {
    if (!std::all_of(layouts.begin(), layouts.end(), is_contiguous)) return nullptr;
  }
  std::string reason;
  const std::optional<CudnnProblem> p = cudnn_problem(problem, reason);
  if (!p) return nullptr;
  device.make_current();
  auto step = std::make_unique<CudaConvolution>(device, problem.direction, *p, *type);
  return step->choose(device, *p, *type) ? std::move(step) : nullptr;
}

}  // namespace croton
