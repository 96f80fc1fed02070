#include "croton/runtime/dnn_product.h"

#include <oneapi/dnnl/dnnl.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <string>
#include <tuple>

#include "croton/codegen/thread_pool.h"
#include "croton/graph/error.h"
#include "croton/ops/blas.h"
#include "croton/runtime/dnn_thread.h"
#include "croton/runtime/product_operands.h"

namespace croton {

namespace {

/// Where an operand's copy lies that BLAS can walk, in the scratch memory; below 0: it needs none.
using PackedAt = std::int64_t;

// Below these generated loops win: measured against dnnl_sgemm on Zen 4 and on one core.
constexpr std::int64_t least_library_work = 16 * 16 * 16;
constexpr std::int64_t least_side = 5;
// Fewer multiplications than this are not worth waking another thread.
constexpr double work_of_a_slice = 120'000;

/// How the result is cut: rows x columns of slices, as many as there are threads and work for.
std::pair<std::int64_t, std::int64_t> cut(const ProductOperands& p, int threads) {
  const double work = static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  const auto slices = std::clamp<std::int64_t>(static_cast<std::int64_t>(work / work_of_a_slice), 1, threads);
  std::pair<std::int64_t, std::int64_t> best{1, 1};
  double least = INFINITY;
  for (std::int64_t rows = 1; rows <= slices; ++rows) {
    const std::int64_t columns = slices / rows;
    if (rows * columns != slices || rows * 8 > std::max<std::int64_t>(8, p.m) ||
        columns * 16 > std::max<std::int64_t>(16, p.n)) {
      continue;
    }
    // What is read by several threads.
    const double traffic = static_cast<double>(rows * p.n) + static_cast<double>(columns * p.m);
    if (traffic < least) {
      least = traffic;
      best = {rows, columns};
    }
  }
  return best;
}

class DnnProduct final : public LibraryStep {
 public:
  DnnProduct(const ProductOperands& product, int threads) : p_(product) {
    std::tie(row_slices_, column_slices_) = cut(p_, threads);
    const auto place = [this](const ProductMatrix& x) -> PackedAt {
      if (is_row_major(x) || is_column_major(x)) return -1;
      const PackedAt at = scratch_;
      scratch_ += (x.rows * x.columns + 15) / 16 * 16;
      return at;
    };
    a_packed_ = place(p_.a);
    b_packed_ = place(p_.b);
    a_by_rows_ = a_packed_ >= 0 || is_row_major(p_.a);
    b_by_rows_ = b_packed_ >= 0 || is_row_major(p_.b);
  }

  void run(void* const* buffers) override {
    Run run;
    run.step = this;
    run.buffers = buffers;
    if (scratch_ != 0) {
      run.scratch = static_cast<float*>(buffers[p_.c.buffer + 1]);
      if (a_packed_ >= 0) pack(p_.a, buffers, run.scratch + a_packed_);
      if (b_packed_ >= 0) pack(p_.b, buffers, run.scratch + b_packed_);
    }
    ThreadPool::instance().parallel_for(
        row_slices_ * column_slices_, 1,
        [](const void* context, std::int64_t begin, std::int64_t end, std::int32_t) {
          const Run& run = *static_cast<const Run*>(context);
          const DnnOnThisThread alone;
          for (std::int64_t i = begin; i < end; ++i) run.step->slice(run, i);
        },
        &run);
    if (run.status == dnnl_out_of_memory) throw MemoryError("a matrix product: no memory to pack operands");
    if (run.status != dnnl_success) {
      throw InternalError("dnnl_sgemm refused its arguments (status " + std::to_string(run.status) + ")");
    }
  }

  std::size_t scratch_bytes() const override { return static_cast<std::size_t>(scratch_) * sizeof(float); }
  std::string description() const override { return "oneDNN sgemm"; }

 private:
  struct Run {
    const DnnProduct* step = nullptr;
    void* const* buffers = nullptr;
    float* scratch = nullptr;
    mutable std::atomic<int> status = dnnl_success;  // of a slice that failed
  };

  static void pack(const ProductMatrix& x, void* const* buffers, float* to) {
    const auto* from = static_cast<const float*>(buffers[x.buffer]);
    for (std::int64_t i = 0; i < x.rows; ++i) {
      for (std::int64_t j = 0; j < x.columns; ++j) *to++ = from[i * x.row + j * x.column];
    }
  }

  static const float* place(const Run& run, const ProductMatrix& x, PackedAt packed) {
    return packed >= 0 ? run.scratch + packed : static_cast<const float*>(run.buffers[x.buffer]);
  }

  void slice(const Run& run, std::int64_t i) const {
    const auto part = [](std::int64_t extent, std::int64_t parts, std::int64_t which, std::int64_t unit) {
      const std::int64_t length = ((extent + parts - 1) / parts + unit - 1) / unit * unit;
      const std::int64_t begin = std::min(extent, which * length);
      return std::pair(begin, std::min(extent, begin + length) - begin);
    };
    const auto [m0, m] = part(p_.m, row_slices_, i / column_slices_, 8);
    const auto [n0, n] = part(p_.n, column_slices_, i % column_slices_, 16);
    if (m == 0 || n == 0) return;
    const float alpha = p_.alpha < 0 ? 1 : *static_cast<const float*>(run.buffers[p_.alpha]);
    float beta = p_.beta < 0 ? 0 : *static_cast<const float*>(run.buffers[p_.beta]);
    float* c = static_cast<float*>(run.buffers[p_.c.buffer]) + m0 * p_.c.row + n0 * p_.c.column;
    if (p_.z.buffer >= 0 && beta != 0 && run.buffers[p_.z.buffer] != run.buffers[p_.c.buffer]) {
      const float* z = static_cast<const float*>(run.buffers[p_.z.buffer]) + m0 * p_.z.row + n0 * p_.z.column;
      for (std::int64_t r = 0; r < m; ++r) {
        for (std::int64_t j = 0; j < n; ++j) {
          c[r * p_.c.row + j * p_.c.column] = z[r * p_.z.row + j * p_.z.column];
        }
      }
    }
    const std::int64_t a_leading = a_packed_ >= 0 ? p_.k : leading_dimension(p_.a, a_by_rows_);
    const std::int64_t b_leading = b_packed_ >= 0 ? p_.n : leading_dimension(p_.b, b_by_rows_);
    const float* a = place(run, p_.a, a_packed_) + m0 * (a_by_rows_ ? a_leading : 1);
    const float* b = place(run, p_.b, b_packed_) + n0 * (b_by_rows_ ? 1 : b_leading);
    const dnnl_status_t status =
        c_by_rows_ ? dnnl_sgemm(a_by_rows_ ? 'N' : 'T', b_by_rows_ ? 'N' : 'T', m, n, p_.k, alpha, a,
                                a_leading, b, b_leading, beta, c, leading_dimension(p_.c, true))
                   // the transpose of everything
                   : dnnl_sgemm(b_by_rows_ ? 'T' : 'N', a_by_rows_ ? 'T' : 'N', n, m, p_.k, alpha, b,
                                b_leading, a, a_leading, beta, c, leading_dimension(p_.c, false));
    if (status != dnnl_success) run.status = status;
  }

  ProductOperands p_;
  PackedAt a_packed_ = -1, b_packed_ = -1;
  bool a_by_rows_ = true, b_by_rows_ = true, c_by_rows_ = is_row_major(p_.c);
  std::int64_t row_slices_ = 1, column_slices_ = 1;
  std::int64_t scratch_ = 0;
};

}  // namespace

std::unique_ptr<LibraryStep> make_dnn_product(const Node& node, std::span<const Layout> inputs,
                                              std::span<const Layout> outputs) {
  if (node.type().dtype != DType::float32 || has_relu(node)) return nullptr;
  const std::optional<ProductOperands> p = product_operands(node, inputs, outputs);
  if (!p || (!is_row_major(p->c) && !is_column_major(p->c))) return nullptr;
  const bool is_matrix = p->m >= least_side && p->n >= least_side && p->k >= least_side;
  if (!is_matrix || p->m * p->n * p->k < least_library_work) return nullptr;
  return std::make_unique<DnnProduct>(*p, ThreadPool::instance().threads());
}

}  // namespace croton
