#pragma once

#include <cstddef>
#include <functional>

/// A driver of two devices that works on host memory, so that everything but machine code is tested without a
/// GPU: a library called libcuda.so.1 with the driver's functions and the ones below. It checks every address
/// that it is given: a kernel and a stream reach the memory of their device only, under its context. A module
/// is the text "fake NUMBER"; its functions are called "PHASE PARAMETERS"; a launch calls back.
extern "C" {
/// Runs phase `phase` of kernel `kernel` on these pointers.
using FakeCudaLaunch = void (*)(long kernel, int phase, void** pointers);
void fake_cuda_set_launch(FakeCudaLaunch launch);
/// How much memory the devices have together from now on.
void fake_cuda_set_memory(std::size_t bytes);
/// How often that function of the driver was called.
long fake_cuda_calls(const char* function);
/// Does a library's work on the stream: now, or whenever the graph runs that is being captured.
void fake_cuda_enqueue(const std::function<void()>& work);
/// Bytes of device memory that are allocated.
std::size_t fake_cuda_allocated();
}
