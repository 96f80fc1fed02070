#include "croton/runtime/cuda_product.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "croton/codegen/tensor_core_product.h"
#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/ops/blas.h"
#include "croton/ops/shape_ops.h"
#include "croton/runtime/cuda_blas.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_product_choice.h"
#include "croton/runtime/cuda_product_layout.h"
#include "croton/runtime/cuda_product_trial.h"
#include "croton/runtime/cuda_timing.h"

namespace croton {

namespace {

// Products with fewer multiplications are one small loop for generated code.
constexpr std::int64_t least_work = 16 * 16 * 16;
constexpr std::size_t most_workspace = std::size_t{32} << 20;
// Algorithms that are measured, of products with so many multiplications or more.
constexpr int most_measured = 6;
constexpr double least_measured = 1e7;
constexpr std::uintptr_t vector_alignment = 16;  // bytes that the fast algorithms load at once

/// One a device, made when first needed, never destroyed: the library outlives us at the end of a process.
cublaslt::Handle handle_of(const CudaDevice& device) {
  static std::mutex mutex;
  static auto* const handles = new std::map<int, cublaslt::Handle>;
  const std::lock_guard lock(mutex);
  cublaslt::Handle& handle = (*handles)[device.ordinal()];
  if (handle == nullptr) cublaslt::check(cublaslt::library().create(&handle), "cublasLtCreate");
  return handle;
}

/// How numbers lie in memory, and what they are computed in.
struct Arithmetic {
  DType dtype;
  int data, compute, scale;
  const char* name;
};

std::optional<Arithmetic> arithmetic_of(DType dtype, Precision precision) {
  using namespace cublaslt;
  switch (dtype) {
    case DType::float16:
      return Arithmetic{dtype, real_16, compute_32, real_32, "float16"};
    case DType::bfloat16:
      return Arithmetic{dtype, brain_16, compute_32, real_32, "bfloat16"};
    case DType::float32:
      if (precision == Precision::tf32)
        return Arithmetic{dtype, real_32, compute_32_by_tf32, real_32, "tf32"};
      if (precision == Precision::bf16)
        return Arithmetic{dtype, real_32, compute_32_by_bfloat16, real_32, "bf16"};
      return Arithmetic{dtype, real_32, compute_32, real_32, "float32"};
    case DType::float64:
      return Arithmetic{dtype, real_64, compute_64, real_64, "float64"};
    default:
      return std::nullopt;
  }
}

/// A 0-d operand that is known while planning; 1 (or the given) for one that is not there.
std::optional<double> known_factor(const Node& node, int input, double otherwise) {
  if (input < 0) return otherwise;
  const Node& factor = *node.input(static_cast<std::size_t>(input)).node();
  if (factor.kind() != Node::Kind::constant) return std::nullopt;
  return factor.value().astype(DType::float64).item<double>();
}

/// What the library is asked for.
struct ProductRequest {
  BlasProduct product;
  Arithmetic arithmetic;
  std::optional<double> alpha, beta;  // where they are known
};

/// Nothing where generated code is faster, and where the library would have to be given copies.
std::optional<ProductRequest> request_of(const Node& node, std::span<const Layout> inputs,
                                         std::span<const Layout> outputs) {
  const std::optional<Arithmetic> arithmetic = arithmetic_of(node.type().dtype, config().precision());
  const std::optional<ProductOperands> operands = product_operands(node, inputs, outputs);
  if (!arithmetic || !operands || operands->m * operands->n * operands->k < least_work) return std::nullopt;
  const ProductMatrix &a = operands->a, &b = operands->b;
  const ProductWalk a_walk{a.row, a.column}, b_walk{b.row, b.column};
  if (thin_product(operands->m, operands->n, operands->k, a_walk, b_walk) ||
      is_tensor_core_product(node.type().dtype, operands->m, operands->n, operands->k, a_walk, b_walk)) {
    return std::nullopt;
  }
  const std::optional<double> alpha = known_factor(node, operands->alpha, 1);
  const std::optional<double> beta = known_factor(node, operands->beta, operands->z.buffer >= 0 ? 1 : 0);
  // A factor of 16 bits in device memory is not of the type that the library reads.
  if (!(alpha && beta) && arithmetic->data != arithmetic->scale) return std::nullopt;
  std::string reason;
  const std::optional<BlasProduct> product = blas_product(*operands, beta, reason);
  if (!product) return std::nullopt;
  return ProductRequest{*product, *arithmetic, alpha, product->bias >= 0 ? std::optional(0.0) : beta};
}

class CudaProduct final : public CudaLibraryStep {
 public:
  CudaProduct(CudaDevice& device, const ProductRequest& request, bool has_relu)
      : p_(request.product),
        arithmetic_(request.arithmetic),
        has_relu_(has_relu),
        does_relu_(has_relu),
        handle_(handle_of(device)) {
    const cublaslt::Library& blas = cublaslt::library();
    cublaslt::check(blas.operation_create(operation_.place(), arithmetic_.compute, arithmetic_.scale),
                    "cublasLtMatmulDescCreate");
    set(cublaslt::transposition_a, p_.a.transposed ? cublaslt::transposed : cublaslt::plain);
    set(cublaslt::transposition_b, p_.b.transposed ? cublaslt::transposed : cublaslt::plain);
    set_epilogue();
    a_ = matrix(p_.a);
    b_ = matrix(p_.b);
    d_ = matrix(p_.d);
    c_ = p_.c.buffer >= 0 ? matrix(p_.c) : matrix(p_.d);
    if (request.alpha && request.beta) {
      host_factors_ = {as_scale(*request.alpha), as_scale(*request.beta)};
    } else {
      place_factors(device, request.alpha, request.beta);
    }
  }

  /// Finds algorithms, for as much as the library can do at once. False when it has none at all.
  bool choose(CudaDevice& device) {
    if (choose_algorithms(device) && (!does_relu_ || keeps_nan(device))) return true;
    if (does_relu_) {
      does_relu_ = false;
      set_epilogue();
      if (choose_algorithms(device)) return true;
    }
    // Of some products with a bias it has none for operands that lie anywhere.
    if (p_.bias < 0) return false;
    p_.bias = -1;
    leaves_row_ = true;
    set_epilogue();
    return choose_algorithms(device);
  }

  Rest rest() const override {
    if (leaves_row_) return Rest::row_and_activation;
    return has_relu_ && !does_relu_ ? Rest::activation : Rest::nothing;
  }

  void run(void* const* buffers, CUstream stream) override {
    const cublaslt::Library& blas = cublaslt::library();
    const auto at = [&](const BlasMatrix& m) { return buffers[m.buffer]; };
    void* const c = p_.c.buffer >= 0 ? at(p_.c) : at(p_.d);
    std::uintptr_t bits = address(at(p_.a)) | address(at(p_.b)) | address(c) | address(at(p_.d));
    if (p_.bias >= 0) {
      void* const bias = buffers[p_.bias];
      bits |= address(bias);
      cublaslt::check(blas.operation_set(operation_, cublaslt::bias_pointer, &bias, sizeof bias),
                      "cublasLtMatmulDescSetAttribute");
    }
    const ProductAlgorithm& choice = bits % vector_alignment == 0 ? aligned_ : unaligned_;
    const void *alpha = &host_factors_[0], *beta = &host_factors_[1];
    if (factors_) {
      const auto* const known = static_cast<const Scale*>(factors_->data());
      alpha = alpha_known_ ? known : buffers[p_.alpha];
      beta = beta_known_ ? known + 1 : buffers[p_.beta];
    }
    void* const workspace = scratch_bytes() == 0 ? nullptr : buffers[p_.d.buffer + 1];
    cublaslt::check(blas.multiply(handle_, operation_, alpha, at(p_.a), a_, at(p_.b), b_, beta, c, c_,
                                  at(p_.d), d_, &choice.algorithm, workspace, choice.workspace, stream),
                    "cublasLtMatmul");
  }

  std::size_t scratch_bytes() const override { return std::max(aligned_.workspace, unaligned_.workspace); }
  std::string description() const override {
    constexpr const char* epilogues[2][2] = {{"", " with relu"}, {" with bias", " with bias and relu"}};
    return std::string("cuBLASLt ") + arithmetic_.name + epilogues[p_.bias >= 0][does_relu_];
  }

 private:
  /// alpha or beta in the scale type: a float in the first half, or a double.
  union Scale {
    float narrow;
    double wide;
  };

  static std::uintptr_t address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }
  std::uintptr_t element_bytes() const { return size_of(arithmetic_.dtype); }

  void set(int attribute, int value) {
    cublaslt::check(cublaslt::library().operation_set(operation_, attribute, &value, sizeof value),
                    "cublasLtMatmulDescSetAttribute");
  }

  cublaslt::OwnedMatrix matrix(const BlasMatrix& m) const {
    cublaslt::OwnedMatrix made;
    cublaslt::check(
        cublaslt::library().matrix_create(made.place(), arithmetic_.data, static_cast<std::uint64_t>(m.rows),
                                          static_cast<std::uint64_t>(m.columns), m.leading),
        "cublasLtMatrixLayoutCreate");
    return made;
  }

  Scale as_scale(double value) const {
    Scale scale{};
    if (arithmetic_.scale == cublaslt::real_64) {
      scale.wide = value;
    } else {
      scale.narrow = static_cast<float>(value);
    }
    return scale;
  }

  /// The algorithms that are fastest, as measured, or that the library's heuristic finds best. False when it
  /// has none.
  bool choose_algorithms(CudaDevice& device) {
    const std::vector<ProductAlgorithm> guesses = algorithms(element_bytes(), 1);
    if (guesses.empty()) return false;
    unaligned_ = guesses.front();
    // Measuring may choose another in another run; short products are not worth it.
    const bool may_measure =
        !config().deterministic() && static_cast<double>(p_.d.rows * p_.d.columns * p_.k) >= least_measured;
    const std::string name = may_measure ? name_on(device) : std::string();
    if (may_measure) {
      if (const auto known = known_product_algorithm(name)) {
        aligned_ = *known;
        return true;
      }
    }
    const std::vector<ProductAlgorithm> candidates =
        algorithms(vector_alignment, may_measure ? most_measured : 1);
    if (candidates.empty()) return false;
    aligned_ = candidates.front();
    if (candidates.size() == 1) return true;
    if (const auto best = measure(device, candidates)) {
      aligned_ = candidates[*best];
      remember_product_algorithm(name, aligned_);
    }
    return true;
  }

  void set_epilogue() {
    constexpr cublaslt::Epilogue epilogues[2][2] = {{cublaslt::no_epilogue, cublaslt::take_relu},
                                                    {cublaslt::add_bias, cublaslt::add_bias_take_relu}};
    set(cublaslt::epilogue, epilogues[p_.bias >= 0][does_relu_]);
  }

  /// The library reads both factors on one side: where one is known on the device only, so must be the other.
  void place_factors(CudaDevice& device, std::optional<double> alpha, std::optional<double> beta) {
    set(cublaslt::pointer_mode, cublaslt::device_pointers);
    alpha_known_ = alpha.has_value();
    beta_known_ = beta.has_value();
    const std::array<Scale, 2> values = {as_scale(alpha.value_or(0)), as_scale(beta.value_or(0))};
    factors_ = device.allocate(sizeof values);
    device.upload(factors_->data(), values.data(), sizeof values);
  }

  /// The heuristic's best algorithms for operands of that alignment, at most so many.
  std::vector<ProductAlgorithm> algorithms(std::uintptr_t alignment, int most) {
    const cublaslt::Library& blas = cublaslt::library();
    cublaslt::OwnedPreference preference;
    cublaslt::check(blas.preference_create(preference.place()), "cublasLtMatmulPreferenceCreate");
    blas.preference_set(preference, cublaslt::most_workspace_bytes, &most_workspace, sizeof most_workspace);
    const auto bytes = static_cast<std::uint32_t>(alignment);
    for (const int operand : {cublaslt::least_alignment_a, cublaslt::least_alignment_b,
                              cublaslt::least_alignment_c, cublaslt::least_alignment_d}) {
      blas.preference_set(preference, operand, &bytes, sizeof bytes);
    }
    if (p_.bias >= 0) {
      // An address is looked at for its alignment only.
      void* const bias = reinterpret_cast<void*>(alignment);
      blas.operation_set(operation_, cublaslt::bias_pointer, &bias, sizeof bias);
    }
    std::vector<cublaslt::HeuristicResult> results(static_cast<std::size_t>(most));
    int found = 0;
    const int status =
        blas.heuristic(handle_, operation_, a_, b_, c_, d_, preference, most, results.data(), &found);
    std::vector<ProductAlgorithm> list;
    for (int i = 0; status == 0 && i < found; ++i) {
      const cublaslt::HeuristicResult& result = results[static_cast<std::size_t>(i)];
      if (result.status == 0) list.push_back({result.algorithm, result.workspace_bytes});
    }
    return list;
  }

  /// Everything that decides which algorithm is fastest.
  std::string name_on(const CudaDevice& device) const {
    const auto text = [](const BlasMatrix& m) {
      return fmt::format("{}x{}/{}{}", m.rows, m.columns, m.leading, m.transposed ? "T" : "");
    };
    return fmt::format("{} cuBLASLt {} {} {} {} {} {}{} k {} workspace {}", device.info().name,
                       cublaslt::library().version, arithmetic_.name, text(p_.a), text(p_.b), text(p_.d),
                       p_.bias >= 0       ? "bias"
                       : p_.c.buffer >= 0 ? "sum"
                                          : "product",
                       does_relu_ ? " relu" : "", p_.k, most_workspace);
  }

  std::optional<std::size_t> measure(CudaDevice& device, const std::vector<ProductAlgorithm>& candidates) {
    const std::lock_guard guard(device.mutex());
    std::size_t workspace = 0;
    for (const ProductAlgorithm& candidate : candidates) workspace = std::max(workspace, candidate.workspace);
    try {
      const ProductTrial trial(device, p_, arithmetic_.dtype, workspace);
      const auto seconds = [&](std::size_t candidate, double limit) -> std::optional<double> {
        try {
          aligned_ = candidates[candidate];
          return device_seconds(device, [&] { run(trial.buffers(), device.stream()); }, limit);
        } catch (const DeviceError&) {
          return std::nullopt;  // the library refuses one that it has named
        }
      };
      const std::optional<std::size_t> best = fastest_product_algorithm(candidates.size(), seconds);
      aligned_ = candidates.front();
      return best;
    } catch (const MemoryError&) {
      return std::nullopt;
    }
  }

  /// Whether the chosen algorithms take the relu of NaN as NaN. The library does not say, and fmaxf(x, 0)
  /// would make it 0.
  bool keeps_nan(CudaDevice& device) {
    const std::lock_guard guard(device.mutex());
    const ProductAlgorithm chosen = aligned_;
    bool keeps = true;
    try {
      ProductTrial trial(device, p_, arithmetic_.dtype, scratch_bytes());
      for (const ProductAlgorithm& algorithm : {chosen, unaligned_}) {
        aligned_ = algorithm;  // memory of a trial is aligned
        trial.put_nan();
        run(trial.buffers(), device.stream());
        keeps = keeps && trial.result_is_nan();
      }
    } catch (const Error&) {
      keeps = false;  // no memory, or the library refuses an algorithm that it has named
    }
    aligned_ = chosen;
    return keeps;
  }

  BlasProduct p_;
  Arithmetic arithmetic_;
  bool has_relu_, does_relu_;  // the node; the library
  bool leaves_row_ = false;
  cublaslt::Handle handle_;
  cublaslt::OwnedOperation operation_;
  cublaslt::OwnedMatrix a_, b_, c_, d_;
  std::array<Scale, 2> host_factors_{};
  StorageRef factors_;  // on the device, where one is computed there
  bool alpha_known_ = true, beta_known_ = true;
  ProductAlgorithm aligned_, unaligned_;
};

}  // namespace

std::unique_ptr<CudaLibraryStep> make_cuda_product(CudaDevice& device, const Node& node,
                                                   std::span<const Layout> inputs,
                                                   std::span<const Layout> outputs) {
  const std::optional<ProductRequest> request = request_of(node, inputs, outputs);
  if (!request) return nullptr;
  device.make_current();
  auto step = std::make_unique<CudaProduct>(device, *request, has_relu(node));
  return step->choose(device) ? std::move(step) : nullptr;
}

bool is_cuda_product_with_epilogues(const Node& product) {
  // As the operands will lie, but for views other than transpositions.
  const auto layout_of = [](const Variable& v) {
    Layout layout{v.dtype(), v.type().shape, contiguous_strides(v.type().shape)};
    const Node& node = *v.node();
    const bool is_transposed =
        node.is_apply() && &node.op() == &dimshuffle_op() &&
        node.attributes().get<std::vector<std::int64_t>>("pattern") == std::vector<std::int64_t>{1, 0};
    if (is_transposed) layout.strides = {1, layout.shape[0]};
    return layout;
  };
  std::vector<Layout> inputs;
  for (const Variable& input : product.inputs()) {
    if (!input.type().shape.is_known()) return false;
    inputs.push_back(layout_of(input));
  }
  return request_of(product, inputs, std::vector{layout_of(product.output())}).has_value();
}

}  // namespace croton
