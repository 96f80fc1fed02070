// croton_sum_all_0: grid 512, block 512, shared 256
DEVICE void croton_sum_all_0_0(const i32 part, const float* b0, float* b1) {
  SHARED
  const i32 t = (i32)threadIdx.x;
  const u32 group = 0xffffffffu;  // of each warp
  const i32 j0 = part;
  if ((((u64)b0) & 15) == 0) {
    float l0 = 0.0f;
    {
      float r0_0 = 0.0f;
      float r0_1 = 0.0f;
      float r0_2 = 0.0f;
      float r0_3 = 0.0f;
      #pragma unroll
      for (i32 s1 = 0; s1 < 4; ++s1) {
        const i32 j1 = (i32)s1 * 2048 + t * 4 + 0;
        const Pack<float, 4> p1_0 = load_pack<4>(b0 + (j0 * 8192 + j1));
        const float v1_0 = p1_0.at[0];
        const float v1_1 = p1_0.at[1];
        const float v1_2 = p1_0.at[2];
        const float v1_3 = p1_0.at[3];
        r0_0 = r0_0 + v1_0;
        r0_1 = r0_1 + v1_1;
        r0_2 = r0_2 + v1_2;
        r0_3 = r0_3 + v1_3;
      }
      r0_0 = r0_0 + r0_1;
      r0_0 = r0_0 + r0_2;
      r0_0 = r0_0 + r0_3;
      #pragma unroll
      for (i32 o = 16; o > 0; o /= 2) {
        const float x0 = shuffle(r0_0, o, group);
        r0_0 = r0_0 + x0;
      }
      float* const w0 = (float*)(shared_memory + 0 + 0);
      if (t % 32 == 0) w0[t / 32] = r0_0;
      block_barrier();
      r0_0 = w0[t % 16];
      #pragma unroll
      for (i32 o = 8; o > 0; o /= 2) {
        const float x0 = shuffle(r0_0, o, group);
        r0_0 = r0_0 + x0;
      }
      l0 = l0 + r0_0;
    }
    const float v2 = l0;
    if (t == 0) b1[j0] = v2;
  } else {
    float l0 = 0.0f;
    {
      float r0 = 0.0f;
      #pragma unroll
      for (i32 s1 = 0; s1 < 16; ++s1) {
        const i32 j1 = (i32)s1 * 512 + t + 0;
        const float v1 = b0[(j0 * 8192 + j1)];
        r0 = r0 + v1;
      }
      #pragma unroll
      for (i32 o = 16; o > 0; o /= 2) {
        const float x0 = shuffle(r0, o, group);
        r0 = r0 + x0;
      }
      float* const w0 = (float*)(shared_memory + 128 + 0);
      if (t % 32 == 0) w0[t / 32] = r0;
      block_barrier();
      r0 = w0[t % 16];
      #pragma unroll
      for (i32 o = 8; o > 0; o /= 2) {
        const float x0 = shuffle(r0, o, group);
        r0 = r0 + x0;
      }
      l0 = l0 + r0;
    }
    const float v2 = l0;
    if (t == 0) b1[j0] = v2;
  }
}
DEVICE void croton_sum_all_0_1(const i32 part, float* b1, float* b2) {
  SHARED
  const i32 t = (i32)threadIdx.x;
  const u32 group = 0xffffffffu;  // of each warp
  const i32 j2 = part;
  float l1 = 0.0f;
  {
    float r1 = 0.0f;
    {
      const i32 s3 = 0;
      const i32 j3 = (i32)s3 * 512 + t + 0;
      const float v3 = b1[j3];
      r1 = r1 + v3;
    }
    #pragma unroll
    for (i32 o = 16; o > 0; o /= 2) {
      const float x1 = shuffle(r1, o, group);
      r1 = r1 + x1;
    }
    float* const w1 = (float*)(shared_memory + 0 + 0);
    if (t % 32 == 0) w1[t / 32] = r1;
    block_barrier();
    r1 = w1[t % 16];
    #pragma unroll
    for (i32 o = 8; o > 0; o /= 2) {
      const float x1 = shuffle(r1, o, group);
      r1 = r1 + x1;
    }
    l1 = l1 + r1;
  }
  const float v4 = l1;
  if (t == 0) b2[0] = v4;
}
__device__ u32 croton_sum_all_0_arrived;
extern "C" __global__ void __launch_bounds__(512) croton_sum_all_0(const float* b0, float* b1, float* b2) {
  croton_sum_all_0_0((i32)blockIdx.x, b0, b1);
  if (!is_last_block(&croton_sum_all_0_arrived)) return;
  croton_sum_all_0_1(0, b1, b2);
}
