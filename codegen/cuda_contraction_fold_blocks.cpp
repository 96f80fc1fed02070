// Blocks that multiply and fold: the products of every output and tap stay in shared memory, a tile of
// outputs at a time. A block has some of the channels of an image, or of several, and keeps their filters;
// four warps go through a share of the outputs, and keep the inputs that these reach until the last of them.

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "croton/codegen/cuda_contraction_geometry.h"
#include "croton/codegen/cuda_kernel.h"

namespace croton {

namespace {

using Axis = ContractionFold::Axis;

constexpr std::int64_t rows_of_warps = 64;  // of four that multiply together
// Fewer leave too little to do between barriers (an H200: 27 columns take 1.1 times as long as with a matrix
// in memory, 72 take 0.8, 121 take 0.6).
constexpr std::int64_t least_columns = 64;
constexpr std::int64_t most_shared_bytes = 227 * 1024;  // of a block

std::int64_t parts_of(std::int64_t n, std::int64_t part) { return (n + part - 1) / part; }

/// What follows from a tile of outputs. `kept`: inputs along the first axis that a tile reaches; `shared`:
/// those of them that the outputs behind the tile reach, too.
struct FoldBlockCut {
  std::int64_t rows = 1, kept = 0, shared = 0, of_share = 0, inner = 1, columns = 0;

  FoldBlockCut(const ContractionFold& fold, const ContractionFold::Blocks& b) {
    const Axis& first = fold.axes.front();
    for (std::size_t axis = 0; axis < fold.axes.size(); ++axis) {
      rows *= b.outputs[axis];
      if (axis > 0) inner *= fold.axes[axis].inputs;
    }
    const std::int64_t reach = (first.taps - 1) * first.dilation + 1;
    kept = (b.outputs.front() - 1) * first.stride + reach;
    shared = std::max<std::int64_t>(0, reach - first.stride);
    const std::int64_t bands = parts_of(first.outputs, b.outputs.front());
    of_share = (b.images > 1 ? bands : parts_of(bands, b.shares)) * b.outputs.front();
    columns = b.channels * fold.product_of(&Axis::taps);
  }
  /// Neighbouring columns of a lane's sums, and eight rows, are in different banks.
  std::int64_t pitch() const { return up_to_multiple(rows, rows_of_warps) + 4; }
  std::int64_t floats_of_share(std::int64_t channels) const {
    return columns * pitch() + channels * (kept + shared) * inner;
  }
};

FoldBlockCut cut_of_blocks(const CudaContraction& c) { return {c.fold, c.fold.blocks}; }

/// At most so many neighbours in memory: whole trailing axes and equal parts of one.
std::vector<std::int64_t> tile_outputs(const ContractionFold& fold, std::int64_t most) {
  std::vector<std::int64_t> outputs(fold.axes.size(), 1);
  for (std::size_t axis = fold.axes.size(); axis-- > 0; most /= outputs[axis]) {
    const std::int64_t extent = fold.axes[axis].outputs;
    if (extent > most) {
      outputs[axis] = axis == 0 ? most : parts_of(extent, parts_of(extent, most));
      break;
    }
    outputs[axis] = extent;
  }
  return outputs;
}

int column_units_for(std::int64_t columns) {
  for (const int units : warpgroup_column_units) {
    if (8 * units >= columns) return units;
  }
  return 0;
}

/// Of a thread, about: sums, twice where tiles' sums are added up, factors and what is read for them.
int registers_of_folding(const CudaContraction& c) {
  const int steps = c.tile.depth / 16;
  return 4 * c.tile.column_units * (adds_up_tiles(c) ? 2 : 1) +
         steps * (2 * words_of_unit(c.arithmetic) / 32 + 8) + 40;
}

/// The contraction with so many channels a block, and as many shares as registers and shared memory hold;
/// none is so small that a third one reaches its inputs. Nothing where not even one fits.
std::optional<CudaContraction> with_blocks(const CudaContraction& c, std::int64_t channels, int units,
                                           std::int64_t most_rows, int multiprocessors) {
  constexpr int most_shares = 4, all_registers = 65536, threads_of_share = 128;
  constexpr std::int64_t most_images = 16;
  const ContractionPart& part = c.parts.front();
  const std::int64_t taps = part.columns[1], of_tap = part.result.place.columns[1];
  CudaContraction cut = c;
  cut.tile = {4, 1, 1, units, part.depth.front() > 16 ? 32 : 16, 2, true};
  cut.splits = 1;
  ContractionPart& p = cut.parts.front();
  p.columns = {part.columns[0] / channels, 8 * units};
  p.packed.place.columns = {channels * taps, 1};
  p.packed.bounds = {{{0, 0, {}, {0, 1}, {}}, channels * taps}};
  p.result.place.columns = {channels * taps * of_tap, of_tap};
  p.result.bounds = p.packed.bounds;
  // Two blocks a multiprocessor; several images where there are more.
  const std::int64_t images = std::clamp<std::int64_t>(
      c.fold.images * c.batch * p.columns[0] / (2 * multiprocessors), 1, most_images);
  const std::int64_t outputs = c.fold.axes.front().outputs, stride = c.fold.axes.front().stride;
  for (int shares = most_shares; shares > 0; --shares) {
    cut.fold.blocks = {channels, images == 1 ? 1 : up_to_multiple(images, shares), shares,
                       tile_outputs(c.fold, most_rows)};
    cut.tile.warps_rows = 4 * shares;
    const FoldBlockCut f = cut_of_blocks(cut);
    if (images == 1 && parts_of(outputs, f.of_share) != shares) continue;
    if (images == 1 && shares > 1 && f.of_share * stride < f.shared) continue;
    if (threads_of_share * shares * registers_of_folding(cut) <= all_registers &&
        fold_block_bytes(cut) <= most_shared_bytes)
      return cut;
  }
  return std::nullopt;
}

/// Of tensor cores' time: rows and columns that are not empty, and one share alone waits for itself.
double efficiency_of_blocks(const CudaContraction& c) {
  const FoldBlockCut f = cut_of_blocks(c);
  return static_cast<double>(f.rows * f.columns) /
         static_cast<double>(up_to_multiple(f.rows, rows_of_warps) * c.tile.columns()) *
         (c.fold.blocks.shares > 1 ? 1 : 0.6);
}

}  // namespace

bool fold_in_blocks(CudaContraction& c, const GpuTraits& gpu) {
  if (!has_warpgroup_products(gpu.architecture) || !c.is_tensor_core() || c.result_count == 0 ||
      c.gathered_count == 0 || c.packed_count == 0)
    return false;
  const int most_units = has_three_products(c.arithmetic) ? 16 : 32;  // by registers for sums
  const std::int64_t channels = c.parts.front().columns[0], taps = c.parts.front().columns[1];
  std::optional<CudaContraction> best;
  for (std::int64_t of_block = channels; of_block > 0; --of_block) {
    const int units = column_units_for(of_block * taps);
    if (channels % of_block != 0 || of_block * taps < least_columns || units == 0 || units > most_units)
      continue;
    // A multiprocessor without a block has nothing to do.
    if (4 * c.fold.images * c.batch * (channels / of_block) < 3 * gpu.multiprocessors) continue;
    for (const std::int64_t most_rows : {rows_of_warps, 2 * rows_of_warps}) {
      auto cut = with_blocks(c, of_block, units, most_rows, gpu.multiprocessors);
      if (cut && (!best || efficiency_of_blocks(*cut) > 1.05 * efficiency_of_blocks(*best)))
        best = std::move(cut);
    }
  }
  if (best) c = std::move(*best);
  return best.has_value();
}

std::int64_t fold_block_pitch(const CudaContraction& c) { return cut_of_blocks(c).pitch(); }

std::int64_t fold_blocks(const CudaContraction& c) {
  return parts_of(c.fold.images, c.fold.blocks.images) * c.batch * c.parts.front().columns.front();
}

std::int64_t fold_block_bytes(const CudaContraction& c) {
  const std::int64_t packed = cut_of(c, c.parts.front()).depth_tiles * (c.tile.depth / 16) *
                              c.tile.column_units * words_of_unit(c.arithmetic);
  return 4 * (packed + c.fold.blocks.shares *
                           up_to_multiple(cut_of_blocks(c).floats_of_share(c.fold.blocks.channels), 4));
}

std::string fold_block_declarations(const CudaContraction& c) {
  const FoldBlockCut cut = cut_of_blocks(c);
  const ContractionFold::Blocks& b = c.fold.blocks;
  std::string text = fmt::format(
      "  static constexpr i32 block_channels = {}, block_columns = {}, shares = {}, of_share = {};\n"
      "  static constexpr i32 products_pitch = {}, kept_inputs = {}, shared_inputs = {}, inner_inputs = {};\n"
      "  static constexpr i32 floats_of_share = {}, gathered_image = {}, images = {}, block_images = {};\n"
      "  static DEVICE constexpr i32 tile_outputs(int axis) {{\n",
      b.channels, cut.columns, b.shares, cut.of_share, cut.pitch(), cut.kept, cut.shared, cut.inner,
      up_to_multiple(cut.floats_of_share(b.channels), 4), c.parts.front().gathered.place.rows.front(),
      c.fold.images, b.images);
  for (std::size_t axis = 0; axis < b.outputs.size(); ++axis)
    text += fmt::format("    if (axis == {}) return {};\n", axis, b.outputs[axis]);
  return text + "    return 1;\n  }\n";
}

std::string_view contraction_folding_in_blocks() {
  return R"cuda(
// Where four warps are: a tile of a band of an image's outputs; `band` is the first one's index along the first axis.
template <class C> struct FoldPlace {
  i32 image, band, index;

  static DEVICE constexpr i32 tiles_of_band() {
    i32 tiles = 1;
    for (int axis = 1; axis < C::fold_axes; ++axis) tiles *= (C::fold_axis(axis).outputs + C::tile_outputs(axis) - 1) / C::tile_outputs(axis);
    return tiles;
  }
  // The next one in a share of outputs `begin` to `end` of every `step`-th image.
  DEVICE FoldPlace next(i32 begin, i32 end, i32 step) const {
    if (index + 1 < tiles_of_band()) return {image, band, index + 1};
    if (band + C::tile_outputs(0) < end) return {image, band + C::tile_outputs(0), 0};
    return {image + step, begin, 0};
  }
};

// The outputs of such a tile.
template <class C> struct FoldTile : FoldRange<C::fold_axes> {
  i32 image, start, rows;  // the first output's place in the image, and how many

  DEVICE FoldTile(const FoldPlace<C>& place, i32 end) {
    i32 index = place.index;
    const i32 band = place.band;
    image = place.image;
    start = band * C::fold_axis(0).output_stride;
    this->first[0] = band;
    rows = this->count[0] = smaller(C::tile_outputs(0), end - band);
#pragma unroll
    for (int axis = C::fold_axes - 1; axis > 0; --axis) {
      const FoldAxis a = C::fold_axis(axis);
      const i32 of_tile = C::tile_outputs(axis), tiles = (a.outputs + of_tile - 1) / of_tile;
      this->first[axis] = index % tiles * of_tile;
      this->count[axis] = smaller(of_tile, a.outputs - this->first[axis]);
      index /= tiles;
      start += this->first[axis] * a.output_stride;
      rows *= this->count[axis];
    }
  }
};

// The factors of a lane's two rows, read a few depths before they are used: nobody else needs them.
template <class C> struct FoldFactors {
  using Element = typename C::Element;
  static constexpr int steps = C::tile_depth / 16;
  const Element* from;
  i64 channel_stride;
  i32 depths, row;
  float v[steps][8];

  // Row `first` of a tile and on, at depths tile_depth * chunk and on.
  DEVICE void read(const FoldTile<C>& tile, i32 first, i32 chunk) {
    const i32 r = first + row, depth = chunk * C::tile_depth + (i32)threadIdx.x % 4 * 2;
    const Element* const at = from + (tile.image * (i64)C::gathered_image + (tile.start + r + depth * channel_stride));
#pragma unroll
    for (int k = 0; k < steps; ++k)
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const int d = 16 * k + i / 4 * 8 + i % 2, upper = i / 2 % 2 * 8;
        const bool exists = r + upper < tile.rows && (C::has_full_chunks || depth + d < depths);
        v[k][i] = exists ? C::value_of(at[d * channel_stride + upper]) : 0;
      }
  }
};

// The inputs that a share's outputs reach: lines along the first axis, the last `kept_inputs` of which are in memory.
template <class C> struct KeptInputs {
  float *kept, *lead;  // lead: what another share's outputs reach, too, in front of this one's
  i32 begin, done;     // the first line that this share reaches; the first that is not written yet
  i32 number, share;   // of a thread among four warps

  static DEVICE i32 slot(i32 line) { return (line + C::fold_axis(0).pad) % C::kept_inputs * C::inner_inputs; }
  DEVICE float& at(i32 channel, i32 line) { return kept[channel * (C::kept_inputs * C::inner_inputs) + slot(line)]; }

  // Adds a tile's products to the inputs that they belong to.
  DEVICE void add(const FoldTile<C>& tile, const float* products) {
    constexpr int last = C::fold_axes - 1;
    constexpr i32 of_item = width(last), stride = C::fold_axis(last).stride;
    i32 items = C::block_channels, low[C::fold_axes];
#pragma unroll
    for (int axis = 0; axis <= last; ++axis) {
      low[axis] = lowest(tile, axis);
      items *= reach(axis);
    }
    for (i32 item = number; item < items; item += 128) {
      i32 quotient[C::fold_axes], rest[C::fold_axes], input[C::fold_axes], left = item, inner = 0, pitch = 1;
      bool exists = true;
#pragma unroll
      for (int axis = last; axis >= 0; --axis) {
        const FoldAxis a = C::fold_axis(axis);
        input[axis] = (low[axis] + left % reach(axis)) * width(axis);
        left /= reach(axis);
        if (axis < last) exists = exists && (u32)input[axis] < (u32)a.inputs;
        quotient[axis] = axis == last && of_item > 1 ? input[axis] / stride : (i32)((u32)input[axis] / (u32)a.stride);
        rest[axis] = input[axis] - quotient[axis] * a.stride;
        if (axis > 0) {
          inner += input[axis] * pitch;
          pitch *= a.inputs;
        }
      }
      if (!exists) continue;
      const float* const from = products + (left * C::fold_channel + C::fold_base - tile.start);
      float sums[of_item];
#pragma unroll
      for (i32 i = 0; i < of_item; ++i) sums[i] = 0;
      // Along the last axis: taps that are known when this is compiled.
      const auto sum_up = [&](const float* part) {
#pragma unroll
        for (i32 i = 0; i < of_item; ++i) {
          if (of_item > 1) rest[last] = i;
          sums[i] += folded_sum<C, (last > 0 ? 1 : 0)>(part, tile, quotient, rest);
        }
      };
      if constexpr (last == 0)
        sum_up(from);
      else
        for_outputs(from, tile, input[0], quotient[0], rest[0], sum_up);
#pragma unroll
      for (i32 i = 0; i < of_item; ++i) {
        bool is_input = (u32)(input[last] + i) < (u32)C::fold_axis(last).inputs;
        // Other lines have this place in a while.
        if (last == 0) is_input = is_input && (u32)(input[0] + i - first_input(tile, 0)) < (u32)C::kept_inputs;
        if (is_input) (last == 0 ? at(left, input[0] + i) : (&at(left, input[0]))[inner + i]) += sums[i];
      }
    }
  }
  // f(products of a tap and an output of the first axis) for a line: by its taps, or by a tile's outputs where these are fewer.
  template <class F> static DEVICE void for_outputs(const float* from, const FoldTile<C>& tile, i32 line, i32 quotient, i32 rest, const F& f) {
    constexpr FoldAxis a = C::fold_axis(0);
    if constexpr (C::tile_outputs(0) < (a.taps + a.step - 1) / a.step) {
#pragma unroll
      for (int i = 0; i < C::tile_outputs(0); ++i) {
        const i32 q = tile.first[0] + i, at = line + a.pad - q * a.stride, tap = at / a.dilation;
        if (i < tile.count[0] && at >= 0 && at % a.dilation == 0 && tap < a.taps) f(from + (tap * a.tap_stride + q * a.output_stride));
      }
    } else {
      for_taps<C, 0>(from, tile, quotient, rest, f);
    }
  }
  // Inputs of a thread side by side along this axis, and threads for what a tile reaches.
  static DEVICE constexpr i32 width(int axis) { return axis + 1 == C::fold_axes && C::fold_axis(axis).stride <= 8 ? C::fold_axis(axis).stride : 1; }
  static DEVICE constexpr i32 reach(int axis) {
    const FoldAxis a = C::fold_axis(axis);
    const i32 inputs = (C::tile_outputs(axis) - 1) * a.stride + (a.taps - 1) * a.dilation + 1;
    return (inputs + width(axis) - 2) / width(axis) + 1;
  }
  static DEVICE i32 first_input(const FoldTile<C>& tile, int axis) { return tile.first[axis] * C::fold_axis(axis).stride - C::fold_axis(axis).pad; }
  static DEVICE i32 lowest(const FoldTile<C>& tile, int axis) {
    const i32 input = first_input(tile, axis);
    return input >= 0 ? input / width(axis) : -((width(axis) - 1 - input) / width(axis));
  }

  // Writes the lines before `end`, of which outputs reach those before `reached`.
  template <class Element> DEVICE void write(i32 end, i32 reached, Element* result) {
    const i32 lines = end - done, count = lines * C::inner_inputs;
    if (lines <= 0) return;
#pragma unroll 1
    for (i32 channel = 0; channel < C::block_channels; ++channel) {
      for (i32 i = number; i < count; i += 128) {
        const i32 line = done + i / C::inner_inputs, inner = i % C::inner_inputs;
        float value = 0;
        if (line < reached) {
          float& sum = (&at(channel, line))[inner];
          value = sum;
          sum = 0;
        }
        if (C::block_images == 1 && share > 0 && line - begin < C::shared_inputs)
          lead[(channel * C::shared_inputs + line - begin) * C::inner_inputs + inner] = value;
        else
          result[((i64)channel * C::fold_axis(0).inputs + line) * C::inner_inputs + inner] = C::element_of(value);
      }
    }
    done = end;
  }
};

template <class C> DEVICE void contract_and_fold(const typename C::Element* gathered, const u32* packed, typename C::Element* result) {
  SHARED
  using P = PackedTile<C>;
  using S = Sums<C>;
  constexpr FoldAxis axis = C::fold_axis(0);
  u32 block = blockIdx.x;
  const typename C::Part part = C::part_of(block);
  const i32 channels = (i32)(block % C::column_tiles);
  block /= C::column_tiles;
  const i32 batch = (i32)(block % C::batch), first_image = (i32)(block / C::batch) * C::block_images;
  const i32 chunks = C::depth_tiles(part);

  // The filters, for all outputs.
  u32* const columns = reinterpret_cast<u32*>(shared_memory);
  const i32 packed_rows = chunks * P::rows;
  const u32* const columns_from = packed + C::packed_first(part) + (i64)batch * packed_rows * P::pitch + channels * P::row_words;
  for (i32 i = (i32)threadIdx.x; i < packed_rows * (P::row_words / 4); i += C::threads) {
    const i32 row = i / (P::row_words / 4), word = i % (P::row_words / 4) * 4;
    copy_async<16>(shared_place(columns + (row * P::row_words + word)), columns_from + (i64)row * P::pitch + word, true);
  }
  copies_end();
  float* const memory = reinterpret_cast<float*>(columns + packed_rows * P::row_words);
  for (i32 i = (i32)threadIdx.x; i < C::shares * C::floats_of_share; i += C::threads) memory[i] = 0;
  copies_wait<0>();
  group_sees_shared();
  block_barrier();

  float scales[2] = {1, 1};
  if constexpr (C::is_scaled) {
    scales[0] = float_of_bits(packed[2]);
    scales[1] = float_of_bits(packed[3]);
  }
  const i32 share = (i32)threadIdx.x / 128;
  constexpr bool shares_images = C::block_images > 1;
  constexpr i32 image_step = shares_images ? C::shares : 1;
  const i32 end_image = smaller(first_image + C::block_images, C::images);
  const i32 first = shares_images ? 0 : share * C::of_share, end = smaller(first + C::of_share, axis.outputs);
  float* const products = memory + share * C::floats_of_share;
  KeptInputs<C> inputs;
  inputs.kept = products + C::block_columns * C::products_pitch;
  inputs.lead = inputs.kept + C::block_channels * C::kept_inputs * C::inner_inputs;
  inputs.begin = first * axis.stride - axis.pad;
  inputs.number = (i32)threadIdx.x % 128;
  inputs.share = share;
  // What is complete before the first band, and behind the last one.
  const i32 done = first == 0 ? 0 : smaller(larger(inputs.begin, 0), axis.inputs);
  const i32 all_done = end == axis.outputs ? axis.inputs : smaller(larger(end * axis.stride - axis.pad, 0), axis.inputs);
  inputs.done = done;
  const auto result_of = [&](i32 image) {
    return result + ((i64)image * C::fold_channels + (batch * C::column_tiles + channels) * C::block_channels) * (axis.inputs * C::inner_inputs);
  };

  FoldFactors<C> factors;
  factors.from = gathered + (i64)batch * C::gathered_batch(part);
  factors.channel_stride = C::channel_stride(part);
  factors.depths = C::channels(part);
  factors.row = inputs.number / 32 * 16 + inputs.number % 32 / 4;

  FoldPlace<C> place{first_image + (shares_images ? share : 0), first, 0};
  if (place.image < end_image) factors.read(FoldTile<C>(place, end), 0, 0);
  i32 reached = 0;
  while (place.image < end_image) {
    const FoldTile<C> tile(place, end);
    const FoldPlace<C> next = place.next(first, end, image_step);
    for (i32 row = 0; row < tile.rows; row += 64) {
      S sums;
      for (i32 chunk = 0; chunk < chunks; ++chunk) {
        const auto fetch = [&] {
          if (chunk + 1 < chunks)
            factors.read(tile, row, chunk + 1);
          else if (row + 64 < tile.rows)
            factors.read(tile, row + 64, 0);
          else if (next.image < end_image)
            factors.read(FoldTile<C>(next, end), 0, 0);
        };
        multiply_by_groups<C>(sums, [&](int k) { return C::Arithmetic::split(factors.v[k]); }, columns + chunk * (P::rows * P::row_words), fetch);
      }
#pragma unroll
      for (int j = 0; j < S::columns; ++j) {
        const i32 column = j / 2 * 8 + sums.lane % 4 * 2 + j % 2;
#pragma unroll
        for (int i = 0; i < 2; ++i)
          if (column < C::block_columns) products[column * C::products_pitch + row + factors.row + 8 * i] = sums.value(i, j) * scales[0] * scales[1];
      }
    }
    warpgroup_barrier(share);
    inputs.add(tile, products);
    warpgroup_barrier(share);
    reached = smaller((tile.first[0] + tile.count[0] - 1) * axis.stride - axis.pad + (axis.taps - 1) * axis.dilation + 1, axis.inputs);
    if (next.image != place.image) {
      inputs.write(all_done, reached, result_of(place.image));
      inputs.done = done;
    } else if (next.band != place.band) {
      inputs.write(smaller(larger(next.band * axis.stride - axis.pad, 0), axis.inputs), reached, result_of(place.image));
    }
    place = next;
  }
  if constexpr (!shares_images && C::shares > 1 && C::shared_inputs > 0) {
    // What this share's last outputs and the next one's first have in common.
    block_barrier();
    if (share + 1 == C::shares) return;
    typename C::Element* const to = result_of(first_image);
    const float* const lead = inputs.lead + C::floats_of_share;
    const i32 begin = end * axis.stride - axis.pad;
    for (i32 i = inputs.number; i < C::block_channels * C::shared_inputs * C::inner_inputs; i += 128) {
      const i32 inner = i % C::inner_inputs, line = begin + i / C::inner_inputs % C::shared_inputs, channel = i / C::inner_inputs / C::shared_inputs;
      if ((u32)line >= (u32)axis.inputs) continue;
      const float mine = line < reached ? (&inputs.at(channel, line))[inner] : 0;
      to[((i64)channel * axis.inputs + line) * C::inner_inputs + inner] = C::element_of(mine + lead[i]);
    }
  }
}
)cuda";
}

}  // namespace croton
