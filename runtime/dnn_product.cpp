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

namespace croton {

namespace {

/// A matrix as it lies in memory: element (i, j) at i * row + j * column.
struct Matrix {
  int buffer = -1;  // of the step
  std::int64_t rows = 0, columns = 0;
  std::int64_t row = 0, column = 0;
  bool packed = false;  // copied into the scratch memory first, because BLAS cannot walk it
  std::int64_t scratch_offset = 0;
};

/// c = beta * z + alpha * a @ b, with alpha and beta read when it runs.
struct Product {
  Matrix a, b, c, z;  // z: no buffer when there is none; strides 0 where it broadcasts
  int alpha = -1, beta = -1;
  std::int64_t m = 0, n = 0, k = 0;
};

// Below these generated loops win: measured against dnnl_sgemm on Zen 4 and on one core.
constexpr std::int64_t least_work = 16 * 16 * 16;
constexpr std::int64_t least_side = 5;
// Fewer multiplications than this are not worth waking another thread.
constexpr double work_of_a_slice = 120'000;

Matrix matrix(int buffer, const Layout& layout) {
  return {buffer, layout.shape[0], layout.shape[1], layout.strides[0], layout.strides[1]};
}
Matrix row_vector(int buffer, const Layout& layout) {
  return {buffer, 1, layout.shape[0], 0, layout.strides[0]};
}
Matrix column_vector(int buffer, const Layout& layout) {
  return {buffer, layout.shape[0], 1, layout.strides[0], 0};
}

/// A stride that BLAS can take in its place, along an axis of that extent.
bool is_row_major(const Matrix& x) {
  return (x.column == 1 || x.columns == 1) && (x.rows == 1 || x.row >= std::max<std::int64_t>(1, x.columns));
}
bool is_column_major(const Matrix& x) {
  return (x.row == 1 || x.rows == 1) && (x.columns == 1 || x.column >= std::max<std::int64_t>(1, x.rows));
}
std::int64_t leading(const Matrix& x, bool row_major) {
  if (row_major) return x.rows == 1 ? std::max<std::int64_t>(1, x.columns) : x.row;
  return x.columns == 1 ? std::max<std::int64_t>(1, x.rows) : x.column;
}

std::optional<Product> read_product(const Node& node, std::span<const Layout> inputs,
                                    std::span<const Layout> outputs) {
  Product p;
  const Op& op = node.op();
  const int result = static_cast<int>(inputs.size());
  if (&op == &gemv_op()) {
    p.a = matrix(2, inputs[2]);
    p.b = column_vector(3, inputs[3]);
    p.c = column_vector(result, outputs[0]);
    p.z = column_vector(0, inputs[0]);
    p.alpha = 1;
    p.beta = 4;
  } else if (&op == &gemm_op()) {
    p.a = matrix(2, inputs[2]);
    p.b = matrix(3, inputs[3]);
    p.c = matrix(result, outputs[0]);
    p.z = matrix(0, inputs[0]);
    p.alpha = 1;
    p.beta = 4;
  } else {
    if (inputs[0].shape.rank() == 0 || inputs[1].shape.rank() == 0) return std::nullopt;
    const bool is_row = inputs[0].shape.rank() == 1, is_column = inputs[1].shape.rank() == 1;
    if (is_row && is_column) return std::nullopt;
    p.a = is_row ? row_vector(0, inputs[0]) : matrix(0, inputs[0]);
    p.b = is_column ? column_vector(1, inputs[1]) : matrix(1, inputs[1]);
    p.c = is_row      ? row_vector(result, outputs[0])
          : is_column ? column_vector(result, outputs[0])
                      : matrix(result, outputs[0]);
    if (&op == &dot22_scalar_op()) p.alpha = 2;
  }
  p.m = p.a.rows;
  p.k = p.a.columns;
  p.n = p.b.columns;
  if (p.z.buffer >= 0) {
    if (p.z.rows == 1 && p.m != 1) p.z.row = 0;
    if (p.z.columns == 1 && p.n != 1) p.z.column = 0;
  }
  return p;
}

/// How the result is cut: rows x columns of slices, as many as there are threads and work for.
std::pair<std::int64_t, std::int64_t> cut(const Product& p, int threads) {
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
  DnnProduct(const Product& product, int threads) : p_(product) {
    std::tie(row_slices_, column_slices_) = cut(p_, threads);
    for (Matrix* x : {&p_.a, &p_.b}) {
      if (is_row_major(*x) || is_column_major(*x)) continue;
      x->packed = true;
      x->scratch_offset = scratch_;
      scratch_ += (x->rows * x->columns + 15) / 16 * 16;
    }
    a_by_rows_ = p_.a.packed || is_row_major(p_.a);
    b_by_rows_ = p_.b.packed || is_row_major(p_.b);
  }

  void run(void* const* buffers) override {
    Run run;
    run.step = this;
    run.buffers = buffers;
    if (scratch_ != 0) {
      run.scratch = static_cast<float*>(buffers[p_.c.buffer + 1]);
      for (const Matrix* x : {&p_.a, &p_.b}) {
        if (x->packed) pack(*x, static_cast<const float*>(buffers[x->buffer]), run.scratch);
      }
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

  static void pack(const Matrix& x, const float* from, float* scratch) {
    float* to = scratch + x.scratch_offset;
    for (std::int64_t i = 0; i < x.rows; ++i) {
      for (std::int64_t j = 0; j < x.columns; ++j) *to++ = from[i * x.row + j * x.column];
    }
  }

  const float* place(const Run& run, const Matrix& x) const {
    return x.packed ? run.scratch + x.scratch_offset : static_cast<const float*>(run.buffers[x.buffer]);
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
    const std::int64_t a_leading = p_.a.packed ? p_.k : leading(p_.a, a_by_rows_);
    const std::int64_t b_leading = p_.b.packed ? p_.n : leading(p_.b, b_by_rows_);
    const float* a = place(run, p_.a) + m0 * (a_by_rows_ ? a_leading : 1);
    const float* b = place(run, p_.b) + n0 * (b_by_rows_ ? 1 : b_leading);
    const dnnl_status_t status =
        c_by_rows_ ? dnnl_sgemm(a_by_rows_ ? 'N' : 'T', b_by_rows_ ? 'N' : 'T', m, n, p_.k, alpha, a,
                                a_leading, b, b_leading, beta, c, leading(p_.c, true))
                   // the transpose of everything
                   : dnnl_sgemm(b_by_rows_ ? 'T' : 'N', a_by_rows_ ? 'T' : 'N', n, m, p_.k, alpha, b,
                                b_leading, a, a_leading, beta, c, leading(p_.c, false));
    if (status != dnnl_success) run.status = status;
  }

  Product p_;
  bool a_by_rows_ = true, b_by_rows_ = true, c_by_rows_ = is_row_major(p_.c);
  std::int64_t row_slices_ = 1, column_slices_ = 1;
  std::int64_t scratch_ = 0;
};

}  // namespace

std::unique_ptr<LibraryStep> make_dnn_product(const Node& node, std::span<const Layout> inputs,
                                              std::span<const Layout> outputs) {
  if (node.type().dtype != DType::float32) return nullptr;
  const std::optional<Product> p = read_product(node, inputs, outputs);
  if (!p || (!is_row_major(p->c) && !is_column_major(p->c))) return nullptr;
  const bool is_matrix = p->m >= least_side && p->n >= least_side && p->k >= least_side;
  if (!is_matrix || p->m * p->n * p->k < least_work) return nullptr;
  return std::make_unique<DnnProduct>(*p, ThreadPool::instance().threads());
}

}  // namespace croton
