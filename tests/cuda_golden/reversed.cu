// croton_reversed_0: grid 90, block 128, shared 320
extern "C" __global__ void __launch_bounds__(128) croton_reversed_0(const i32* __restrict__ b0, i32* __restrict__ b1) {
  SHARED
  const i32 t = (i32)threadIdx.x;
  const u32 group = 0xffffffffu;  // of each warp
  i32* const a0 = (i32*)(shared_memory + 0);
  const i32 j0 = blockIdx.x;
  {
    {
      const i32 s1 = 0;
      const i32 j1 = (i32)s1 * 128 + t + 0;
      if (j1 < 77) {
        const i32 v0 = b0[(j0 * 77 + j1)];
        a0[j1] = v0;
      }
    }
  }
  block_barrier();
  {
    {
      const i32 s2 = 0;
      const i32 j2 = (i32)s2 * 128 + t + 0;
      if (j2 < 77) {
        const i32 v1 = a0[(-j2 + 76)];
        b1[(j0 * 77 + j2)] = v1;
      }
    }
  }
}
