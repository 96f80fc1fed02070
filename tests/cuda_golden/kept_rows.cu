// croton_kept_rows_0: grid 1, block 1024, shared 0
DEVICE void croton_kept_rows_0_0(const i32 part, const float* b0, float* b1) {
  const i32 j0 = (i32)part * 1024 + (i32)threadIdx.x;
  if (j0 >= 600) return;
  const float v0 = b0[j0];
  const float v1 = tanhf(v0);
  b1[j0] = v1;
}
DEVICE void croton_kept_rows_0_1(const i32 part, float* b1, float* b2) {
  const i32 t = (i32)threadIdx.x % 8;
  const u32 group = 0xffu << ((i32)threadIdx.x & 24);
  float a0[2];
  const i32 j1 = (i32)part * 128 + (i32)threadIdx.x / 8;
  if (j1 >= 60) return;
  float l0 = 0.0f;
  {
    float r0 = l0;
    #pragma unroll
    for (i32 s2 = 0; s2 < 2; ++s2) {
      const i32 j2 = (i32)s2 * 8 + t + 0;
      if (s2 < 1 || j2 < 10) {
        const float v3 = b1[(j1 * 10 + j2)];
        a0[s2 * 1 + 0] = v3;
        r0 = larger(r0, v3);
      }
    }
    #pragma unroll
    for (i32 o = 4; o > 0; o /= 2) {
      const float x0 = shuffle(r0, o, group);
      r0 = larger(r0, x0);
    }
    l0 = r0;
  }
  {
    #pragma unroll
    for (i32 s3 = 0; s3 < 2; ++s3) {
      const i32 j3 = (i32)s3 * 8 + t + 0;
      if (s3 < 1 || j3 < 10) {
        const float v4 = l0;
        const float v5 = a0[s3 * 1 + 0];
        const float v6 = v5 - v4;
        b2[(j1 * 10 + j3)] = v6;
      }
    }
  }
}
extern "C" __global__ void __launch_bounds__(1024) croton_kept_rows_0(const float* b0, float* b1, float* b2) {
  croton_kept_rows_0_0(0, b0, b1);
  block_barrier();
  croton_kept_rows_0_1(0, b1, b2);
}
