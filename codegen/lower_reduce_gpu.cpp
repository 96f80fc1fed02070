// Reductions on a GPU.

#include <algorithm>

#include "croton/codegen/lower_reduce_nest.h"

namespace croton {

namespace {

// Below so many threads a multiprocessor of a GPU those that sum columns wait for memory.
constexpr std::int64_t threads_that_hide_waits = 1024;
// On a GPU fewer columns than that fill no lines of the cache either way: groups of threads sum them.
constexpr std::int64_t fewest_gpu_columns = 16;

}  // namespace

void ReduceNest::lower_on_gpu() {
  const std::int64_t kept_count = kept_.count(), reduced_count = reduced_.count();
  const bool contiguous_rows = !reduced_.extents.empty() && reduced_.strides[leader_].back() == 1;
  const bool contiguous_columns = !kept_.extents.empty() && kept_.strides[leader_].back() == 1;
  const bool columns =
      !contiguous_rows && kept_count >= fewest_gpu_columns && (contiguous_columns || kept_count >= 4096);
  const std::int64_t wanted = std::int64_t{context_.gpu.multiprocessors} * (columns ? 2048 : 8);
  const std::int64_t shortest = columns ? 16 : 8192;
  std::int64_t chunks = std::clamp<std::int64_t>(wanted / std::max<std::int64_t>(kept_count, 1), 1,
                                                 std::max<std::int64_t>(reduced_count / shortest, 1));
  if (columns) chunks = std::min<std::int64_t>(chunks, 64);
  const std::int64_t unit = columns ? 1 : 1024;
  const std::int64_t share = (std::max<std::int64_t>(reduced_count, 1) + chunks - 1) / chunks;
  std::int64_t length = (share + unit - 1) / unit * unit;
  // Chunks of one size have constant loops.
  for (std::int64_t even = length; chunks > 1 && even <= 2 * length; even += unit) {
    if (reduced_count % even != 0) continue;
    length = even;
    break;
  }
  chunks = chunks == 1 ? 1 : (reduced_count + length - 1) / length;
  const bool is_few =
      kept_count * chunks < std::int64_t{context_.gpu.multiprocessors} * threads_that_hide_waits;
  if (columns && chunks > 1 && is_few && kept_.strides[leader_].back() == 1) {
    gpu_column_shares();
  } else if (columns) {
    gpu_columns(chunks, length);
  } else {
    gpu_rows(chunks, length);
  }
}

std::vector<ScalarValue> ReduceNest::flat_element(std::span<const Index> kept, Index flat) {
  return element(kept, split_index(flat, reduced_.extents));
}

void ReduceNest::gpu_rows(std::int64_t chunks, std::int64_t length) {
  const std::int64_t kept_count = kept_.count(), reduced_count = reduced_.count();
  const std::vector<Buffer> partial = chunks == 1 ? std::vector<Buffer>() : partials(kept_count * chunks);
  b_.parallel("o", kept_count * chunks, [&](Index o) {
    const std::vector<Index> kept = split_index(floor_div(o, chunks), kept_.extents);
    const std::vector<Local> sums = locals("fold");
    if (chunks == 1) {
      b_.loop("j", 0, reduced_count, vectorize, [&](Index j) { fold_into(sums, flat_element(kept, j)); });
      finish(kept, values_of(sums));
      return;
    }
    const Index begin = mod(o, chunks) * Index(length);
    if (reduced_count % length == 0) {
      b_.loop("j", 0, length, vectorize, [&](Index j) { fold_into(sums, flat_element(kept, begin + j)); });
    } else {
      b_.loop("j", begin, min(begin + Index(length), reduced_count), vectorize,
              [&](Index j) { fold_into(sums, flat_element(kept, j)); });
    }
    for (std::size_t v = 0; v < sums.size(); ++v) b_.store(partial[v], o, b_.get(sums[v]));
  });
  if (chunks == 1) return;
  b_.parallel("o", kept_count, [&](Index o) {
    const std::vector<Local> sums = locals("fold");
    b_.loop("c", 0, chunks, vectorize, [&](Index chunk) {
      std::vector<ScalarValue> values;
      for (const Buffer& buffer : partial) values.push_back(b_.load(buffer, o * Index(chunks) + chunk));
      fold_into(sums, values);
    });
    finish(split_index(o, kept_.extents), values_of(sums));
  });
}

void ReduceNest::gpu_columns(std::int64_t chunks, std::int64_t length) {
  const std::int64_t kept_count = kept_.count(), reduced_count = reduced_.count();
  const std::vector<Buffer> partial = chunks == 1 ? std::vector<Buffer>() : partials(kept_count * chunks);
  b_.parallel(
      "o", kept_count * chunks,
      [&](Index o) {
        const Index columns = std::max<std::int64_t>(kept_count, 1);
        const std::vector<Index> kept = split_index(mod(o, columns), kept_.extents);
        const std::vector<Local> sums = locals("fold");
        const Index begin = floor_div(o, columns) * Index(length);
        const bool is_even = reduced_count % length == 0;
        b_.loop("k", 0,
                is_even ? Index(std::min(length, reduced_count))
                        : min(Index(length), Index(reduced_count) - begin),
                [&](Index k) { fold_into(sums, flat_element(kept, begin + k)); });
        if (chunks == 1) {
          finish(kept, values_of(sums));
        } else {
          for (std::size_t v = 0; v < sums.size(); ++v) b_.store(partial[v], o, b_.get(sums[v]));
        }
      },
      vectorize);
  if (chunks > 1) add_column_chunks(partial, chunks);
}

void ReduceNest::gpu_column_shares() {
  constexpr std::int64_t width = 32, shares = 8, most_in_flight = 8, blocks_per_multiprocessor = 4;
  const std::int64_t kept_count = kept_.count(), reduced_count = reduced_.count();
  const std::int64_t blocks = (kept_count + width - 1) / width;
  const std::int64_t wanted = std::max<std::int64_t>(
      std::int64_t{context_.gpu.multiprocessors} * blocks_per_multiprocessor / blocks, 1);
  // Elements of a share; a few are loaded together. The last chunk may end behind the last element, but
  // somewhat more chunks of one size ask of none whether it exists.
  std::int64_t elements = (reduced_count + wanted * shares - 1) / (wanted * shares);
  std::int64_t in_flight = std::min(elements, most_in_flight);
  elements = (elements + in_flight - 1) / in_flight * in_flight;
  for (std::int64_t even = elements; 2 * even >= elements; --even) {
    std::int64_t together = std::min(even, most_in_flight);
    while (even % together != 0) --together;
    if (reduced_count % (even * shares) != 0 || 2 * together < most_in_flight) continue;
    elements = even;
    in_flight = together;
    break;
  }
  const std::int64_t length = elements * shares, chunks = (reduced_count + length - 1) / length;
  const bool is_even = chunks * length == reduced_count, has_all_columns = kept_count % width == 0;
  const std::vector<Buffer> partial = partials(kept_count * chunks);
  b_.parallel("o", blocks * chunks, [&](Index o) {
    const Index first = mod(o, blocks) * Index(width), chunk = floor_div(o, blocks);
    std::vector<LocalArray> folded;
    for (const Fold& fold : reduction_.folds)
      folded.push_back(b_.array("shares", fold.dtype, shares * width));
    b_.loop("t", 0, shares * width, vectorize, [&](Index t) {
      const Index column = first + mod(t, width);
      const std::vector<Index> kept =
          split_index(has_all_columns ? column : min(column, kept_count - 1), kept_.extents);
      const std::vector<Local> sums = locals("fold");
      b_.loop("round", 0, elements / in_flight, [&](Index r) {
        const Index begin = chunk * Index(length) + r * Index(shares * in_flight) + floor_div(t, width);
        std::vector<std::vector<ScalarValue>> values;
        for (std::int64_t i = 0; i < in_flight; ++i)
          values.push_back(element_or_nothing(kept, begin + Index(i * shares), is_even));
        for (const std::vector<ScalarValue>& v : values) fold_into(sums, v);
      });
      for (std::size_t v = 0; v < sums.size(); ++v) b_.store(folded[v], t, b_.get(sums[v]));
    });
    b_.loop("c", 0, width, vectorize, [&](Index c) {
      const std::vector<Local> sums = locals("fold");
      for (std::int64_t share = 0; share < shares; ++share) {
        std::vector<ScalarValue> values;
        for (const LocalArray& array : folded) values.push_back(b_.load(array, Index(share * width) + c));
        fold_into(sums, values);
      }
      const auto store = [&] {
        for (std::size_t v = 0; v < sums.size(); ++v)
          b_.store(partial[v], chunk * Index(kept_count) + first + c, b_.get(sums[v]));
      };
      if (has_all_columns) {
        store();
      } else {
        b_.branch(b_.compare(ScalarOp::lt, first + c, kept_count), store);
      }
    });
  });
  add_column_chunks(partial, chunks);
}

std::vector<ScalarValue> ReduceNest::element_or_nothing(std::span<const Index> kept, Index flat,
                                                        bool exists) {
  if (exists) return flat_element(kept, flat);
  const std::int64_t count = reduced_.count();
  const ScalarValue is_there = b_.compare(ScalarOp::lt, flat, count);
  std::vector<ScalarValue> values = flat_element(kept, min(flat, count - 1));
  for (std::size_t v = 0; v < values.size(); ++v)
    values[v] = b_.emit(ScalarOp::select, is_there, values[v], first_value(b_, reduction_.folds[v]));
  return values;
}

void ReduceNest::add_column_chunks(const std::vector<Buffer>& partial, std::int64_t chunks) {
  const std::int64_t kept_count = kept_.count();
  b_.parallel(
      "o", kept_count,
      [&](Index o) {
        const std::vector<Local> sums = locals("fold");
        b_.loop("c", 0, chunks, unroll, [&](Index chunk) {
          std::vector<ScalarValue> values;
          for (const Buffer& buffer : partial)
            values.push_back(b_.load(buffer, chunk * Index(kept_count) + o));
          fold_into(sums, values);
        });
        finish(split_index(o, kept_.extents), values_of(sums));
      },
      vectorize);
}

}  // namespace croton
