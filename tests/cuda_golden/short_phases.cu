// croton_short_phases_0: grid 1, block 1024, shared 0
DEVICE void croton_short_phases_0_0(const i32 part, const float* b0, float* b1) {
  const i32 j0 = (i32)part * 1024 + (i32)threadIdx.x;
  if (j0 >= 300) return;
  const float v0 = b0[j0];
  const float v1 = tanhf(v0);
  b1[j0] = v1;
}
DEVICE void croton_short_phases_0_1(const i32 part, float* b1, float* b2) {
  const i32 t = (i32)threadIdx.x % 32;
  const u32 group = 0xffffffffu;
  const i32 j1 = (i32)part * 32 + (i32)threadIdx.x / 32;
  if (j1 >= 3) return;
  float l0 = 0.0f;
  {
    float r0 = 0.0f;
    #pragma unroll
    for (i32 s2 = 0; s2 < 4; ++s2) {
      const i32 j2 = (i32)s2 * 32 + t + 0;
      if (s2 < 3 || j2 < 100) {
        const float v3 = b1[(j1 * 100 + j2)];
        r0 = r0 + v3;
      }
    }
    #pragma unroll
    for (i32 o = 16; o > 0; o /= 2) {
      const float x0 = shuffle(r0, o, group);
      r0 = r0 + x0;
    }
    l0 = l0 + r0;
  }
  const float v4 = l0;
  if (t == 0) b2[j1] = v4;
}
extern "C" __global__ void __launch_bounds__(1024) croton_short_phases_0(const float* b0, float* b1, float* b2) {
  croton_short_phases_0_0(0, b0, b1);
  block_barrier();
  croton_short_phases_0_1(0, b1, b2);
}
