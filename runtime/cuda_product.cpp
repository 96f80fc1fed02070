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
#include "croton/runtime/cuda_blas.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_memory.h"
#include "croton/runtime/cuda_product_choice.h"
#include "croton/runtime/cuda_product_layout.h"
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
  int data, compute, scale;
  const char* name;
};

std::optional<Arithmetic> arithmetic_of(DType dtype, Precision precision) {
  using namespace cublaslt;
  switch (dtype) {
    case DType::float16:
      return Arithmetic{real_16, compute_32, real_32, "float16"};
    case DType::bfloat16:
      return Arithmetic{brain_16, compute_32, real_32, "bfloat16"};
    case DType::float32:
      if (precision == Precision::tf32) return Arithmetic{real_32, compute_32_by_tf32, real_32, "tf32"};
      if (precision == Precision::bf16) return Arithmetic{real_32, compute_32_by_bfloat16, real_32, "bf16"};
      return Arithmetic{real_32, compute_32, real_32, "float32"};
    case DType::float64:
      return Arithmetic{real_64, compute_64, real_64, "float64"};
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

class CudaProduct final : public CudaLibraryStep {
 public:
  CudaProduct(CudaDevice& device, const BlasProduct& product, const Arithmetic& arithmetic,
              std::optional<double> alpha, std::optional<double> beta)
      : p_(product), arithmetic_(arithmetic), handle_(handle_of(device)) {
    const cublaslt::Library& blas = cublaslt::library();
    cublaslt::check(blas.operation_create(&operation_, arithmetic.compute, arithmetic.scale),
                    "cublasLtMatmulDescCreate");
    set(cublaslt::transposition_a, p_.a.transposed ? cublaslt::transposed : cublaslt::plain);
    set(cublaslt::transposition_b, p_.b.transposed ? cublaslt::transposed : cublaslt::plain);
    if (p_.bias >= 0) set(cublaslt::epilogue, cublaslt::add_bias);
    a_ = matrix(p_.a);
    b_ = matrix(p_.b);
    d_ = matrix(p_.d);
    c_ = p_.c.buffer >= 0 ? matrix(p_.c) : matrix(p_.d);
    if (alpha && beta) {
      host_factors_ = {as_scale(*alpha), as_scale(*beta)};
    } else {
      place_factors(device, alpha, beta);
    }
  }
  ~CudaProduct() override {
    const cublaslt::Library& blas = cublaslt::library();
    for (const cublaslt::Matrix m : {a_, b_, c_, d_}) {
      if (m != nullptr) blas.matrix_destroy(m);
    }
    if (operation_ != nullptr) blas.operation_destroy(operation_);
  }

  /// The algorithms that are fastest, as measured, or that the library's heuristic finds best. False when it
  /// has none.
  bool choose(CudaDevice& device) {
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
    return std::string("cuBLASLt ") + arithmetic_.name + (p_.bias >= 0 ? " with bias" : "");
  }

 private:
  /// alpha or beta in the scale type: a float in the first half, or a double.
  union Scale {
    float narrow;
    double wide;
  };

  static std::uintptr_t address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }
  std::uintptr_t element_bytes() const {
    return arithmetic_.data == cublaslt::real_64 ? 8 : arithmetic_.data == cublaslt::real_32 ? 4 : 2;
  }

  void set(int attribute, int value) {
    cublaslt::check(cublaslt::library().operation_set(operation_, attribute, &value, sizeof value),
                    "cublasLtMatmulDescSetAttribute");
  }

  cublaslt::Matrix matrix(const BlasMatrix& m) const {
    cublaslt::Matrix made = nullptr;
    cublaslt::check(
        cublaslt::library().matrix_create(&made, arithmetic_.data, static_cast<std::uint64_t>(m.rows),
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
    cublaslt::Preference preference = nullptr;
    cublaslt::check(blas.preference_create(&preference), "cublasLtMatmulPreferenceCreate");
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
    blas.preference_destroy(preference);
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
    return fmt::format("{} cuBLASLt {} {} {} {} {} {} k {} workspace {}", device.info().name,
                       cublaslt::library().version, arithmetic_.name, text(p_.a), text(p_.b), text(p_.d),
                       p_.bias >= 0       ? "bias"
                       : p_.c.buffer >= 0 ? "sum"
                                          : "product",
                       p_.k, most_workspace);
  }

  std::optional<std::size_t> measure(CudaDevice& device, const std::vector<ProductAlgorithm>& candidates) {
    constexpr unsigned char filling = 0x3c;  // ordinary numbers in every type: 0x3c3c3c3c is 0.0115
    const std::lock_guard guard(device.mutex());
    std::vector<StorageRef> memory;
    std::vector<void*> buffers(static_cast<std::size_t>(p_.d.buffer) + 2);
    const auto provide = [&](int buffer, std::size_t bytes) {
      memory.push_back(device.allocate(bytes));
      buffers[static_cast<std::size_t>(buffer)] = memory.back()->data();
      device.fill(memory.back()->data(), filling, bytes);
    };
    const auto bytes_of = [&](const BlasMatrix& m) {
      return static_cast<std::size_t>(m.leading * m.columns) * element_bytes();
    };
    try {
      std::size_t workspace = 16;
      for (const ProductAlgorithm& candidate : candidates)
        workspace = std::max(workspace, candidate.workspace);
      provide(p_.d.buffer + 1, workspace);
      provide(p_.d.buffer, bytes_of(p_.d));
      provide(p_.a.buffer, bytes_of(p_.a));
      if (p_.b.buffer != p_.a.buffer) provide(p_.b.buffer, bytes_of(p_.b));
      // What is added lies where the sum does, as in a step that computes in place.
      if (p_.c.buffer >= 0 && p_.c.leading == p_.d.leading) {
        buffers[static_cast<std::size_t>(p_.c.buffer)] = buffers[static_cast<std::size_t>(p_.d.buffer)];
      } else if (p_.c.buffer >= 0) {
        provide(p_.c.buffer, bytes_of(p_.c));
      }
      if (p_.bias >= 0) provide(p_.bias, static_cast<std::size_t>(p_.d.rows) * element_bytes());
      for (const int factor : {p_.alpha, p_.beta}) {
        if (factor >= 0) provide(factor, sizeof(Scale));
      }
    } catch (const MemoryError&) {
      return std::nullopt;
    }
    const auto seconds = [&](std::size_t candidate, double limit) -> std::optional<double> {
      try {
        aligned_ = candidates[candidate];
        return device_seconds(device, [&] { run(buffers.data(), device.stream()); }, limit);
      } catch (const DeviceError&) {
        return std::nullopt;  // the library refuses one that it has named
      }
    };
    const std::optional<std::size_t> best = fastest_product_algorithm(candidates.size(), seconds);
    aligned_ = candidates.front();
    memory.clear();
    device.memory().trim();
    return best;
  }

  BlasProduct p_;
  Arithmetic arithmetic_;
  cublaslt::Handle handle_;
  cublaslt::Operation operation_ = nullptr;
  cublaslt::Matrix a_ = nullptr, b_ = nullptr, c_ = nullptr, d_ = nullptr;
  std::array<Scale, 2> host_factors_{};
  StorageRef factors_;  // on the device, where one is computed there
  bool alpha_known_ = true, beta_known_ = true;
  ProductAlgorithm aligned_, unaligned_;
};

}  // namespace

std::unique_ptr<CudaLibraryStep> make_cuda_product(CudaDevice& device, const Node& node,
                                                   std::span<const Layout> inputs,
                                                   std::span<const Layout> outputs) {
  const std::optional<Arithmetic> arithmetic = arithmetic_of(node.type().dtype, config().precision());
  const std::optional<ProductOperands> operands = product_operands(node, inputs, outputs);
  if (!arithmetic || !operands || operands->m * operands->n * operands->k < least_work) return nullptr;
  // Generated code is faster.
  const ProductMatrix &a = operands->a, &b = operands->b;
  const ProductWalk a_walk{a.row, a.column}, b_walk{b.row, b.column};
  if (thin_product(operands->m, operands->n, operands->k, a_walk, b_walk) ||
      is_tensor_core_product(node.type().dtype, operands->m, operands->n, operands->k, a_walk, b_walk)) {
    return nullptr;
  }
  const std::optional<double> alpha = known_factor(node, operands->alpha, 1);
  const std::optional<double> beta = known_factor(node, operands->beta, operands->z.buffer >= 0 ? 1 : 0);
  // A factor of 16 bits in device memory is not of the type that the library reads.
  if (!(alpha && beta) && arithmetic->data != arithmetic->scale) return nullptr;
  std::string reason;
  const std::optional<BlasProduct> product = blas_product(*operands, beta, reason);
  if (!product) return nullptr;
  device.make_current();
  auto step = std::make_unique<CudaProduct>(device, *product, *arithmetic, alpha,
                                            product->bias >= 0 ? std::optional(0.0) : beta);
  return step->choose(device) ? std::move(step) : nullptr;
}

}  // namespace croton
