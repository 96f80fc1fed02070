#include <algorithm>
#include <functional>
#include <limits>

#include "croton/codegen/lower_fold.h"
#include "croton/graph/error.h"
#include "croton/ops/composite.h"
#include "croton/ops/reduce.h"

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
// Below so many threads a multiprocessor of a GPU those that sum columns wait for memory.
constexpr std::int64_t threads_that_hide_waits = 1024;
// Less work is done in few rounds anyhow, and often by the launch in front of it.
constexpr std::int64_t least_shared_work = 1 << 18;
// On a GPU fewer columns than that fill no lines of the cache either way: groups of threads sum them.
constexpr std::int64_t fewest_gpu_columns = 16;

/// What a reduction does, apart from how its loops run.
struct Reduction {
  std::size_t full_inputs = 0;  // of the shape before the reduction; the others have the result's shape
  std::vector<std::int64_t> axes;
  std::vector<Fold> folds;
  /// The values to fold, from one element of each full input.
  std::function<std::vector<ScalarValue>(KernelBuilder&, std::span<const ScalarValue>)> element;
  /// The outputs, from the folded values and the other inputs.
  std::function<std::vector<ScalarValue>(KernelBuilder&, std::span<const ScalarValue>)> finish;
};

class ReduceNest {
 public:
  ReduceNest(const LowerContext& context, const Reduction& reduction, std::string name)
      : context_(context), reduction_(reduction), kernel_(context, std::move(name)), b_(kernel_.builder()) {
    split_axes();
    for (std::size_t i = 0; i < context.inputs.size(); ++i) inputs_.push_back(kernel_.input(i));
    for (std::size_t i = 0; i < context.outputs.size(); ++i) outputs_.push_back(kernel_.output(i));
  }

  NodeCode lower() {
    const std::int64_t kept_count = kept_.count();
    const std::int64_t reduced_count = reduced_.count();
    if (context_.is_gpu()) return lower_on_gpu();
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
    return kernel_.finish();
  }

 private:
  void split_axes() {
    const Shape& full = context_.inputs[0].shape;
    const std::span<const Layout> full_inputs = context_.inputs.first(reduction_.full_inputs);
    Shape shape = full;
    for (const Layout& input : full_inputs) {
      for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        if (shape[axis] == 1) shape[axis] = input.shape[axis];
      }
    }
    const IterationSpace all = iterate(shape, full_inputs);
    std::vector<std::size_t> kept, reduced;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      (std::ranges::count(reduction_.axes, static_cast<std::int64_t>(axis)) != 0 ? reduced : kept)
          .push_back(axis);
    }
    reduced_ = all.only(reduced);
    kept_ = all.only(kept);
    // The kept loops also move the other inputs and the outputs.
    Shape result;
    for (std::size_t axis : kept) result.push_back(shape[axis]);
    std::vector<Layout> others(context_.inputs.begin() + static_cast<std::ptrdiff_t>(reduction_.full_inputs),
                               context_.inputs.end());
    others.insert(others.end(), context_.outputs.begin(), context_.outputs.end());
    const IterationSpace rest = iterate(result, others);
    kept_.strides.insert(kept_.strides.end(), rest.strides.begin(), rest.strides.end());
    // The input that is read most decides along which loop memory is walked.
    std::int64_t most = -1;
    for (std::size_t i = 0; i < full_inputs.size(); ++i) {
      if (full_inputs[i].shape.count() > most) {
        most = full_inputs[i].shape.count();
        leader_ = i;
      }
    }
    reduced_.simplify(/*reorder=*/true, leader_);
    kept_.simplify(/*reorder=*/true, leader_);
  }

  std::size_t longest_reduced_loop() const {
    return static_cast<std::size_t>(std::ranges::max_element(reduced_.extents) - reduced_.extents.begin());
  }
  std::int64_t longest_reduced() const {
    return reduced_.extents.empty() ? 1 : reduced_.extents[longest_reduced_loop()];
  }
  static std::int64_t chunk_count(std::int64_t work, std::int64_t loop) {
    return std::clamp<std::int64_t>(work / smallest_chunk, 1,
                                    std::min(most_chunks, std::max<std::int64_t>(loop, 1)));
  }

  /// The values of the element at these loop indices, cast to the accumulators' dtypes.
  std::vector<ScalarValue> element(std::span<const Index> kept, std::span<const Index> reduced) {
    std::vector<ScalarValue> loaded;
    for (std::size_t i = 0; i < reduction_.full_inputs; ++i) {
      loaded.push_back(b_.load(inputs_[i], offset_of(kept_, i, kept) + offset_of(reduced_, i, reduced)));
    }
    std::vector<ScalarValue> values = reduction_.element(b_, loaded);
    for (std::size_t v = 0; v < values.size(); ++v) {
      if (values[v].dtype != reduction_.folds[v].dtype)
        values[v] = b_.cast(values[v], reduction_.folds[v].dtype);
    }
    return values;
  }

  void finish(std::span<const Index> kept, std::span<const ScalarValue> folded) {
    std::vector<ScalarValue> values(folded.begin(), folded.end());
    for (std::size_t i = reduction_.full_inputs; i < inputs_.size(); ++i) {
      values.push_back(b_.load(inputs_[i], offset_of(kept_, i, kept)));
    }
    const std::vector<ScalarValue> results = reduction_.finish(b_, values);
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      b_.store(outputs_[i], offset_of(kept_, inputs_.size() + i, kept), results[i]);
    }
  }

  std::vector<Local> locals(const char* name) {
    std::vector<Local> list;
    for (const Fold& fold : reduction_.folds) list.push_back(b_.local(name, first_value(b_, fold)));
    return list;
  }
  void fold_into(const std::vector<Local>& into, std::span<const ScalarValue> values) {
    for (std::size_t v = 0; v < values.size(); ++v)
      b_.reduce(reduction_.folds[v].combine, into[v], values[v]);
  }
  std::vector<ScalarValue> values_of(const std::vector<Local>& list) {
    std::vector<ScalarValue> values;
    for (const Local& local : list) values.push_back(b_.get(local));
    return values;
  }

  /// Loops over the reduced elements from the outermost loop on; loop `cut` runs in [begin, end). With
  /// `lanes`, the last loop is a vector loop.
  void reduce_elements(const std::vector<Local>& into, std::span<const Index> kept, std::size_t cut,
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

  /// On a GPU: a group of threads a row, or a thread a column; where these are too few, each takes one of
  /// several chunks of the reduced elements and a second phase combines the partial results in order.
  NodeCode lower_on_gpu() {
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
    return kernel_.finish();
  }

  /// element() of the flat index of a reduced element.
  std::vector<ScalarValue> flat_element(std::span<const Index> kept, Index flat) {
    return element(kept, split_index(flat, reduced_.extents));
  }

  void gpu_rows(std::int64_t chunks, std::int64_t length) {
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

  void gpu_columns(std::int64_t chunks, std::int64_t length) {
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

  /// Few columns, by a thread a column and share of a chunk: rows of threads side by side have neighbouring
  /// columns, and their shares are added in shared memory.
  void gpu_column_shares() {
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

  /// The values to fold of that element; what changes nothing where it lies behind the last one.
  std::vector<ScalarValue> element_or_nothing(std::span<const Index> kept, Index flat, bool exists) {
    if (exists) return flat_element(kept, flat);
    const std::int64_t count = reduced_.count();
    const ScalarValue is_there = b_.compare(ScalarOp::lt, flat, count);
    std::vector<ScalarValue> values = flat_element(kept, min(flat, count - 1));
    for (std::size_t v = 0; v < values.size(); ++v)
      values[v] = b_.emit(ScalarOp::select, is_there, values[v], first_value(b_, reduction_.folds[v]));
    return values;
  }

  /// The results of columns from partial results by chunk, in order.
  void add_column_chunks(const std::vector<Buffer>& partial, std::int64_t chunks) {
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

  void whole_rows() {
    b_.parallel("o", kept_.count(), [&](Index o) {
      const std::vector<Index> kept = split_index(o, kept_.extents);
      const std::vector<Local> sums = locals("fold");
      reduce_elements(sums, kept, reduced_.loops(), 0, 0, /*lanes=*/true);
      finish(kept, values_of(sums));
    });
  }

  void row_chunks(std::int64_t chunks) {
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

  void columns_in_registers() {
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

  /// Rows are read as they lie and added to a row of partial results that stays in the cache.
  void streamed_columns() {
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

  std::vector<Buffer> partials(std::int64_t count) {
    std::vector<Buffer> buffers;
    for (const Fold& fold : reduction_.folds) buffers.push_back(kernel_.scratch(fold.dtype, count));
    return buffers;
  }

  /// Partial results in a fixed order, for each kept element.
  template <class Position>
  void combine(const std::vector<Buffer>& partial, std::int64_t chunks, const Position& position) {
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

  const LowerContext& context_;
  const Reduction& reduction_;
  NodeKernel kernel_;
  KernelBuilder& b_;
  std::vector<Buffer> inputs_, outputs_;
  IterationSpace kept_;     // operands: full inputs, other inputs, outputs
  IterationSpace reduced_;  // operands: full inputs
  std::size_t leader_ = 0;
};

/// An extreme of nothing is an error that the reference evaluator words.
bool is_extreme_of_nothing(const LowerContext& context, const Reduction& reduction, bool has_identity) {
  if (has_identity) return false;
  return std::ranges::any_of(reduction.axes, [&](std::int64_t axis) {
    return std::ranges::any_of(context.inputs.first(reduction.full_inputs), [&](const Layout& input) {
      return input.shape[static_cast<std::size_t>(axis)] == 0;
    });
  });
}

}  // namespace

std::optional<NodeCode> lower_reduce(const LowerContext& context) {
  const ReduceRow& row = as_reduce(context.node.op())->row();
  Reduction reduction;
  reduction.full_inputs = 1;
  reduction.axes = context.node.attributes().get<std::vector<std::int64_t>>("axes");
  reduction.folds = {{row.combine, compute_dtype(row.result(context.inputs[0].dtype))}};
  reduction.element = [](KernelBuilder&, std::span<const ScalarValue> in) {
    return std::vector<ScalarValue>{in[0]};
  };
  reduction.finish = reduction.element;
  if (is_extreme_of_nothing(context, reduction, row.has_identity)) return std::nullopt;
  return ReduceNest(context, reduction, std::string(row.name)).lower();
}

std::optional<NodeCode> lower_composite_reduce(const LowerContext& context) {
  const CompositeReduce parts = composite_reduce_parts(context.node);
  const ReduceRow& row = find_reduce(parts.op)->row();
  Reduction reduction;
  reduction.full_inputs = parts.body->inputs().size();
  reduction.axes = parts.axes;
  for (const Variable& value : parts.body->outputs()) {
    reduction.folds.push_back({row.combine, compute_dtype(row.result(value.dtype()))});
  }
  reduction.element = [&](KernelBuilder& b, std::span<const ScalarValue> in) {
    return emit_body(b, *parts.body, in);
  };
  reduction.finish = [&](KernelBuilder& b, std::span<const ScalarValue> in) {
    if (parts.epilogue == nullptr) return std::vector<ScalarValue>(in.begin(), in.end());
    return emit_body(b, *parts.epilogue, in);
  };
  if (is_extreme_of_nothing(context, reduction, row.has_identity)) return std::nullopt;
  return ReduceNest(context, reduction, "composite_" + parts.op).lower();
}

ScalarValue first_value(KernelBuilder& b, const Fold& fold) {
  const DType t = fold.dtype;
  switch (fold.combine) {
    case ScalarOp::mul:
      return is_floating(t) ? b.constant(1, t) : b.integer_constant(1, t);
    case ScalarOp::bit_and:
      return b.integer_constant(is_bool(t) ? 1 : -1, t);
    case ScalarOp::max:
    case ScalarOp::min: {
      const bool is_max = fold.combine == ScalarOp::max;
      if (is_floating(t)) {
        const double infinity = std::numeric_limits<double>::infinity();
        return b.constant(is_max ? -infinity : infinity, t);
      }
      return visit_dtype(t, [&](auto tag) {
        using T = typename decltype(tag)::type;
        using Limits = std::numeric_limits<T>;
        return b.integer_constant(static_cast<std::int64_t>(is_max ? Limits::lowest() : Limits::max()), t);
      });
    }
    default:
      return is_floating(t) ? b.constant(0, t) : b.integer_constant(0, t);
  }
}

}  // namespace croton
