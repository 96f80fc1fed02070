// What adds up products where they belong: from a matrix in memory, and in the shared memory of the blocks
// that multiply.

#include "croton/codegen/cuda_contraction_geometry.h"

namespace croton {

std::string_view contraction_folding() {
  return R"cuda(
struct FoldAxis {
  i32 inputs, outputs, taps, stride, dilation, pad;
  // Input i gets from taps first, first + step, ..., where i + pad is a multiple of divisor; first = (i + pad) / divisor *
  // inverse % step. The output is outputs_step less from tap to tap.
  i32 divisor, step, outputs_step, inverse;
  i32 tap_stride, output_stride;
};

// Outputs of which there are products.
template <int axes> struct FoldRange { i32 first[axes], count[axes]; };

// f(products of a tap, at the output that belongs to it) for this axis' taps of input stride * quotient + rest.
template <class C, int axis, class F>
DEVICE void for_taps(const typename C::Value* from, const FoldRange<C::fold_axes>& range, i32 quotient, i32 rest, const F& f) {
  constexpr FoldAxis a = C::fold_axis(axis);
  constexpr int most = (a.taps + a.step - 1) / a.step;
  const i32 at = rest + a.pad;
  if (at % a.divisor != 0) return;
  const i32 first = at / a.divisor * a.inverse % a.step, output = quotient + (at - first * a.dilation) / a.stride;
#pragma unroll (most > 0 && (axis + 1 == C::fold_axes || most <= 4) ? most : 1)
  for (int i = 0; i < most; ++i) {
    const i32 tap = first + i * a.step, q = output - i * a.outputs_step;
    if (tap < a.taps && (u32)(q - range.first[axis]) < (u32)range.count[axis]) f(from + (tap * a.tap_stride + q * a.output_stride));
  }
}

// The sum over this axis' taps, and those of the axes behind it.
template <class C, int axis>
DEVICE typename C::Value folded_sum(const typename C::Value* from, const FoldRange<C::fold_axes>& range, const i32 (&quotient)[C::fold_axes],
                                    const i32 (&rest)[C::fold_axes]) {
  typename C::Value sum = 0;
  for_taps<C, axis>(from, range, quotient[axis], rest[axis], [&](const typename C::Value* part) {
    if constexpr (axis + 1 == C::fold_axes)
      sum += *part;
    else
      sum += folded_sum<C, axis + 1>(part, range, quotient, rest);
  });
  return sum;
}

// As many elements of the inputs' gradient a thread as the last axis' stride has: these are of different taps, but lanes side
// by side read outputs side by side.
template <class C> DEVICE void fold_taps(const typename C::Value* matrix, typename C::Element* result) {
  constexpr FoldAxis last = C::fold_axis(C::fold_axes - 1);
  constexpr u32 lines = (u32)(last.inputs == 0 ? 0 : C::result_count / last.inputs), of_line = (u32)((last.inputs + last.stride - 1) / last.stride);
  const u32 index = blockIdx.x * 256u + threadIdx.x;
  if (index >= lines * of_line) return;
  const u32 thread = lines * of_line - 1 - index;  // what was written last is still in the cache
  i32 quotient[C::fold_axes], rest[C::fold_axes];
  FoldRange<C::fold_axes> range;
#pragma unroll
  for (int axis = 0; axis < C::fold_axes; ++axis) {
    range.first[axis] = 0;
    range.count[axis] = C::fold_axis(axis).outputs;
  }
  const i32 line = (i32)(thread / of_line);
  u32 left = (u32)line;
#pragma unroll
  for (int axis = C::fold_axes - 2; axis >= 0; --axis) {
    const FoldAxis a = C::fold_axis(axis);
    const i32 input = (i32)(left % (u32)a.inputs);
    left /= (u32)a.inputs;
    quotient[axis] = (i32)((u32)input / (u32)a.stride);
    rest[axis] = input - quotient[axis] * a.stride;
  }
  const i32 channel = (i32)(left % (u32)C::fold_channels), image = (i32)(left / (u32)C::fold_channels);
  const typename C::Value* const from = matrix + (channel * C::fold_channel + image * C::fold_image + C::fold_base);
  const i32 input = (i32)(thread % of_line) * last.stride;
  quotient[C::fold_axes - 1] = (i32)(thread % of_line);
#pragma unroll (last.stride <= 8 ? last.stride : 1)
  for (i32 i = 0; i < last.stride; ++i) {
    rest[C::fold_axes - 1] = i;
    if (last.inputs % last.stride == 0 || input + i < last.inputs)
      result[line * last.inputs + input + i] = C::element_of(folded_sum<C, 0>(from, range, quotient, rest));
  }
}
)cuda";
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
