// cuBLASLt on host memory, for float32: found where CUDA_PATH says, so that library steps are tested without
// a GPU. It obeys what the operation says about transpositions, factors, the epilogue; any algorithm will do.
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "croton/runtime/cuda_blas.h"
#include "fake_cuda.h"

using namespace croton::cublaslt;

namespace croton::cublaslt {

struct HandleContent {};
struct OperationContent {
  int transposed_a = plain, transposed_b = plain, epilogue = no_epilogue, factors = host_pointers;
  const float* bias = nullptr;
};
struct MatrixContent {
  std::int64_t rows = 0, columns = 0, leading = 0;
};
struct PreferenceContent {};

}  // namespace croton::cublaslt

namespace {

constexpr int not_supported = 15, out_of_range = 7;

// What it does with a relu: takes it, drops NaN in it as fmaxf does, has no algorithm for it, nor for a bias.
enum class ReluHabit : int { keeps_nan, drops_nan, refuses, refuses_bias };
ReluHabit habit = ReluHabit::keeps_nan;

bool takes_relu_of(int epilogue) { return epilogue == take_relu || epilogue == add_bias_take_relu; }
bool adds_bias(int epilogue) { return epilogue == add_bias || epilogue == add_bias_take_relu; }

float relu(float x) { return habit == ReluHabit::drops_nan ? std::fmax(x, 0.0F) : x <= 0 ? 0 : x; }

/// Work of the driver's stream.
void enqueue(const std::function<void()>& work) {
  void* driver = dlopen("libfake_cuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  reinterpret_cast<decltype(&fake_cuda_enqueue)>(dlsym(driver, "fake_cuda_enqueue"))(work);
}

struct Operand {
  const float* data = nullptr;
  MatrixContent layout;
  bool is_transposed = false;

  std::int64_t rows() const { return is_transposed ? layout.columns : layout.rows; }
  std::int64_t columns() const { return is_transposed ? layout.rows : layout.columns; }
  float at(std::int64_t i, std::int64_t j) const {
    return is_transposed ? data[j + i * layout.leading] : data[i + j * layout.leading];
  }
};

struct Product {
  OperationContent operation;
  Operand a, b, c;
  float* d = nullptr;
  MatrixContent d_layout;
  const float *alpha = nullptr, *beta = nullptr;
  std::optional<std::pair<float, float>> known;  // the factors, where they lay on the host

  void run() const {
    const float scale = known ? known->first : *alpha, of_c = known ? known->second : *beta;
    std::vector<float> result;
    for (std::int64_t j = 0; j < d_layout.columns; ++j) {
      for (std::int64_t i = 0; i < d_layout.rows; ++i) {
        double sum = 0;
        for (std::int64_t k = 0; k < a.columns(); ++k)
          sum += static_cast<double>(a.at(i, k)) * static_cast<double>(b.at(k, j));
        auto value = static_cast<float>(static_cast<double>(scale) * sum);
        if (of_c != 0) value += of_c * c.at(i, j);
        if (adds_bias(operation.epilogue)) value += operation.bias[i];
        result.push_back(takes_relu_of(operation.epilogue) ? relu(value) : value);
      }
    }
    for (std::int64_t j = 0; j < d_layout.columns; ++j)
      std::copy_n(result.data() + j * d_layout.rows, d_layout.rows, d + j * d_layout.leading);
  }
};

template <class Content, class... Values>
int make(Content** made, Values... values) {
  *made = new Content{values...};
  return 0;
}
template <class Content>
int destroy(Content* content) {
  delete content;
  return 0;
}

}  // namespace

#define FAKE extern "C" __attribute__((visibility("default")))

FAKE void fake_blas_set_relu(int wanted) { habit = static_cast<ReluHabit>(wanted); }

FAKE std::size_t cublasLtGetVersion() { return 130100; }
FAKE int cublasLtCreate(Handle* handle) { return make(handle); }
FAKE int cublasLtMatmulDescCreate(Operation* made, int, int scale_type) {
  return scale_type == real_32 ? make(made) : not_supported;
}
FAKE int cublasLtMatmulDescDestroy(Operation operation) { return destroy(operation); }
FAKE int cublasLtMatmulDescSetAttribute(Operation operation, int attribute, const void* value, std::size_t) {
  switch (attribute) {
    case transposition_a:
      std::memcpy(&operation->transposed_a, value, sizeof(int));
      return 0;
    case transposition_b:
      std::memcpy(&operation->transposed_b, value, sizeof(int));
      return 0;
    case epilogue:
      std::memcpy(&operation->epilogue, value, sizeof(int));
      return 0;
    case pointer_mode:
      std::memcpy(&operation->factors, value, sizeof(int));
      return 0;
    case bias_pointer:
      std::memcpy(&operation->bias, value, sizeof(void*));
      return 0;
    default:
      return out_of_range;
  }
}
FAKE int cublasLtMatrixLayoutCreate(Matrix* made, int type, std::uint64_t rows, std::uint64_t columns,
                                    std::int64_t leading) {
  if (type != real_32) return not_supported;
  return make(made, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), leading);
}
FAKE int cublasLtMatrixLayoutDestroy(Matrix matrix) { return destroy(matrix); }
FAKE int cublasLtMatmulPreferenceCreate(Preference* made) { return make(made); }
FAKE int cublasLtMatmulPreferenceDestroy(Preference preference) { return destroy(preference); }
FAKE int cublasLtMatmulPreferenceSetAttribute(Preference, int, const void*, std::size_t) { return 0; }
FAKE int cublasLtMatmulAlgoGetHeuristic(Handle, Operation operation, Matrix, Matrix, Matrix, Matrix,
                                        Preference, int, HeuristicResult* results, int* found) {
  *found = 0;
  const bool refuses_relu = habit == ReluHabit::refuses || habit == ReluHabit::refuses_bias;
  if (refuses_relu && takes_relu_of(operation->epilogue)) return not_supported;
  if (habit == ReluHabit::refuses_bias && adds_bias(operation->epilogue)) return not_supported;
  results[0] = {};
  *found = 1;
  return 0;
}
FAKE int cublasLtMatmul(Handle, Operation operation, const void* alpha, const void* a, Matrix a_layout,
                        const void* b, Matrix b_layout, const void* beta, const void* c, Matrix c_layout,
                        void* d, Matrix d_layout, const Algorithm*, void*, std::size_t, croton::CUstream) {
  Product p;
  p.operation = *operation;
  p.a = {static_cast<const float*>(a), *a_layout, operation->transposed_a == transposed};
  p.b = {static_cast<const float*>(b), *b_layout, operation->transposed_b == transposed};
  p.c = {static_cast<const float*>(c), *c_layout, false};
  p.d = static_cast<float*>(d);
  p.d_layout = *d_layout;
  p.alpha = static_cast<const float*>(alpha);
  p.beta = static_cast<const float*>(beta);
  if (operation->factors == host_pointers) p.known = {*p.alpha, *p.beta};
  if (p.a.columns() != p.b.rows()) return out_of_range;
  enqueue([p] { p.run(); });
  return 0;
}
