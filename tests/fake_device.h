#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "croton/graph/flags.h"

/// The fake CUDA driver (fake_cuda/): its library must be the one that is found, else everything here throws.
namespace croton::test {

/// How often that function of the driver was called.
long fake_calls(const char* function);
/// How much memory the devices have together from now on.
void set_fake_memory(std::size_t bytes);

/// What every kernel does behind its work from now on, wrongly, with the addresses of its buffers.
using FakeKernelBug = std::function<void(std::span<void* const>)>;
void plant_fake_bug(FakeKernelBug planted);

/// The ranges that NVTX was told of since the last time, one a line, indented.
std::string fake_nvtx_said();

/// What the fake cuBLASLt (fake_blas.cpp) does with a relu, or also with a bias, from now on.
enum class FakeRelu : int { keeps_nan, drops_nan, refuses, refuses_bias };
void set_fake_relu(FakeRelu habit);

/// Functions run on the fake device while this lives; kernels are compiled for the CPU.
class OnFakeDevice {
 public:
  explicit OnFakeDevice(const char* device = "cuda");
  ~OnFakeDevice();

 private:
  ConfigScope flags_;
};

}  // namespace croton::test
