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
#include "croton/ops/cudnn_algorithm.h"
#include "croton/ops/cudnn_problem.h"
#include "croton/runtime/cuda_conv_choice.h"
#include "croton/runtime/cuda_conv_timing.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_dnn.h"
#include "croton/runtime/cuda_graph_convolution.h"

namespace croton {

namespace {

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

/// What a convolution asks of the library (attributes of its node).
struct CudnnRequest {
  std::string algorithm;  ///< one by name, or how one is chosen
  bool or_none = false;   ///< where the library refuses it another is taken
  int compute_type = cudnn::real_32;
  std::optional<std::size_t> workspace;  ///< at most so many bytes

  bool is_timed() const { return algorithm.starts_with("time_"); }
  bool is_once() const { return algorithm.ends_with("_once"); }

  static CudnnRequest of(const Node& node, int type) {
    const Attributes& a = node.attributes();
    CudnnRequest request;
    request.algorithm = a.get_or<std::string>("algo", "time_on_shape_change");
    request.or_none = a.get_or<bool>("or_none", false);
    request.compute_type =
        cudnn::type_of_sums(type, a.get_or<std::string>("compute_precision", "as_input_f32"));
    if (a.contains("workspace"))
      request.workspace = static_cast<std::size_t>(a.get<std::int64_t>("workspace")) << 20;
    return request;
  }
};

/// The algorithms that guess_once and time_once have chosen, by what does not change with the images.
class ChosenOnce {
 public:
  static std::optional<int> find(const std::string& problem) {
    const std::lock_guard lock(instance().mutex_);
    const auto entry = instance().known_.find(problem);
    return entry == instance().known_.end() ? std::nullopt : std::optional(entry->second);
  }
  static void keep(const std::string& problem, int algorithm) {
    const std::lock_guard lock(instance().mutex_);
    instance().known_.emplace(problem, algorithm);
  }

 private:
  static ChosenOnce& instance() {
    static auto* const chosen = new ChosenOnce;
    return *chosen;
  }
  std::mutex mutex_;
  std::map<std::string, int> known_;
};

class CudaConvolution final : public CudaLibraryStep {
 public:
  CudaConvolution(CudaDevice& device, ConvDirection direction, const CudnnProblem& p, int type,
                  const CudnnRequest& request)
      : direction_(direction), is_double_(type == cudnn::real_64), handle_(cudnn::handle_of(device)) {
    const cudnn::Library& dnn = cudnn::library();
    image_ = tensor(p.image, type);
    output_ = tensor(p.output, type);
    cudnn::check(dnn.filter_create(filters_.place()), "cudnnCreateFilterDescriptor");
    cudnn::check(dnn.filter_set(filters_, type, cudnn::channels_first, static_cast<int>(p.filters.size()),
                                p.filters.data()),
                 "cudnnSetFilterNdDescriptor");
    cudnn::check(dnn.convolution_create(convolution_.place()), "cudnnCreateConvolutionDescriptor");
    cudnn::check(
        dnn.convolution_set(convolution_, static_cast<int>(p.pad.size()), p.pad.data(), p.stride.data(),
                            p.dilation.data(), p.flip ? cudnn::convolution : cudnn::cross_correlation,
                            request.compute_type),
        "cudnnSetConvolutionNdDescriptor");
    cudnn::check(dnn.convolution_set_groups(convolution_, p.groups), "cudnnSetConvolutionGroupCount");
    // What cuDNN does by default with float32 is TF32 where the device has it.
    const bool is_ieee = type == cudnn::real_32 && config().precision() == Precision::ieee;
    cudnn::check(dnn.convolution_set_math(convolution_,
                                          is_ieee ? cudnn::fused_multiply_add_math : cudnn::default_math),
                 "cudnnSetConvolutionMathType");
    is_ieee_ = is_ieee;
  }

  /// False when cuDNN has no algorithm that may be used. Throws DeviceError where it refuses the one that is
  /// asked for.
  bool choose(CudaDevice& device, const CudnnProblem& p, int type, const CudnnRequest& request) {
    // Measuring may choose another in another run.
    const bool may_measure = request.is_timed() && !config().deterministic();
    const std::string problem = name_of(device, p, type, request);
    if (may_measure && !request.is_once()) {
      if (const auto known = known_conv_algorithm(problem); known && !is_by_name_only(*known, p)) {
        use(*known);
        return true;
      }
    }
    const auto bytes_of = [&](const std::vector<int>& extents) {
      return std::accumulate(extents.begin(), extents.end(), element_bytes(type),
                             [](std::size_t a, int b) { return a * static_cast<std::size_t>(b); });
    };
    const std::size_t image = bytes_of(p.image), filters = bytes_of(p.filters), output = bytes_of(p.output);
    std::vector<CudnnAlgorithm> candidates =
        usable(request.workspace.value_or(most_conv_workspace(image + filters + output)));
    if (const std::optional<int> named = cudnn_algorithm_number(direction_, request.algorithm))
      return use_named(*named, candidates, request);
    std::erase_if(candidates, [&](const CudnnAlgorithm& a) { return is_by_name_only(a, p); });
    if (candidates.empty()) return false;
    if (request.is_once() && use_chosen_once(device, p, type, request, candidates)) return true;
    CudnnAlgorithm best = candidates.front();
    if (may_measure && candidates.size() > 1) {
      const std::array<std::size_t, 3> operands =
          direction_ == ConvDirection::forward           ? std::array{image, filters, output}
          : direction_ == ConvDirection::backward_inputs ? std::array{filters, output, image}
                                                         : std::array{image, output, filters};
      const auto measured = measure_conv_algorithms(
          device, candidates, operands,
          [&](const CudnnAlgorithm& candidate) {
            use(candidate);
            return workspace_;
          },
          [&](void* const* buffers) { run(buffers, device.stream()); });
      if (measured) {
        best = *measured;
        remember_conv_algorithm(problem, best);
      }
    }
    use(best);
    if (request.is_once()) ChosenOnce::keep(name_of(device, of_any_images(p), type, request), best.algorithm);
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
  bool is_exclusive() const override { return true; }
  std::string description() const override {
    return std::string("cuDNN ") + name_of_algorithm(direction_, algorithm_);
  }

 private:
  static std::size_t element_bytes(int type) {
    return type == cudnn::real_64 ? 8 : type == cudnn::real_32 ? 4 : 2;
  }

  /// Winograd's filtering of 5 x 5 kernels rounds to three digits. (Choices on disk may still name it.)
  bool is_by_name_only(const CudnnAlgorithm& a, const CudnnProblem& p) const {
    return a.algorithm == cudnn_algorithm_number(direction_, "winograd_non_fused") && p.filters[2] != 3;
  }

  static const CudnnAlgorithm* find(std::span<const CudnnAlgorithm> candidates, int algorithm) {
    const auto found = std::ranges::find(candidates, algorithm, &CudnnAlgorithm::algorithm);
    return found == candidates.end() ? nullptr : &*found;
  }

  bool use_named(int named, std::span<const CudnnAlgorithm> candidates, const CudnnRequest& request) {
    const CudnnAlgorithm* chosen = find(candidates, named);
    if (chosen == nullptr && !request.or_none) {
      throw DeviceError(fmt::format("cuDNN {} does not compute this convolution by {} (dnn.conv.algo: {})",
                                    cudnn::library().version, name_of_algorithm(direction_, named),
                                    request.algorithm));
    }
    constexpr int none = 0;
    if (chosen == nullptr) chosen = find(candidates, none);
    if (chosen == nullptr && !candidates.empty()) chosen = &candidates.front();
    if (chosen != nullptr) use(*chosen);
    return chosen != nullptr;
  }

  /// The choice that was made for other images with the same filters and options.
  bool use_chosen_once(const CudaDevice& device, const CudnnProblem& p, int type, const CudnnRequest& request,
                       std::span<const CudnnAlgorithm> candidates) {
    const auto algorithm = ChosenOnce::find(name_of(device, of_any_images(p), type, request));
    const CudnnAlgorithm* const chosen = algorithm ? find(candidates, *algorithm) : nullptr;
    if (chosen != nullptr) use(*chosen);
    return chosen != nullptr;
  }

  static CudnnProblem of_any_images(CudnnProblem p) {
    p.image.clear();
    p.output.clear();
    return p;
  }

  /// Everything that the choice of an algorithm depends on.
  std::string name_of(const CudaDevice& device, const CudnnProblem& p, int type,
                      const CudnnRequest& request) const {
    std::string text = fmt::format(
        "cuDNN {} on {}\ndirection {} type {} ieee {} precision {}\nimage {} filters {} output {} pad {} "
        "stride {} dilation {} groups {} flip {}",
        cudnn::library().version, device.info().name, static_cast<int>(direction_), type, is_ieee_,
        static_cast<int>(config().precision()), fmt::join(p.image, "x"), fmt::join(p.filters, "x"),
        fmt::join(p.output, "x"), fmt::join(p.pad, "x"), fmt::join(p.stride, "x"), fmt::join(p.dilation, "x"),
        p.groups, p.flip);
    if (request.compute_type != cudnn::type_of_sums(type, "as_input_f32")) text += "\nadds up in float16";
    if (request.workspace) text += fmt::format("\nworkspace {}", *request.workspace);
    if (const int most = config().metaopt_max_workspace(); most > 0)
      text += fmt::format("\nat most {} MiB", most);
    if (request.is_once()) text += "\n" + request.algorithm;
    return text;
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

  static cudnn::OwnedTensor tensor(const std::vector<int>& extents, int type) {
    cudnn::OwnedTensor made;
    const std::vector<int> strides = packed_strides(extents);
    cudnn::check(cudnn::library().tensor_create(made.place()), "cudnnCreateTensorDescriptor");
    cudnn::check(cudnn::library().tensor_set(made, type, static_cast<int>(extents.size()), extents.data(),
                                             strides.data()),
                 "cudnnSetTensorNdDescriptor");
    return made;
  }

  ConvDirection direction_;
  bool is_double_;
  bool is_ieee_ = true;
  cudnn::Handle handle_;
  cudnn::OwnedTensor image_, output_;
  cudnn::OwnedFilter filters_;
  cudnn::OwnedConvolution convolution_;
  int algorithm_ = 0;
  std::size_t workspace_ = 0;
};

}  // namespace

std::string cudnn_start_problem(CudaDevice& device) {
  if (!cudnn::library().problem.empty()) return cudnn::library().problem;
  try {
    device.make_current();
    cudnn::handle_of(device);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

std::unique_ptr<CudaLibraryStep> make_cuda_convolution(CudaDevice& device, const Node& node,
                                                       std::span<const Layout> inputs,
                                                       std::span<const Layout> outputs) {
  const ConvProblem problem = concrete_conv_problem(node);
  const std::optional<int> type = cudnn::data_type_of(problem.dtype);
  if (!type) return nullptr;
  for (const std::span<const Layout>& layouts : {inputs, outputs}) {
    if (!std::all_of(layouts.begin(), layouts.end(), is_contiguous)) return nullptr;
  }
  std::string reason;
  const std::optional<CudnnProblem> p = cudnn_problem(problem, reason);
  if (!p) return nullptr;
  const std::lock_guard guard(device.mutex());
  device.make_current();
  if (&node.op() == &dnn_b01c_conv_op() || node.attributes().get_or<std::string>("algo", "") == "graph")
    return make_graph_convolution(device, node, *p, *type);
  const CudnnRequest request = CudnnRequest::of(node, *type);
  auto step = std::make_unique<CudaConvolution>(device, problem.direction, *p, *type, request);
  return step->choose(device, *p, *type, request) ? std::move(step) : nullptr;
}

}  // namespace croton
