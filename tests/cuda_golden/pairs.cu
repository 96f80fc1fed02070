// croton_pairs_0: grid 24, block 64, shared 0
extern "C" __global__ void __launch_bounds__(64) croton_pairs_0(const float* __restrict__ b0, float* __restrict__ b1) {
  const i32 j0 = (i32)blockIdx.x * 64 + (i32)threadIdx.x;
  if (j0 >= 1500) return;
  if ((((u64)b0 | (u64)b1) & 15) == 0) {
    ASSUME_ALIGNED(b0);
    ASSUME_ALIGNED(b1);
    const float v0 = b0[(j0 * 2)];
    const float v1 = b0[(j0 * 2 + 1)];
    const float v2 = larger(v0, v1);
    b1[(j0 * 2)] = v2;
    const float v3 = smaller(v0, v1);
    b1[(j0 * 2 + 1)] = v3;
    return;
  }
  const float v0 = b0[(j0 * 2)];
  const float v1 = b0[(j0 * 2 + 1)];
  const float v2 = larger(v0, v1);
  b1[(j0 * 2)] = v2;
  const float v3 = smaller(v0, v1);
  b1[(j0 * 2 + 1)] = v3;
}
