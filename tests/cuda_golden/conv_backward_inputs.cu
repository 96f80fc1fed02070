// croton_conv_backward_inputs_pack: grid 108, block 256, shared 0
// croton_conv_backward_inputs_multiply: grid 3136, block 128, shared 62208
struct croton_conv_backward_inputs_part { i32 x[12]; };
__constant__ croton_conv_backward_inputs_part croton_conv_backward_inputs_parts[] = {{{96, 6, 0, 1, 0, 0, 0, 1, 1, 4, 0, 3072}}, {{192, 12, 24576, 2, 1, 0, 1, 2, 1, 5, 1, 6144}}, {{192, 12, 73728, 2, 28, 1, 0, 1, 2, 7, 56, 6144}}, {{384, 24, 122880, 4, 29, 1, 1, 2, 2, 8, 57, 12288}}};
struct croton_conv_backward_inputs_cut {
  typedef croton_conv_backward_inputs_part Part;
  typedef float Element;
  typedef float Value;
  typedef float Result;
  typedef Tf32x3 Arithmetic;
  static constexpr bool is_tensor_core = true;
  static constexpr bool is_staged = false;
  static constexpr bool is_scaled = false;
  static constexpr bool adds_up_tiles = true;
  static constexpr bool by_groups = false;
  static constexpr bool has_patch = false;
  static constexpr i32 warps_rows = 2;
  static constexpr i32 row_units = 2;
  static constexpr i32 column_units = 8;
  static constexpr i32 threads = 128;
  static constexpr i32 tile_rows = 64;
  static constexpr i32 tile_columns = 128;
  static constexpr i32 tile_depth = 16;
  static constexpr i32 stages = 3;
  static constexpr i32 splits = 1;
  static constexpr i32 batch = 1;
  static constexpr bool lanes_are_rows = true;
  static constexpr bool has_chunks = true;
  static constexpr bool fetches_always = true;
  static constexpr bool has_full_chunks = true;
  static constexpr bool has_full_rows = true;
  static constexpr bool has_masks = true;
  static constexpr i32 width = 1;
  static constexpr bool is_direct = false;
  static constexpr i32 bounds = 2;
  static constexpr i32 packed_bounds = 0;
  static constexpr i32 result_bounds = 0;
  static constexpr i32 columns = 128;
  static constexpr i32 packed_columns = 128;
  static constexpr i32 column_tiles = 1;
  static constexpr i32 most_depth = 0;
  static constexpr i32 gathered_count = 4816896;
  static constexpr i32 packed_count = 110592;
  static constexpr i32 result_count = 25690112;
  static DEVICE Value value_of(Element x) { return x; }
  static DEVICE Element element_of(Value x) { return x; }
  static DEVICE Result result_of(Value x) { return x; }
  static DEVICE i32 rows(const Part& p) { return 50176; }
  static DEVICE i32 depth(const Part& p) { return p.x[0]; }
  static DEVICE i32 row_tiles(const Part& p) { return 784; }
  static DEVICE i32 depth_tiles(const Part& p) { return p.x[1]; }
  static DEVICE i32 packed_first(const Part& p) { return p.x[2]; }
  static DEVICE i32 gathered_batch(const Part& p) { return 75264; }
  static DEVICE i32 packed_batch(const Part& p) { return 110592; }
  static DEVICE i32 result_batch(const Part& p) { return 401408; }
  static DEVICE i32 taps(const Part& p) { return p.x[3]; }
  static DEVICE i32 channels(const Part& p) { return 96; }
  static DEVICE i32 channel_stride(const Part& p) { return 784; }
  static DEVICE i32 packed_channel_stride(const Part& p) { return 1152; }
  static DEVICE Spot<2> gathered_row(const Part& p, i32 i) {
    Spot<2> s;
    s.offset = p.x[4];
    s.at[0] = p.x[5];
    s.at[1] = p.x[6];
    const i32 r2 = (i32)((u32)i / (u32)28), i2 = i - r2 * 28;
    s.offset += i2 * 1;
    s.at[1] += i2 * 1;
    const i32 r1 = (i32)((u32)r2 / (u32)28), i1 = r2 - r1 * 28;
    s.offset += i1 * 28;
    s.at[0] += i1 * 1;
    s.offset += r1 * 75264;
    return s;
  }
  static DEVICE Spot<2> gathered_depth(const Part& p, i32 i) {
    Spot<2> s;
    s.offset = 0;
    s.at[0] = 0;
    s.at[1] = 0;
    const i32 r2 = (i32)((u32)i / (u32)p.x[7]), i2 = i - r2 * p.x[7];
    s.offset += i2 * -1;
    s.at[1] += i2 * -1;
    const i32 r1 = (i32)((u32)r2 / (u32)p.x[8]), i1 = r2 - r1 * p.x[8];
    s.offset += i1 * -28;
    s.at[0] += i1 * -1;
    s.offset += r1 * 784;
    return s;
  }
  static DEVICE Spot<2> gathered_tap(const Part& p, i32 i) {
    Spot<2> s;
    s.offset = 0;
    s.at[0] = 0;
    s.at[1] = 0;
    const i32 r2 = (i32)((u32)i / (u32)p.x[7]), i2 = i - r2 * p.x[7];
    s.offset += i2 * -1;
    s.at[1] += i2 * -1;
    s.offset += r2 * -28;
    s.at[0] += r2 * -1;
    return s;
  }
  static DEVICE bool inside(const Part& p, const Spot<2>& a, const Spot<2>& b) { return (u32)(a.at[0] + b.at[0]) < (u32)28 && (u32)(a.at[1] + b.at[1]) < (u32)28; }
  static DEVICE Spot<0> packed_column(const Part& p, i32 i) {
    Spot<0> s;
    s.offset = p.x[9];
    s.offset += i * 9;
    return s;
  }
  static DEVICE Spot<0> packed_depth(const Part& p, i32 i) {
    Spot<0> s;
    s.offset = 0;
    const i32 r2 = (i32)((u32)i / (u32)p.x[7]), i2 = i - r2 * p.x[7];
    s.offset += i2 * -2;
    const i32 r1 = (i32)((u32)r2 / (u32)p.x[8]), i1 = r2 - r1 * p.x[8];
    s.offset += i1 * -6;
    s.offset += r1 * 1152;
    return s;
  }
  static DEVICE Spot<0> packed_tap(const Part& p, i32 i) {
    Spot<0> s;
    s.offset = 0;
    const i32 r2 = (i32)((u32)i / (u32)p.x[7]), i2 = i - r2 * p.x[7];
    s.offset += i2 * -2;
    s.offset += r2 * -6;
    return s;
  }
  static DEVICE bool is_packed(const Part& p, const Spot<0>& a, const Spot<0>& b) { return true; }
  static DEVICE Spot<0> result_row(const Part& p, i32 i) {
    Spot<0> s;
    s.offset = p.x[10];
    const i32 r2 = (i32)((u32)i / (u32)28), i2 = i - r2 * 28;
    s.offset += i2 * 2;
    const i32 r1 = (i32)((u32)r2 / (u32)28), i1 = r2 - r1 * 28;
    s.offset += i1 * 112;
    s.offset += r1 * 401408;
    return s;
  }
  static DEVICE Spot<0> result_column(const Part& p, i32 i) {
    Spot<0> s;
    s.offset = 0;
    s.offset += i * 3136;
    return s;
  }
  static DEVICE bool is_stored(const Part& p, const Spot<0>& a, const Spot<0>& b) { return true; }
  static DEVICE Part part_of(u32& i) {
    int part = 0;
    if (part == 0 && i >= 784u) { i -= 784u; part = 1; }
    if (part == 1 && i >= 784u) { i -= 784u; part = 2; }
    if (part == 2 && i >= 784u) { i -= 784u; part = 3; }
    return croton_conv_backward_inputs_parts[part];
  }
  static DEVICE Part packed_part_of(u32& i) {
    int part = 0;
    if (part == 0 && i >= 3072u) { i -= 3072u; part = 1; }
    if (part == 1 && i >= 6144u) { i -= 6144u; part = 2; }
    if (part == 2 && i >= 6144u) { i -= 6144u; part = 3; }
    return croton_conv_backward_inputs_parts[part];
  }
  static DEVICE bool is_in_part(const Part& p, u32 i) { return i < (u32)p.x[11]; }
};
extern "C" __global__ void __launch_bounds__(256) croton_conv_backward_inputs_pack(const float* operand, u32* packed) {
  pack_operand<croton_conv_backward_inputs_cut>(operand, packed);
}
extern "C" __global__ void __launch_bounds__(128, 2) croton_conv_backward_inputs_multiply(const float* gathered, const u32* packed, float* result) {
  contract<croton_conv_backward_inputs_cut>(gathered, packed, result, SumsThemselves());
}
