#include "croton/codegen/tile_products.h"

#include <algorithm>
#include <bit>

#include "croton/codegen/iteration_space.h"

namespace croton {

namespace {

// Sums of products are made of partial sums of so many: their error hardly grows with the channels.
constexpr std::int64_t partial_terms = 32;
// Accumulators in registers.
constexpr std::int64_t most_sums = 24;
constexpr std::int64_t most_vectors = 4;
constexpr std::int64_t most_tile_rows = 8;

}  // namespace

TileProducts::Sums TileProducts::zero_sums(std::int64_t rows) {
  Sums sums;
  for (std::int64_t i = 0; i < rows; ++i) {
    sums.re.push_back(b_.local("re", b_.constant(0, dtype_)));
    if (tiles_.is_complex()) sums.im.push_back(b_.local("im", b_.constant(0, dtype_)));
  }
  return sums;
}

void TileProducts::add_to(Local sum, ScalarValue x, ScalarValue y, ScalarOp op) {
  b_.set(sum, b_.emit(op, b_.get(sum), b_.emit(ScalarOp::mul, x, y)));
}

/// Adds to the sums of some rows the products of terms [begin, end), lane by lane.
void TileProducts::accumulate(const Sums& sums, const Factor& row_factor, const Factor& lane_factor,
                              Index frequency, const std::function<Index(std::int64_t)>& row, Index lane,
                              Index begin, Index end) {
  const Index plane = frequency * Index(tiles_.components());
  b_.loop("s", begin, end, [&](Index s) {
    const Index lanes_at =
        lane_factor.base + plane * Index(lane_factor.planes.pitch) + s * Index(lane_factor.sum) + lane;
    const ScalarValue xr = b_.load(lane_factor.planes.buffer, lanes_at);
    const ScalarValue xi =
        tiles_.is_complex() ? b_.load(lane_factor.planes.buffer, lanes_at + Index(lane_factor.planes.pitch))
                            : xr;
    for (std::size_t i = 0; i < sums.re.size(); ++i) {
      const Index at = row_factor.base + plane * Index(row_factor.planes.pitch) +
                       row(static_cast<std::int64_t>(i)) * Index(row_factor.row) + s * Index(row_factor.sum);
      const ScalarValue wr = b_.load(row_factor.planes.buffer, at);
      add_to(sums.re[i], xr, wr);
      if (!tiles_.is_complex()) continue;
      const ScalarValue wi = b_.load(row_factor.planes.buffer, at + Index(row_factor.planes.pitch));
      add_to(sums.im[i], xi, wr);
      add_to(sums.re[i], xi, wi);
      add_to(sums.im[i], xr, wi, ScalarOp::sub);
    }
  });
}

void TileProducts::multiply(const Factor& row_factor, const Factor& lane_factor, const Factor& result,
                            Index frequency, std::int64_t rows, Index lanes, std::int64_t most_lanes,
                            std::int64_t terms) {
  const std::int64_t vector = 64 / static_cast<std::int64_t>(size_of(dtype_));
  const std::int64_t parts = tiles_.components();
  // Of a power of two: registers side by side are one value of so many lanes to LLVM, which takes others
  // apart.
  const auto vectors = static_cast<std::int64_t>(std::bit_floor(
      static_cast<std::uint64_t>(std::clamp<std::int64_t>(most_lanes / vector, 1, most_vectors / parts))));
  const std::int64_t height = std::min(most_tile_rows, most_sums / (vectors * parts));
  const auto part_of_terms = [&](Index begin, Index end, bool is_first) {
    // A row's terms of a part are few cache lines: too few for the processor to see where it goes on.
    const auto fetch = [&](Index first) {
      const std::int64_t line = 64 / static_cast<std::int64_t>(size_of(dtype_));
      for (std::int64_t i = 0; i < height * parts; ++i) {
        for (std::int64_t s = 0; s < partial_terms; s += line) {
          const Index plane = frequency * Index(parts) + Index(i % parts);
          b_.prefetch(row_factor.planes.buffer, row_factor.base + plane * Index(row_factor.planes.pitch) +
                                                    (first + Index(i / parts)) * Index(row_factor.row) +
                                                    begin + Index(s));
        }
      }
    };
    const auto tile = [&](Index first, std::int64_t count) {
      if (row_factor.sum == 1) fetch(first + Index(count));
      b_.loop("lane", 0, lanes, vectorize.by(static_cast<int>(vectors)), [&](Index lane) {
        const Sums sums = zero_sums(count);
        accumulate(
            sums, row_factor, lane_factor, frequency, [&](std::int64_t i) { return first + Index(i); }, lane,
            begin, end);
        for (std::int64_t i = 0; i < count; ++i) {
          for (std::int64_t part = 0; part < parts; ++part) {
            const Index at = result.base +
                             (frequency * Index(parts) + Index(part)) * Index(result.planes.pitch) +
                             (first + Index(i)) * Index(result.row) + lane;
            ScalarValue sum = b_.get((part == 0 ? sums.re : sums.im)[static_cast<std::size_t>(i)]);
            if (!is_first) sum = b_.emit(ScalarOp::add, b_.load(result.planes.buffer, at), sum);
            b_.store(result.planes.buffer, at, sum);
          }
        }
      });
    };
    const std::int64_t whole = rows / height * height;
    if (whole > 0) b_.loop("row", 0, whole, serial, [&](Index first) { tile(first, height); }, height);
    if (whole < rows) tile(whole, rows - whole);
  };
  part_of_terms(0, std::min(terms, partial_terms), true);
  if (terms > partial_terms) {
    b_.loop(
        "part", partial_terms, terms, serial,
        [&](Index begin) { part_of_terms(begin, min(begin + Index(partial_terms), terms), false); },
        partial_terms);
  }
}

void TileProducts::multiply_on_gpu(const Factor& row_factor, const Factor& lane_factor, const Factor& result,
                                   const std::array<std::int64_t, 3>& group_steps, std::int64_t rows,
                                   std::int64_t lanes, std::int64_t terms, std::int64_t groups) {
  const std::int64_t height = std::min(rows, most_tile_rows / tiles_.components());
  const std::int64_t row_tiles = (rows + height - 1) / height;
  const std::vector<std::int64_t> extents{tiles_.frequencies(), groups, row_tiles, lanes};
  b_.parallel(
      "e", tiles_.frequencies() * groups * row_tiles * lanes,
      [&](Index e) {
        const std::vector<Index> at = split_index(e, extents);
        const Index group = at[1], first = at[2] * Index(height), lane = at[3];
        const auto row = [&](std::int64_t i) {
          return rows % height == 0 ? first + Index(i) : min(first + Index(i), rows - 1);
        };
        const auto of_group = [&](Factor factor, std::int64_t step) {
          factor.base = factor.base + group * Index(step);
          return factor;
        };
        const Factor row_here = of_group(row_factor, group_steps[0]);
        const Factor lane_here = of_group(lane_factor, group_steps[1]);
        const Factor result_here = of_group(result, group_steps[2]);
        const Sums totals = zero_sums(height);
        b_.loop(
            "part", 0, terms, serial,
            [&](Index begin) {
              const Sums sums = zero_sums(height);
              accumulate(sums, row_here, lane_here, at[0], row, lane, begin,
                         min(begin + Index(partial_terms), terms));
              const auto add = [&](const std::vector<Local>& to, const std::vector<Local>& from) {
                for (std::size_t i = 0; i < to.size(); ++i)
                  b_.set(to[i], b_.emit(ScalarOp::add, b_.get(to[i]), b_.get(from[i])));
              };
              add(totals.re, sums.re);
              add(totals.im, sums.im);
            },
            partial_terms);
        for (std::int64_t i = 0; i < height; ++i) {
          const auto store = [&] {
            for (int part = 0; part < tiles_.components(); ++part) {
              const Index to =
                  result_here.base +
                  (at[0] * Index(tiles_.components()) + Index(part)) * Index(result.planes.pitch) +
                  (first + Index(i)) * Index(result.row) + lane;
              b_.store(result.planes.buffer, to,
                       b_.get((part == 0 ? totals.re : totals.im)[static_cast<std::size_t>(i)]));
            }
          };
          if (rows % height == 0 || i == 0) {
            store();
          } else {
            b_.branch(b_.compare(ScalarOp::lt, first + Index(i), rows), store);
          }
        }
      },
      vectorize);
}

}  // namespace croton
