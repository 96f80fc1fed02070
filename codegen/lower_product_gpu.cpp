// Matrix products on a GPU that no library computes, or none as fast: thin ones, of which a library's tiles
// stay empty, in one pass over the long operand; some on tensor cores; others with some rows of a column a
// thread.

#include <algorithm>
#include <iterator>
#include <optional>

#include "croton/codegen/lower_product.h"
#include "croton/codegen/tensor_core_product.h"

namespace croton {

namespace {

constexpr std::int64_t shortest_gpu_dot = 32;
// Partial sums: their number follows from the shapes and the GPU, so that results are equal on equal ones.
constexpr std::int64_t most_gpu_chunks = 16;
// Rows of a thread, and terms worth a thread of their own.
constexpr std::int64_t most_gpu_rows = 8;
constexpr std::int64_t shortest_gpu_chunk = 64;
// Thin: rows or columns of the result whose sums a thread keeps, and terms of a sum.
constexpr std::int64_t most_thin = 16;
constexpr std::int64_t least_thin_terms = 64;
// Thin sums: the columns of a group of threads, side by side, and how often it has each of them.
constexpr std::int64_t sum_columns = 32;
constexpr std::int64_t sum_shares = 8;
constexpr std::int64_t rounds_in_flight = 8;

class GpuProduct : ProductKernel {
 public:
  GpuProduct(const LowerContext& context, const Product& product)
      : ProductKernel(context, product), multiprocessors_(context.gpu.multiprocessors) {}

  NodeCode lower() {
    choose();
    return kernel_.finish();
  }

 private:
  void choose() {
    const auto thin = thin_product(p_.m, p_.n, p_.k, p_.a_walk, p_.b_walk);
    if (thin && is_floating(dtype_)) {
      if (thin->is_transposed) transpose();
      return thin->form == ThinProduct::Form::dots ? thin_dots() : thin_sums();
    }
    const bool by_columns = p_.b_walk.column == 1 && p_.n >= shortest_gpu_dot;
    const bool by_rows = p_.a_walk.row == 1 && p_.m >= shortest_gpu_dot;
    if (!by_columns && by_rows) {
      transpose();
      return columns();
    }
    const bool is_dot = p_.a_walk.column == 1 && p_.b_walk.row == 1 && p_.k >= shortest_gpu_dot;
    if (by_columns || !is_dot) return columns();
    k_.parallel("c", p_.m * p_.n, [&](Index c) {
      const Index i = floor_div(c, std::max<std::int64_t>(p_.n, 1)),
                  j = mod(c, std::max<std::int64_t>(p_.n, 1));
      const Local sum = k_.local("sum", zero());
      k_.loop("k", 0, p_.k, vectorize, [&](Index k) {
        k_.reduce(ScalarOp::add, sum, k_.emit(ScalarOp::mul, load_a(i, k), load_b(k, j)));
      });
      finish(i, j, k_.get(sum));
    });
  }

  /// A group of threads for some rows of a: b is read once for all of them. Few rows: each in chunks.
  void thin_dots() {
    constexpr std::int64_t groups_per_multiprocessor = 8, shortest_part = 1024, many_rows = 4;
    const std::int64_t wanted = multiprocessors_ * groups_per_multiprocessor;
    const std::int64_t rows = p_.n > 2 && p_.m >= 4 * many_rows * wanted ? many_rows : 1;
    const std::int64_t tiles = (p_.m + rows - 1) / rows;
    std::int64_t chunks = std::clamp<std::int64_t>(wanted / std::max<std::int64_t>(tiles, 1), 1,
                                                   std::max<std::int64_t>(p_.k / shortest_part, 1));
    const std::int64_t length = (p_.k + chunks - 1) / chunks;
    chunks = (p_.k + length - 1) / length;
    const Buffer partial = chunks > 1 ? kernel_.scratch(dtype_, chunks * p_.m * p_.n) : Buffer{};
    k_.parallel("o", tiles * chunks, [&](Index o) {
      const Index first = floor_div(o, chunks) * Index(rows), chunk = mod(o, chunks);
      std::vector<Local> sums;
      for (std::int64_t i = 0; i < rows * p_.n; ++i) sums.push_back(k_.local("sum", zero()));
      const auto sum = [&](std::int64_t r, std::int64_t j) {
        return sums[static_cast<std::size_t>(r * p_.n + j)];
      };
      const auto add = [&](Index k) {
        std::vector<ScalarValue> b;
        for (std::int64_t j = 0; j < p_.n; ++j) b.push_back(load_b(k, Index(j)));
        for (std::int64_t r = 0; r < rows; ++r) {
          const ScalarValue a = load_a(r == 0 ? first : min(first + Index(r), p_.m - 1), k);
          for (std::int64_t j = 0; j < p_.n; ++j)
            k_.reduce(ScalarOp::add, sum(r, j), k_.emit(ScalarOp::mul, a, b[static_cast<std::size_t>(j)]));
        }
      };
      if (p_.k % length == 0) {
        k_.loop("k", 0, length, vectorize, [&](Index k) { add(chunk * Index(length) + k); });
      } else {
        const Index begin = chunk * Index(length);
        k_.loop("k", begin, min(begin + Index(length), p_.k), vectorize, add);
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        const auto store = [&] {
          for (std::int64_t j = 0; j < p_.n; ++j)
            store_or_finish(partial, chunks, chunk, first + Index(r), Index(j), k_.get(sum(r, j)));
        };
        if (p_.m % rows == 0 || r == 0) {
          store();
        } else {
          k_.branch(k_.compare(ScalarOp::lt, first + Index(r), p_.m), store);
        }
      }
    });
    if (chunks > 1) add_chunks(partial, chunks);
  }

  /// Threads side by side have neighbouring columns of b; several such rows of them share the terms of a
  /// chunk, and are added in shared memory.
  void thin_sums() {
    constexpr std::int64_t groups_per_multiprocessor = 4;
    const std::int64_t blocks = (p_.n + sum_columns - 1) / sum_columns;
    const std::int64_t wanted =
        std::clamp<std::int64_t>(multiprocessors_ * groups_per_multiprocessor / blocks, 1,
                                 std::max<std::int64_t>(p_.k / (4 * sum_shares), 1));
    // Rounds whose loads are in flight together; chunks of one size ask of no term whether it exists.
    std::int64_t rounds = (p_.k + wanted * sum_shares - 1) / (wanted * sum_shares);
    rounds = (rounds + rounds_in_flight - 1) / rounds_in_flight * rounds_in_flight;
    std::int64_t in_flight = rounds_in_flight;
    for (std::int64_t even = rounds; 2 * even >= rounds; --even) {
      std::int64_t together = rounds_in_flight;
      while (even % together != 0) --together;
      if (p_.k % (even * sum_shares) != 0 || 2 * together < rounds_in_flight) continue;
      rounds = even;
      in_flight = together;
      break;
    }
    const std::int64_t length = rounds * sum_shares, chunks = (p_.k + length - 1) / length;
    const Buffer partial = chunks > 1 ? kernel_.scratch(dtype_, chunks * p_.m * p_.n) : Buffer{};
    k_.parallel("o", blocks * chunks, [&](Index o) {
      const Index first = mod(o, blocks) * Index(sum_columns), chunk = floor_div(o, blocks);
      const LocalArray shares = k_.array("shares", dtype_, p_.m * sum_shares * sum_columns);
      k_.loop("t", 0, sum_shares * sum_columns, vectorize, [&](Index t) {
        const Index share = floor_div(t, sum_columns), column = mod(t, sum_columns);
        const Index j = p_.n % sum_columns == 0 ? first + column : min(first + column, p_.n - 1);
        std::vector<Local> sums;
        for (std::int64_t i = 0; i < p_.m; ++i) sums.push_back(k_.local("sum", zero()));
        const bool is_even = p_.k % length == 0;
        k_.loop(
            "round", 0, rounds, serial,
            [&](Index round) {
              std::vector<std::vector<ScalarValue>> a;
              std::vector<ScalarValue> b;
              for (std::int64_t r = 0; r < in_flight; ++r) {
                const Index k = chunk * Index(length) + (round + Index(r)) * Index(sum_shares) + share;
                const std::optional<ScalarValue> exists = is_term(k, is_even);
                b.push_back(load_term(b_, k * Index(p_.b_walk.row) + j, exists));
                std::vector<ScalarValue>& factors = a.emplace_back();
                for (std::int64_t i = 0; i < p_.m; ++i)
                  factors.push_back(
                      load_term(a_, Index(i * p_.a_walk.row) + k * Index(p_.a_walk.column), exists));
              }
              for (std::size_t r = 0; r < b.size(); ++r) {
                for (std::size_t i = 0; i < sums.size(); ++i)
                  k_.set(sums[i], multiply_add(a[r][i], b[r], k_.get(sums[i])));
              }
            },
            in_flight);
        for (std::int64_t i = 0; i < p_.m; ++i)
          k_.store(shares, Index(i * sum_shares * sum_columns) + t,
                   k_.get(sums[static_cast<std::size_t>(i)]));
      });
      k_.loop("s", 0, p_.m * sum_columns, vectorize, [&](Index s) {
        const Index i = floor_div(s, sum_columns), j = first + mod(s, sum_columns);
        ScalarValue sum = zero();
        for (std::int64_t share = 0; share < sum_shares; ++share) {
          const Index at = (i * Index(sum_shares) + Index(share)) * Index(sum_columns) + mod(s, sum_columns);
          const ScalarValue part = k_.load(shares, at);
          sum = share == 0 ? part : k_.emit(ScalarOp::add, sum, part);
        }
        const auto store = [&] { store_or_finish(partial, chunks, chunk, i, j, sum); };
        if (p_.n % sum_columns == 0) {
          store();
        } else {
          k_.branch(k_.compare(ScalarOp::lt, j, p_.n), store);
        }
      });
    });
    if (chunks > 1) add_chunks(partial, chunks);
  }

  /// Whether a sum has term k; nothing where chunks are so cut that it always has.
  std::optional<ScalarValue> is_term(Index k, bool is_even) {
    return is_even ? std::nullopt : std::optional(k_.compare(ScalarOp::lt, k, p_.k));
  }
  ScalarValue load_term(Buffer from, Index at, const std::optional<ScalarValue>& exists) {
    return exists ? k_.load(from, at, exists, zero()) : k_.load(from, at);
  }
  void store_or_finish(Buffer partial, std::int64_t chunks, Index chunk, Index i, Index j, ScalarValue sum) {
    if (chunks == 1) return finish(i, j, sum);
    k_.store(partial, (chunk * Index(p_.m) + i) * Index(p_.n) + j, sum);
  }

  /// The result from partial[chunk][i][j], added in order.
  void add_chunks(Buffer partial, std::int64_t chunks) {
    const std::int64_t width = std::max<std::int64_t>(p_.n, 1);
    k_.parallel(
        "e", p_.m * p_.n,
        [&](Index e) {
          const Local sum = k_.local("sum", zero());
          k_.loop("chunk", 0, chunks, chunks <= most_gpu_chunks ? unroll : serial, [&](Index chunk) {
            k_.set(sum,
                   k_.emit(ScalarOp::add, k_.get(sum), k_.load(partial, chunk * Index(p_.m * p_.n) + e)));
          });
          finish(floor_div(e, width), mod(e, width), k_.get(sum));
        },
        vectorize);
  }

  /// A thread for some rows of a column.
  void columns() {
    const std::int64_t width = std::max<std::int64_t>(p_.n, 1);
    const std::int64_t wanted = std::int64_t{multiprocessors_} * 256;
    std::int64_t rows = most_gpu_rows;
    while (rows > 1 && (p_.m + rows - 1) / rows * p_.n < wanted) rows /= 2;
    const std::int64_t tiles = (p_.m + rows - 1) / rows;
    // Few elements of long sums: each sum in chunks, which a second phase adds in order.
    const std::int64_t chunks =
        std::clamp<std::int64_t>(wanted / std::max<std::int64_t>(tiles * p_.n, 1), 1,
                                 std::clamp<std::int64_t>(p_.k / shortest_gpu_chunk, 1, most_gpu_chunks));
    const std::int64_t length = (std::max<std::int64_t>(p_.k, 1) + chunks - 1) / chunks;
    const Buffer partial = chunks > 1 ? kernel_.scratch(dtype_, chunks * p_.m * p_.n) : Buffer{};
    k_.parallel(
        "t", chunks * tiles * p_.n,
        [&](Index t) {
          const Index j = mod(t, width), tile = floor_div(t, width);
          const Index first = mod(tile, std::max<std::int64_t>(tiles, 1)) * Index(rows);
          const Index chunk = floor_div(tile, std::max<std::int64_t>(tiles, 1));
          const Index begin = chunk * Index(length);
          const auto row = [&](std::int64_t r) {
            return p_.m % rows == 0 ? first + Index(r) : min(first + Index(r), p_.m - 1);
          };
          std::vector<Local> sums;
          for (std::int64_t r = 0; r < rows; ++r) sums.push_back(k_.local("sum", zero()));
          // As many rounds in every chunk: bounds may not differ between lanes. The last one may lack terms.
          const bool is_even = chunks * length == p_.k;
          k_.loop("round", 0, length, [&](Index round) {
            const Index k = begin + round;
            const std::optional<ScalarValue> exists = is_term(k, is_even);
            const ScalarValue b =
                load_term(b_, k * Index(p_.b_walk.row) + j * Index(p_.b_walk.column), exists);
            for (std::int64_t r = 0; r < rows; ++r) {
              const Local sum = sums[static_cast<std::size_t>(r)];
              const Index at = row(r) * Index(p_.a_walk.row) + k * Index(p_.a_walk.column);
              k_.set(sum, multiply_add(load_term(a_, at, exists), b, k_.get(sum)));
            }
          });
          for (std::int64_t r = 0; r < rows; ++r) {
            const ScalarValue sum = k_.get(sums[static_cast<std::size_t>(r)]);
            const auto store = [&] { store_or_finish(partial, chunks, chunk, row(r), j, sum); };
            if (p_.m % rows == 0) {
              store();
            } else {
              k_.branch(k_.compare(ScalarOp::lt, first + Index(r), p_.m), store);
            }
          }
        },
        vectorize);
    if (chunks > 1) add_chunks(partial, chunks);
  }

  const int multiprocessors_;
};

}  // namespace

std::optional<ThinProduct> thin_product(std::int64_t m, std::int64_t n, std::int64_t k, ProductWalk a,
                                        ProductWalk b) {
  if (m < 1 || n < 1 || k < least_thin_terms) return std::nullopt;
  if (n <= most_thin && a.column == 1) return ThinProduct{ThinProduct::Form::dots, false};
  if (m <= most_thin && b.row == 1) return ThinProduct{ThinProduct::Form::dots, true};
  if (m <= most_thin && b.column == 1 && n >= sum_columns) return ThinProduct{ThinProduct::Form::sums, false};
  if (n <= most_thin && a.row == 1 && m >= sum_columns) return ThinProduct{ThinProduct::Form::sums, true};
  return std::nullopt;
}

NodeCode lower_product_on_gpu(const LowerContext& context, const Product& product) {
  if (is_tensor_core_product(context.outputs[0].dtype, product.m, product.n, product.k, product.a_walk,
                             product.b_walk)) {
    if (auto code = lower_product_on_tensor_cores(context, product)) {
      if (product.relu) {
        NodeCode rest = lower_product_rest(context.node, context.inputs, context.outputs[0], false);
        std::ranges::move(rest.kernels, std::back_inserter(code->kernels));
      }
      return std::move(*code);
    }
  }
  return GpuProduct(context, product).lower();
}

}  // namespace croton
