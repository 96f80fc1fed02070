// Convolutions over tensors in c01b. The batch is innermost, so that neighbouring images are the lanes of a
// vector and the threads of a group; nothing is copied or laid out anew.

#include <algorithm>

#include "croton/codegen/conv_kernel.h"
#include "croton/codegen/lower_conv_gpu.h"
#include "croton/codegen/lower_conv_lanes.h"
#include "croton/ops/conv_implementations.h"

namespace croton {

namespace {

// Results of an image and position that are computed together.
constexpr std::int64_t results_at_once = 12;
// Sums of the filters' gradient: channels times filters.
constexpr std::int64_t channels_at_once = 4, sums_at_once = 16;
// Parts of the sums over positions that keep a GPU and the threads of a CPU busy.
constexpr std::int64_t groups_per_multiprocessor = 4, tasks_per_thread = 4;

class C01bConv : ConvKernel {
 public:
  C01bConv(const LowerContext& context, const ConvProblem& p) : ConvKernel(context, p, "conv_c01b") {}

  NodeCode lower() {
    if (p_.direction == ConvDirection::backward_weights)
      weights();
    else
      images();
    return kernel_.finish();
  }

 private:
  bool is_forward() const { return p_.direction == ConvDirection::forward; }
  Index tap(std::size_t axis, Index k) const { return p_.flip ? Index(p_.kernel[axis] - 1) - k : k; }
  DType sum_dtype() const { return compute_dtype(p_.dtype); }
  ScalarValue zero() { return b_.constant(0, sum_dtype()); }
  /// Element (channel of the group, i, j, filter) of the filters.
  Index filter_at(Index channel, Index i, Index j, Index filter) const {
    return ((channel * Index(p_.kernel[0]) + tap(0, i)) * Index(p_.kernel[1]) + tap(1, j)) *
               Index(p_.filters) +
           filter;
  }
  static Index plane_at(Index channel, const Shape& extents, Index row, Index column) {
    return (channel * Index(extents[0]) + row) * Index(extents[1]) + column;
  }

  /// What meets one position of the result along an axis: taps of the forward pass; outputs that an element
  /// of the image has gone into.
  struct Range {
    Index begin, end;
  };
  Range range(std::size_t axis, Index at) const {
    const std::int64_t pad = p_.pad_lo[axis], kernel = p_.kernel[axis], stride = p_.stride[axis];
    if (is_forward()) {
      const Index start = at * Index(stride) - Index(pad);
      return {max(Index(0) - start, 0), min(Index(p_.image[axis]) - start, kernel)};
    }
    return {max(floor_div(at + Index(pad - kernel + stride), stride), 0),
            min(floor_div(at + Index(pad), stride) + Index(1), p_.out[axis])};
  }
  /// The source element and the tap of entry k of a range.
  std::pair<Index, Index> meeting(std::size_t axis, Index at, Index k) const {
    const Index stride(p_.stride[axis]), pad(p_.pad_lo[axis]);
    if (is_forward()) return {at * stride - pad + k, k};
    return {k, at + pad - k * stride};
  }

  void images() {
    const std::int64_t results = is_forward() ? filters_ : channels_;
    const TileSplit split =
        split_evenly(results, std::min(results_at_once, std::max<std::int64_t>(1, results)));
    images(0, split.large, split.size + 1);
    images(split.large * (split.size + 1), split.small, split.size);
  }

  void images(std::int64_t begin, std::int64_t tiles, std::int64_t count) {
    const Shape& extents = is_forward() ? p_.out : p_.image;
    const std::vector<std::int64_t> tasks{p_.groups, tiles, extents[0], extents[1]};
    const std::int64_t number = p_.groups * tiles * extents.count();
    if (number * count * p_.batch == 0) return;
    b_.parallel("e", number, [&](Index e) {
      const std::vector<Index> at = split_index(e, tasks);
      const Index first = Index(begin) + at[1] * Index(count);
      b_.loop("n", 0, p_.batch, vectorize, [&](Index n) { image_sums(at, first, count, n); });
    });
  }

  void image_sums(const std::vector<Index>& at, Index first, std::int64_t count, Index n) {
    const std::int64_t sources = is_forward() ? channels_ : filters_;
    const std::int64_t results = is_forward() ? filters_ : channels_;
    const Shape &from = is_forward() ? p_.image : p_.out, &to = is_forward() ? p_.out : p_.image;
    const Buffer source = is_forward() ? first_ : second_, filters = is_forward() ? second_ : first_;
    std::vector<Local> sums;
    for (std::int64_t f = 0; f < count; ++f) sums.push_back(b_.local("sum", zero()));
    const Range rows = range(0, at[2]), columns = range(1, at[3]);
    b_.loop("c", 0, sources, [&](Index c) {
      const Index source_channel = at[0] * Index(sources) + c;
      b_.loop("i", rows.begin, rows.end, [&](Index i) {
        const auto [row, row_tap] = meeting(0, at[2], i);
        b_.loop("j", columns.begin, columns.end, [&, row = row, row_tap = row_tap](Index j) {
          const auto [column, column_tap] = meeting(1, at[3], j);
          const ScalarValue x =
              b_.load(source, plane_at(source_channel, from, row, column) * Index(p_.batch) + n);
          for (std::int64_t f = 0; f < count; ++f) {
            const Index result = first + Index(f);
            const Index w = is_forward() ? filter_at(c, row_tap, column_tap, at[0] * Index(filters_) + result)
                                         : filter_at(result, row_tap, column_tap, source_channel);
            const Local sum = sums[static_cast<std::size_t>(f)];
            b_.set(sum, b_.emit(ScalarOp::fma, x, b_.load(filters, w), b_.get(sum)));
          }
        });
      });
    });
    for (std::int64_t f = 0; f < count; ++f) {
      const Index channel = at[0] * Index(results) + first + Index(f);
      b_.store(result_, plane_at(channel, to, at[2], at[3]) * Index(p_.batch) + n,
               b_.get(sums[static_cast<std::size_t>(f)]));
    }
  }

  void weights() {
    const std::int64_t elements = p_.filter_shape().count();
    if (elements == 0) return;
    const TileSplit channels = split_evenly(channels_, channels_at_once);
    const TileSplit filters = split_evenly(
        filters_, std::max<std::int64_t>(1, sums_at_once / std::max<std::int64_t>(1, channels.size)));
    const std::int64_t tasks = p_.groups * channels.tiles() * filters.tiles() * p_.kernel.count();
    const std::int64_t wanted = context_.is_gpu() ? groups_per_multiprocessor * context_.gpu.multiprocessors
                                                  : tasks_per_thread * context_.threads;
    chunks_ = std::clamp<std::int64_t>((wanted + tasks - 1) / tasks, 1, std::max<std::int64_t>(1, p_.out[0]));
    if (chunks_ > 1) partial_ = kernel_.scratch(sum_dtype(), elements * chunks_);
    for (const auto& [c_begin, c_tiles, c_count] : parts(channels)) {
      for (const auto& [f_begin, f_tiles, f_count] : parts(filters))
        weights({c_begin, c_tiles, c_count}, {f_begin, f_tiles, f_count});
    }
    if (chunks_ > 1) add_chunks(elements);
  }

  /// Tiles of one size.
  struct Tiles {
    std::int64_t begin, tiles, count;
  };
  static std::vector<Tiles> parts(const TileSplit& split) {
    std::vector<Tiles> all;
    if (split.large > 0) all.push_back({0, split.large, split.size + 1});
    if (split.small > 0) all.push_back({split.large * (split.size + 1), split.small, split.size});
    return all;
  }

  void weights(const Tiles& channels, const Tiles& filters) {
    const std::vector<std::int64_t> tasks{chunks_,       p_.groups,    channels.tiles,
                                          filters.tiles, p_.kernel[0], p_.kernel[1]};
    std::int64_t number = 1;
    for (const std::int64_t extent : tasks) number *= extent;
    b_.parallel("e", number, [&](Index e) {
      const std::vector<Index> at = split_index(e, tasks);
      const Index channel = Index(channels.begin) + at[2] * Index(channels.count);
      const Index filter = Index(filters.begin) + at[3] * Index(filters.count);
      const std::vector<Local> sums = weight_sums(at, channel, channels.count, filter, filters.count);
      const Index base = chunks_ > 1 ? at[0] * Index(p_.filter_shape().count()) : Index(0);
      for (std::int64_t c = 0; c < channels.count; ++c) {
        for (std::int64_t f = 0; f < filters.count; ++f) {
          const Index w =
              filter_at(channel + Index(c), at[4], at[5], at[1] * Index(filters_) + filter + Index(f));
          b_.store(chunks_ > 1 ? partial_ : result_, base + w,
                   b_.get(sums[static_cast<std::size_t>(c * filters.count + f)]));
        }
      }
    });
  }

  /// Outputs along an axis whose tap k lies in the image.
  Range outputs(std::size_t axis, Index k) const {
    const std::int64_t pad = p_.pad_lo[axis], stride = p_.stride[axis];
    return {max(floor_div(Index(pad + stride - 1) - k, stride), 0),
            min(floor_div(Index(p_.image[axis] - 1 + pad) - k, stride) + Index(1), p_.out[axis])};
  }

  std::vector<Local> weight_sums(const std::vector<Index>& at, Index channel, std::int64_t channels,
                                 Index filter, std::int64_t filters) {
    std::vector<Local> sums;
    for (std::int64_t i = 0; i < channels * filters; ++i) sums.push_back(b_.local("sum", zero()));
    Range rows = outputs(0, at[4]);
    const Range columns = outputs(1, at[5]);
    if (chunks_ > 1) {
      const std::int64_t share = (p_.out[0] + chunks_ - 1) / chunks_;
      rows.begin = max(rows.begin, at[0] * Index(share));
      rows.end = min(rows.end, (at[0] + Index(1)) * Index(share));
    }
    b_.loop("row", rows.begin, rows.end, [&](Index r) {
      const Index row = r * Index(p_.stride[0]) - Index(p_.pad_lo[0]) + at[4];
      const auto run = [&](Index column, Index length) {
        const Index image = column * Index(p_.stride[1]) - Index(p_.pad_lo[1]) + at[5];
        b_.loop("n", 0, length, vectorize, [&](Index n) {
          std::vector<ScalarValue> x;
          for (std::int64_t c = 0; c < channels; ++c) {
            const Index plane = at[1] * Index(channels_) + channel + Index(c);
            x.push_back(b_.load(first_, plane_at(plane, p_.image, row, image) * Index(p_.batch) + n));
          }
          for (std::int64_t f = 0; f < filters; ++f) {
            const Index plane = at[1] * Index(filters_) + filter + Index(f);
            const ScalarValue g = b_.load(second_, plane_at(plane, p_.out, r, column) * Index(p_.batch) + n);
            for (std::int64_t c = 0; c < channels; ++c) {
              b_.reduce(ScalarOp::add, sums[static_cast<std::size_t>(c * filters + f)],
                        b_.emit(ScalarOp::mul, x[static_cast<std::size_t>(c)], g));
            }
          }
        });
      };
      // Without strides the columns of a row lie one behind the other in both.
      if (p_.stride[1] == 1)
        run(columns.begin, max(columns.end - columns.begin, 0) * Index(p_.batch));
      else
        b_.loop("column", columns.begin, columns.end, [&](Index s) { run(s, p_.batch); });
    });
    return sums;
  }

  void add_chunks(std::int64_t elements) {
    b_.parallel(
        "i", elements,
        [&](Index i) {
          ScalarValue sum = b_.load(partial_, i);
          for (std::int64_t chunk = 1; chunk < chunks_; ++chunk)
            sum = b_.emit(ScalarOp::add, sum, b_.load(partial_, i + Index(chunk * elements)));
          b_.store(result_, i, sum);
        },
        vectorize);
  }

  std::int64_t chunks_ = 1;
  Buffer partial_;
};

}  // namespace

std::optional<NodeCode> lower_c01b_conv(const LowerContext& context) {
  for (const Layout& input : context.inputs) {
    if (!is_contiguous(input)) return std::nullopt;
  }
  const ConvProblem problem = concrete_conv_problem(context.node);
  return C01bConv(context, problem).lower();
}

}  // namespace croton
