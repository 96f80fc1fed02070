// croton_tile_0: grid 400, block 512, shared 16640
extern "C" __global__ void __launch_bounds__(512) croton_tile_0(const float* __restrict__ b0, float* __restrict__ b1) {
  SHARED
  const i32 t = (i32)threadIdx.x;
  const u32 group = 0xffffffffu;  // of each warp
  float* const a0 = (float*)(shared_memory + 0);
  const i32 j0 = blockIdx.x;
  if ((((u64)b0 | (u64)b1) & 15) == 0) {
    {
      #pragma unroll
      for (i32 s1 = 0; s1 < 2; ++s1) {
        const i32 j1 = (i32)s1 * 2048 + t * 4 + 0;
        const Pack<float, 4> p0_0 = load_pack<4>(b0 + (j0 * 4096 + j1));
        const float v0_0 = p0_0.at[0];
        const float v0_1 = p0_0.at[1];
        const float v0_2 = p0_0.at[2];
        const float v0_3 = p0_0.at[3];
        a0[((i32)((u32)j1 % (u32)64) + (i32)((u32)j1 / (u32)64) * 65)] = v0_0;
        a0[((i32)((u32)j1 % (u32)64) + (i32)((u32)j1 / (u32)64) * 65 + 1)] = v0_1;
        a0[((i32)((u32)j1 % (u32)64) + (i32)((u32)j1 / (u32)64) * 65 + 2)] = v0_2;
        a0[((i32)((u32)j1 % (u32)64) + (i32)((u32)j1 / (u32)64) * 65 + 3)] = v0_3;
      }
    }
    block_barrier();
    {
      #pragma unroll
      for (i32 s2 = 0; s2 < 2; ++s2) {
        const i32 j2 = (i32)s2 * 2048 + t * 4 + 0;
        const float v1_0 = a0[((i32)((u32)j2 / (u32)64) + (i32)((u32)j2 % (u32)64) * 65)];
        const float v1_1 = a0[((i32)((u32)j2 / (u32)64) + (i32)((u32)j2 % (u32)64) * 65 + 65)];
        const float v1_2 = a0[((i32)((u32)j2 / (u32)64) + (i32)((u32)j2 % (u32)64) * 65 + 130)];
        const float v1_3 = a0[((i32)((u32)j2 / (u32)64) + (i32)((u32)j2 % (u32)64) * 65 + 195)];
        store_pack<4>(b1 + (j0 * 4096 + j2), {{v1_0, v1_1, v1_2, v1_3}});
      }
    }
  } else {
    {
      #pragma unroll
      for (i32 s1 = 0; s1 < 8; ++s1) {
        const i32 j1 = (i32)s1 * 512 + t + 0;
        const float v0 = b0[(j0 * 4096 + j1)];
        a0[((i32)((u32)j1 % (u32)64) + (i32)((u32)j1 / (u32)64) * 65)] = v0;
      }
    }
    block_barrier();
    {
      #pragma unroll
      for (i32 s2 = 0; s2 < 8; ++s2) {
        const i32 j2 = (i32)s2 * 512 + t + 0;
        const float v1 = a0[((i32)((u32)j2 / (u32)64) + (i32)((u32)j2 % (u32)64) * 65)];
        b1[(j0 * 4096 + j2)] = v1;
      }
    }
  }
}
