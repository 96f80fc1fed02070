// Reductions on a CPU: rows in vectors, columns side by side, in chunks where that makes work for all
// threads.

#include <algorithm>

#include "croton/codegen/lower_reduce_nest.h"

namespace croton {

namespace {

// Below this many elements of work a second phase that combines partial results costs more than it brings.
constexpr std::int64_t smallest_chunk = 16384;
// The number of partial results is fixed, whatever the number of threads: the same bits on every machine.
constexpr std::int64_t most_chunks = 32;
// Columns are summed in registers while there are few rows, by streaming through memory otherwise.
constexpr std::int64_t most_rows_in_registers = 32;
// So many rows are added at once, in order: their sum is loaded and stored once.
constexpr std::int64_t rows_together = 8;
constexpr std::int64_t shortest_row = 16;
constexpr std::int64_t longest_reduced_lane_row = 1024;

std::int64_t chunk_count(std::int64_t work, std::int64_t loop) {
  return std::clamp<std::int64_t>(work / smallest_chunk, 1,
                                  std::min(most_chunks, std::max<std::int64_t>(loop, 1)));
}

}  // namespace

void ReduceNest::lower_on_cpu() {
  const std::int64_t kept_count = kept_.count(), reduced_count = reduced_.count();
  const bool rows = !reduced_.extents.empty() && reduced_.strides[leader_].back() == 1 &&
                    (reduced_.extents.back() >= shortest_row || kept_count < shortest_row);
  const bool columns = !kept_.extents.empty() && kept_.extents.back() >= 8;
  if (rows || !columns) {
    const std::int64_t chunks =
        kept_count >= 8 * most_chunks ? 1 : chunk_count(kept_count * reduced_count, longest_reduced());
    if (chunks > 1) {
      row_chunks(chunks);
    } else {
      whole_rows();
    }
  } else if (reduced_count <= most_rows_in_registers) {
    columns_in_registers();
  } else {
    streamed_columns();
  }
}

std::size_t ReduceNest::longest_reduced_loop() const {
  return static_cast<std::size_t>(std::ranges::max_element(reduced_.extents) - reduced_.extents.begin());
}
std::int64_t ReduceNest::longest_reduced() const {
  return reduced_.extents.empty() ? 1 : reduced_.extents[longest_reduced_loop()];
}

void ReduceNest::reduce_elements(const std::vector<Local>& into, std::span<const Index> kept, std::size_t cut,
                                 Index begin, Index end, bool lanes) {
  const std::size_t loops = reduced_.loops();
  std::vector<Index> indices(loops);
  const auto bounds = [&](std::size_t loop) {
    return loop == cut ? std::pair(begin, end) : std::pair(Index(0), Index(reduced_.extents[loop]));
  };
  if (loops == 0) {
    fold_into(into, element(kept, indices));
    return;
  }
  const std::size_t inner = loops - 1;
  const auto serial_loops = [&](std::size_t count) {
    for (std::size_t loop = 0; loop < count; ++loop) {
      const auto [from, to] = bounds(loop);
      indices[loop] = b_.begin_loop("k", from, to, serial);
    }
  };
  const auto [from, to] = bounds(inner);
  if (lanes && loops > 1 && reduced_.extents[inner] <= longest_reduced_lane_row) {
    // Short rows: one accumulator a lane down all rows, combined once.
    b_.loop("j", from, to, reduced_.extents[inner] >= 64 ? vectorize.by(4) : vectorize, [&](Index j) {
      indices[inner] = j;
      const std::vector<Local> lane = locals("lane");
      serial_loops(inner);
      fold_into(lane, element(kept, indices));
      for (std::size_t loop = 0; loop < inner; ++loop) b_.end();
      fold_into(into, values_of(lane));
    });
    return;
  }
  serial_loops(inner);
  b_.loop("j", from, to, lanes ? vectorize : serial, [&](Index j) {
    indices[inner] = j;
    fold_into(into, element(kept, indices));
  });
  for (std::size_t loop = 0; loop < inner; ++loop) b_.end();
}

void ReduceNest::whole_rows() {
  b_.parallel("o", kept_.count(), [&](Index o) {
    const std::vector<Index> kept = split_index(o, kept_.extents);
    const std::vector<Local> sums = locals("fold");
    reduce_elements(sums, kept, reduced_.loops(), 0, 0, /*lanes=*/true);
    finish(kept, values_of(sums));
  });
}

void ReduceNest::row_chunks(std::int64_t chunks) {
  const std::int64_t kept_count = kept_.count();
  const std::size_t cut = longest_reduced_loop();
  const std::int64_t length = (reduced_.extents[cut] + chunks - 1) / chunks;
  const std::vector<Buffer> partial = partials(kept_count * chunks);
  b_.parallel(
      "o", kept_count * chunks,
      [&](Index o) {
        const Index chunk = mod(o, chunks);
        const std::vector<Index> kept = split_index(floor_div(o, chunks), kept_.extents);
        const std::vector<Local> sums = locals("fold");
        const Index begin = chunk * Index(length);
        reduce_elements(sums, kept, cut, begin, min(begin + Index(length), reduced_.extents[cut]),
                        /*lanes=*/true);
        for (std::size_t v = 0; v < sums.size(); ++v) b_.store(partial[v], o, b_.get(sums[v]));
      },
      serial, 1);
  combine(partial, chunks, [&](Index o, Index chunk) { return o * Index(chunks) + chunk; });
}

void ReduceNest::columns_in_registers() {
  b_.parallel(
      "o", kept_.count(),
      [&](Index o) {
        const std::vector<Index> kept = split_index(o, kept_.extents);
        const std::vector<Local> sums = locals("fold");
        reduce_elements(sums, kept, reduced_.loops(), 0, 0, /*lanes=*/false);
        finish(kept, values_of(sums));
      },
      vectorize);
}

void ReduceNest::streamed_columns() {
  const std::int64_t columns = kept_.extents.back();
  const std::int64_t kept_count = kept_.count();
  const std::int64_t outer = kept_count / columns;
  const std::size_t cut = longest_reduced_loop();
  const std::int64_t chunks = chunk_count(kept_count * reduced_.count(), reduced_.extents[cut]);
  const std::int64_t length = (reduced_.extents[cut] + chunks - 1) / chunks;
  // A block of columns whose partial results fit the first-level cache.
  const std::int64_t block = std::min<std::int64_t>(columns, 2048);
  const std::int64_t blocks = (columns + block - 1) / block;
  const std::vector<Buffer> partial = partials(chunks * kept_count);
  const std::vector<std::int64_t> outer_extents(kept_.extents.begin(), kept_.extents.end() - 1);
  b_.parallel(
      "o", outer * chunks * blocks,
      [&](Index o) {
        const Index first = mod(o, blocks) * Index(block);
        const Index last = min(first + Index(block), columns);
        const Index chunk = mod(floor_div(o, blocks), chunks);
        const Index outer_index = floor_div(o, blocks * chunks);
        std::vector<Index> kept = split_index(outer_index, outer_extents);
        kept.emplace_back();
        const Index row = (chunk * Index(outer) + outer_index) * Index(columns);
        b_.loop("j", first, last, vectorize, [&](Index j) {
          for (std::size_t v = 0; v < partial.size(); ++v) {
            b_.store(partial[v], row + j, first_value(b_, reduction_.folds[v]));
          }
        });
        std::vector<Index> indices(reduced_.loops());
        const auto begin_of = [&](std::size_t loop) {
          return loop == cut ? chunk * Index(length) : Index(0);
        };
        const auto end_of = [&](std::size_t loop) {
          return loop == cut ? min(begin_of(loop) + Index(length), reduced_.extents[cut])
                             : Index(reduced_.extents[loop]);
        };
        const std::size_t inner = reduced_.loops() - 1;
        for (std::size_t loop = 0; loop < inner; ++loop) {
          indices[loop] = b_.begin_loop("k", begin_of(loop), end_of(loop), serial);
        }
        const auto add_rows = [&](Index k, std::int64_t count) {
          b_.loop("j", first, last, vectorize, [&](Index j) {
            kept.back() = j;
            std::vector<ScalarValue> sums;
            for (const Buffer& buffer : partial) sums.push_back(b_.load(buffer, row + j));
            for (std::int64_t next = 0; next < count; ++next) {
              indices[inner] = k + Index(next);
              const std::vector<ScalarValue> values = element(kept, indices);
              for (std::size_t v = 0; v < values.size(); ++v) {
                sums[v] = b_.emit(reduction_.folds[v].combine, sums[v], values[v]);
              }
            }
            for (std::size_t v = 0; v < sums.size(); ++v) b_.store(partial[v], row + j, sums[v]);
          });
        };
        const Index begin = begin_of(inner), end = end_of(inner);
        const Index together = begin + floor_div(max(end - begin, 0), rows_together) * Index(rows_together);
        b_.loop("k", begin, together, serial, [&](Index k) { add_rows(k, rows_together); }, rows_together);
        b_.loop("k", together, end, serial, [&](Index k) { add_rows(k, 1); });
        for (std::size_t loop = 0; loop < inner; ++loop) b_.end();
      },
      serial, 1);
  combine(partial, chunks, [&](Index o, Index chunk) { return chunk * Index(kept_count) + o; });
}

void ReduceNest::combine(const std::vector<Buffer>& partial, std::int64_t chunks,
                         const std::function<Index(Index, Index)>& position) {
  b_.parallel(
      "o", kept_.count(),
      [&](Index o) {
        const std::vector<Local> sums = locals("fold");
        b_.loop("c", 0, chunks, [&](Index chunk) {
          std::vector<ScalarValue> values;
          for (const Buffer& buffer : partial) values.push_back(b_.load(buffer, position(o, chunk)));
          fold_into(sums, values);
        });
        finish(split_index(o, kept_.extents), values_of(sums));
      },
      kept_.count() >= 8 ? vectorize : serial);
}

}  // namespace croton
