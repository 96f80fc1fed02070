// croton_scale_0: grid 2048, block 256, shared 0
extern "C" __global__ void __launch_bounds__(256) croton_scale_0(const float* __restrict__ b0, float* __restrict__ b1) {
  const i32 first = (i32)blockIdx.x * 2048;
  if (first + 2048 <= 4194304 && (((u64)b0 | (u64)b1) & 15) == 0) {
    const i32 j0_0 = first + 0 + (i32)threadIdx.x * 4;
    const i32 j0_1 = first + 1024 + (i32)threadIdx.x * 4;
    const Pack<float, 4> p0_0 = load_pack<4>(b0 + j0_0);
    const Pack<float, 4> p0_4 = load_pack<4>(b0 + j0_1);
    const float v0_0 = p0_0.at[0];
    const float v0_1 = p0_0.at[1];
    const float v0_2 = p0_0.at[2];
    const float v0_3 = p0_0.at[3];
    const float v0_4 = p0_4.at[0];
    const float v0_5 = p0_4.at[1];
    const float v0_6 = p0_4.at[2];
    const float v0_7 = p0_4.at[3];
    const float v3_0 = fmaf(v0_0, 2.0f, v0_0);
    const float v3_1 = fmaf(v0_1, 2.0f, v0_1);
    const float v3_2 = fmaf(v0_2, 2.0f, v0_2);
    const float v3_3 = fmaf(v0_3, 2.0f, v0_3);
    const float v3_4 = fmaf(v0_4, 2.0f, v0_4);
    const float v3_5 = fmaf(v0_5, 2.0f, v0_5);
    const float v3_6 = fmaf(v0_6, 2.0f, v0_6);
    const float v3_7 = fmaf(v0_7, 2.0f, v0_7);
    store_pack<4>(b1 + j0_0, {{v3_0, v3_1, v3_2, v3_3}});
    store_pack<4>(b1 + j0_1, {{v3_4, v3_5, v3_6, v3_7}});
    return;
  }
  const i32 last = first + 2048 < 4194304 ? first + 2048 : 4194304;
  #pragma unroll 1
  for (i32 j0 = first + (i32)threadIdx.x; j0 < last; j0 += 256) {
    const float v0 = b0[j0];
    const float v3 = fmaf(v0, 2.0f, v0);
    b1[j0] = v3;
  }
}
