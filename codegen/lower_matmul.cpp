#include <algorithm>
#include <functional>

#include "croton/codegen/lower_product.h"
#include "croton/ops/blas.h"

namespace croton {

namespace {

// Rows of a tile in registers, and vectors of columns.
constexpr std::int64_t tile_rows = 6;
constexpr std::int64_t tile_vectors = 4;
// Sums over at most so many rows of the result are kept in memory while the long operand streams by.
constexpr std::int64_t most_streamed_rows = 8;
constexpr std::int64_t least_streamed_terms = 128;
constexpr std::int64_t shortest_lanes = 8;
constexpr std::int64_t shortest_dot = 32;
// Partial sums: their number is fixed, so that results do not depend on the threads.
constexpr std::int64_t most_product_chunks = 16;
constexpr std::int64_t smallest_product_chunk = 1 << 15;
ProductWalk matrix(const Layout& layout) { return {layout.strides[0], layout.strides[1]}; }

Product read_product(const LowerContext& context) {
  const Op& op = context.node.op();
  const std::span<const Layout> in = context.inputs;
  const Layout& out = context.outputs[0];
  Product p;
  if (&op == &gemm_op() || &op == &gemv_op() || &op == &ger_op()) {
    p.z = 0;
    p.alpha = 1;
    p.a = 2;
    p.b = 3;
    if (&op != &ger_op()) p.beta = 4;
    if (&op == &ger_op()) {
      p.a_walk = {in[2].strides[0], 0};
      p.b_walk = {0, in[3].strides[0]};
      p.m = in[2].shape[0];
      p.n = in[3].shape[0];
    } else {
      p.a_walk = matrix(in[2]);
      p.m = in[2].shape[0];
      p.k = in[2].shape[1];
      const bool is_vector = &op == &gemv_op();
      p.b_walk = is_vector ? ProductWalk{in[3].strides[0], 0} : matrix(in[3]);
      p.n = is_vector ? 1 : in[3].shape[1];
    }
  } else {
    const Layout &x = in[0], &y = in[1];
    p.a_walk = x.shape.rank() == 1 ? ProductWalk{0, x.strides[0]} : matrix(x);
    p.b_walk = y.shape.rank() == 1 ? ProductWalk{y.strides[0], 0} : matrix(y);
    p.m = x.shape.rank() == 1 ? 1 : x.shape[0];
    p.k = x.shape.back();
    p.n = y.shape.rank() == 1 ? 1 : y.shape[1];
    if (&op == &dot22_scalar_op()) p.alpha = 2;
  }
  const auto result_walk = [&](const Layout& layout) -> ProductWalk {
    // A vector result is a row or a column; an extent of 1 broadcasts.
    if (layout.shape.rank() == 0) return {};
    if (layout.shape.rank() == 2) {
      return {layout.shape[0] == 1 ? 0 : layout.strides[0], layout.shape[1] == 1 ? 0 : layout.strides[1]};
    }
    const std::int64_t stride = layout.shape[0] == 1 ? 0 : layout.strides[0];
    const bool is_row = &op == &dot_op() && in[0].shape.rank() == 1;
    return is_row ? ProductWalk{0, stride} : ProductWalk{stride, 0};
  };
  p.c_walk = result_walk(out);
  p.relu = has_relu(context.node);
  if (p.z >= 0) p.z_walk = result_walk(in[0]);
  return p;
}

class MatrixProduct : ProductKernel {
 public:
  MatrixProduct(const LowerContext& context, const Product& product) : ProductKernel(context, product) {}

  NodeCode lower() {
    choose();
    return kernel_.finish();
  }

 private:
  void choose() {
    if (p_.m == 0 || p_.n == 0 || p_.k == 0) return rows();
    const bool is_long = p_.k >= shortest_dot;
    if (is_long && p_.a_walk.column == 1 && p_.b_walk.row == 1 &&
        (p_.m < shortest_lanes || p_.n < shortest_lanes || p_.b_walk.column != 1)) {
      return dots();
    }
    if (p_.n >= shortest_lanes && p_.b_walk.column == 1) return columns_as_lanes();
    if (p_.m >= shortest_lanes && p_.a_walk.row == 1) {
      p_ = p_.transposed();
      std::swap(a_, b_);
      return columns_as_lanes();
    }
    if (is_long && p_.n <= tile_rows && p_.a_walk.column == 1) return packed_dots();
    if (is_long && p_.m <= tile_rows && p_.b_walk.row == 1) {
      p_ = p_.transposed();
      std::swap(a_, b_);
      return packed_dots();
    }
    if (is_long) return dots();
    if (p_.n >= shortest_lanes) return columns_as_lanes();
    rows();
  }

  /// Calls tile(first row, rows) in parallel for tiles of at most `most` rows, times `parts`.
  void row_tiles(std::int64_t most, std::int64_t parts,
                 const std::function<void(Index, std::int64_t, Index)>& tile) {
    const std::int64_t tiles = (p_.m + most - 1) / most;
    const std::int64_t rest = p_.m - (tiles - 1) * most;
    k_.parallel("tile", tiles * parts, [&](Index task) {
      const Index row = floor_div(task, parts) * Index(most), part = mod(task, parts);
      if (tiles == 1 || rest == most) {
        tile(row, std::min(most, p_.m), part);
      } else {
        k_.branch(
            k_.compare(ScalarOp::lt, row, (tiles - 1) * most), [&] { tile(row, most, part); },
            [&] { tile(row, rest, part); });
      }
    });
  }

  /// Lanes run along columns of b and c.
  void columns_as_lanes() {
    if (p_.m <= most_streamed_rows && p_.k >= least_streamed_terms) return streamed();
    const std::int64_t width = 16 * tile_vectors;
    const std::int64_t row_tasks = (p_.m + tile_rows - 1) / tile_rows;
    // Few rows: columns are shared out too, in blocks of whole tiles.
    const std::int64_t parts =
        row_tasks >= most_product_chunks ? 1 : std::max<std::int64_t>(1, p_.n / (4 * width));
    const std::int64_t block = parts == 1 ? p_.n : (p_.n + parts * width - 1) / (parts * width) * width;
    const std::int64_t blocks = block == 0 ? 1 : (p_.n + block - 1) / block;
    row_tiles(tile_rows, blocks, [&](Index row, std::int64_t rows, Index part) {
      const Index first = part * Index(block);
      const Index last = blocks == 1 ? Index(p_.n) : min(first + Index(block), p_.n);
      k_.loop("j", first, last, vectorize.by(tile_vectors), [&](Index j) {
        std::vector<Local> sums;
        for (std::int64_t i = 0; i < rows; ++i) sums.push_back(k_.local("sum", zero()));
        k_.loop("k", 0, p_.k, [&](Index k) {
          const ScalarValue b = load_b(k, j);
          for (std::int64_t i = 0; i < rows; ++i) {
            const Local sum = sums[static_cast<std::size_t>(i)];
            k_.set(sum, multiply_add(load_a(row + Index(i), k), b, k_.get(sum)));
          }
        });
        for (std::int64_t i = 0; i < rows; ++i) {
          finish(row + Index(i), j, k_.get(sums[static_cast<std::size_t>(i)]));
        }
      });
    });
  }

  std::int64_t chunks_of(std::int64_t work) const {
    return std::clamp<std::int64_t>(work / smallest_product_chunk, 1, most_product_chunks);
  }

  /// Few rows, many terms: b is read once, as it lies, and added to partial results that stay in the cache.
  void streamed() {
    constexpr std::int64_t terms = 4;
    const std::int64_t chunks = chunks_of(p_.k * p_.n);
    const std::int64_t length = (p_.k + chunks - 1) / chunks;
    const std::int64_t block = 1024, blocks = (p_.n + block - 1) / block;
    const Buffer partial = kernel_.scratch(dtype_, chunks * p_.m * p_.n);
    k_.parallel(
        "task", chunks * blocks,
        [&](Index task) {
          const Index chunk = floor_div(task, blocks), first = mod(task, blocks) * Index(block);
          const Index last = blocks == 1 ? Index(p_.n) : min(first + Index(block), p_.n);
          const Index to = chunk * Index(p_.m * p_.n);
          const Index begin = chunk * Index(length);
          const Index end = chunks == 1 ? Index(p_.k) : min(begin + Index(length), p_.k);
          k_.loop("j", first, last, vectorize, [&](Index j) {
            for (std::int64_t i = 0; i < p_.m; ++i) k_.store(partial, to + Index(i * p_.n) + j, zero());
          });
          const auto add = [&](Index k, std::int64_t count) {
            k_.loop("j", first, last, vectorize, [&](Index j) {
              std::vector<ScalarValue> b;
              for (std::int64_t t = 0; t < count; ++t) b.push_back(load_b(k + Index(t), j));
              for (std::int64_t i = 0; i < p_.m; ++i) {
                const Index at = to + Index(i * p_.n) + j;
                ScalarValue sum = k_.load(partial, at);
                for (std::int64_t t = 0; t < count; ++t) {
                  sum = multiply_add(load_a(i, k + Index(t)), b[static_cast<std::size_t>(t)], sum);
                }
                k_.store(partial, at, sum);
              }
            });
          };
          const Index whole = begin + floor_div(max(end - begin, 0), terms) * Index(terms);
          k_.loop("k", begin, whole, serial, [&](Index k) { add(k, terms); }, terms);
          k_.loop("k", whole, end, [&](Index k) { add(k, 1); });
        },
        serial, 1);
    combine(partial, chunks);
  }

  /// c from partial[chunk][i][j], added in order.
  void combine(Buffer partial, std::int64_t chunks) {
    const auto total = [&](Index i, Index j) {
      const Local sum = k_.local("sum", zero());
      k_.loop("chunk", 0, chunks, [&](Index chunk) {
        const Index at = chunk * Index(p_.m * p_.n) + i * Index(p_.n) + j;
        k_.set(sum, k_.emit(ScalarOp::add, k_.get(sum), k_.load(partial, at)));
      });
      finish(i, j, k_.get(sum));
    };
    if (p_.n >= shortest_lanes) {
      k_.parallel("i", p_.m,
                  [&](Index i) { k_.loop("j", 0, p_.n, vectorize, [&](Index j) { total(i, j); }); });
    } else {
      k_.parallel("i", p_.m, [&](Index i) { k_.loop("j", 0, p_.n, unroll, [&](Index j) { total(i, j); }); });
    }
  }

  /// b with its terms side by side, then dots.
  void packed_dots() {
    const Buffer packed =
        kernel_.scratch(compute_dtype(b_.dtype) == b_.dtype ? b_.dtype : dtype_, p_.k * p_.n);
    k_.parallel(
        "k", p_.k,
        [&](Index k) {
          for (std::int64_t j = 0; j < p_.n; ++j) k_.store(packed, k + Index(j * p_.k), load_b(k, j));
        },
        vectorize);
    b_ = packed;
    p_.b_walk = {1, p_.k};
    dots();
  }

  /// Lanes run along the terms: rows of a times columns of b, tiles of them together.
  void dots() {
    const std::int64_t columns = std::min<std::int64_t>(p_.n, 4);
    const std::int64_t rows = std::min<std::int64_t>(p_.m, columns == 1 ? 4 : 8 / columns);
    const std::int64_t row_tiles_count = (p_.m + rows - 1) / rows;
    const std::int64_t column_tiles = (p_.n + columns - 1) / columns;
    const std::int64_t chunks =
        row_tiles_count * column_tiles >= most_product_chunks ? 1 : chunks_of(p_.k * (p_.m + p_.n));
    const std::int64_t length = (p_.k + chunks - 1) / chunks;
    const bool is_partial = chunks > 1;
    const Buffer partial = is_partial ? kernel_.scratch(dtype_, chunks * p_.m * p_.n) : Buffer{};
    const std::int64_t rest = p_.n - (column_tiles - 1) * columns;
    row_tiles(rows, chunks, [&](Index row, std::int64_t height, Index chunk) {
      const Index begin = chunk * Index(length);
      const Index end = is_partial ? min(begin + Index(length), p_.k) : Index(p_.k);
      const auto strip = [&](Index column, std::int64_t width) {
        std::vector<Local> sums;
        for (std::int64_t i = 0; i < height * width; ++i) sums.push_back(k_.local("sum", zero()));
        k_.loop("k", begin, end,
                vectorize.by(height * width >= 8   ? 1
                             : height * width >= 4 ? 2
                                                   : 4),
                [&](Index k) {
                  std::vector<ScalarValue> b;
                  for (std::int64_t j = 0; j < width; ++j) b.push_back(load_b(k, column + Index(j)));
                  for (std::int64_t i = 0; i < height; ++i) {
                    const ScalarValue a = load_a(row + Index(i), k);
                    for (std::int64_t j = 0; j < width; ++j) {
                      k_.reduce(ScalarOp::add, sums[static_cast<std::size_t>(i * width + j)],
                                k_.emit(ScalarOp::mul, a, b[static_cast<std::size_t>(j)]));
                    }
                  }
                });
        for (std::int64_t i = 0; i < height; ++i) {
          for (std::int64_t j = 0; j < width; ++j) {
            const ScalarValue sum = k_.get(sums[static_cast<std::size_t>(i * width + j)]);
            const Index r = row + Index(i), c = column + Index(j);
            if (is_partial) {
              k_.store(partial, chunk * Index(p_.m * p_.n) + r * Index(p_.n) + c, sum);
            } else {
              finish(r, c, sum);
            }
          }
        }
      };
      const std::int64_t whole = rest == columns ? column_tiles : column_tiles - 1;
      k_.loop("column", 0, whole * columns, serial, [&](Index column) { strip(column, columns); }, columns);
      if (rest != columns) strip(whole * columns, rest);
    });
    if (is_partial) combine(partial, chunks);
  }

  /// Short sums and short rows: one row after the other, its factors written out.
  void rows() {
    constexpr std::int64_t most_unrolled = 64;
    const LoopMark mark = p_.n * p_.k <= most_unrolled ? unroll : serial;
    k_.parallel("i", p_.m, [&](Index i) {
      k_.loop("j", 0, p_.n, mark, [&](Index j) {
        const Local sum = k_.local("sum", zero());
        k_.loop("k", 0, p_.k, mark,
                [&](Index k) { k_.set(sum, multiply_add(load_a(i, k), load_b(k, j), k_.get(sum))); });
        finish(i, j, k_.get(sum));
      });
    });
  }
};

}  // namespace

std::optional<NodeCode> lower_matmul(const LowerContext& context) {
  const Product product = read_product(context);
  return context.is_gpu() ? lower_product_on_gpu(context, product) : MatrixProduct(context, product).lower();
}

NodeCode lower_product_rest(const Node& product, std::span<const Layout> inputs, const Layout& output,
                            bool adds_row) {
  NodeCode code;
  KernelBuilder k(product.op().name() + "_rest");
  k.set_for_gpu();
  const bool is_flat = is_contiguous(output);
  const Buffer c = k.inout("c", output.dtype, is_flat ? output.shape.count() : -1);
  const Buffer row = adds_row ? k.input("row", output.dtype, -1) : Buffer{};
  const std::int64_t columns = std::max<std::int64_t>(output.shape[1], 1);
  k.parallel(
      "e", output.shape.count(),
      [&](Index e) {
        const Index j = mod(e, columns);
        const Index at =
            is_flat ? e : floor_div(e, columns) * Index(output.strides[0]) + j * Index(output.strides[1]);
        ScalarValue value = k.load(c, at);
        if (adds_row) value = k.emit(ScalarOp::add, k.load(row, j * Index(inputs[0].strides[1])), value);
        k.store(c, at, has_relu(product) ? emit_relu(k, value) : value);
      },
      vectorize);
  LoweredKernel& lowered =
      code.kernels.emplace_back(LoweredKernel{k.build(), {{StepBuffer::Kind::output, 0}}});
  if (adds_row) lowered.buffers.push_back({StepBuffer::Kind::input, 0});
  return code;
}

}  // namespace croton
