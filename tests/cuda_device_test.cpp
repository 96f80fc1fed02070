#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <map>

#include "codegen_random.h"
#include "croton/codegen/cuda_kernel.h"
#include "croton/codegen/loop_interpreter.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_driver.h"
#include "gpu_cases.h"
#include "random_cases.h"

// Compiled kernels on a real GPU, where there is one.

using namespace croton;
using namespace croton::test;

namespace {

bool has_device() {
  if (!cuda_driver_problem().empty()) WARN("not tested: " << cuda_driver_problem());
  return cuda_driver_problem().empty();
}

CudaTarget target_of(const CudaDevice& device) {
  CudaTarget target;
  target.architecture = device.info().architecture();
  target.multiprocessors = device.info().multiprocessors;
  target.use_cache = false;
  return target;
}

/// A copy of host memory on the device, and back.
class DeviceCopy {
 public:
  DeviceCopy(CudaDevice& device, char* host, std::size_t bytes)
      : device_(device), host_(host), bytes_(bytes), memory_(device.allocate(bytes)) {
    if (bytes > 0) device.upload(memory_->data(), host, bytes);
  }
  void fetch() const {
    if (bytes_ > 0) device_.download(host_, memory_->data(), bytes_);
  }
  char* data() const { return static_cast<char*>(memory_->data()); }

 private:
  CudaDevice& device_;
  char* host_;
  std::size_t bytes_;
  StorageRef memory_;
};

void launch(CudaDevice& device, const CudaModule& module, const CudaKernel& kernel,
            std::vector<void*> buffers) {
  for (const CudaKernel::Phase& phase : kernel.phases) {
    std::vector<void*> parameters;
    for (const std::int32_t buffer : phase.buffers)
      parameters.push_back(&buffers[static_cast<std::size_t>(buffer)]);
    CROTON_CUDA(cuLaunchKernel,
                (module.function(phase.function, phase.shared_bytes), phase.grid, 1, 1, phase.block, 1, 1,
                 phase.shared_bytes, device.stream(), parameters.data(), nullptr));
  }
}

/// The bytes that a tensor's elements span.
std::pair<char*, std::size_t> span_of(const Tensor& t) {
  std::int64_t low = 0, high = 0;
  if (t.size() == 0) return {static_cast<char*>(t.raw_data()), 0};
  for (std::size_t axis = 0; axis < t.shape().size(); ++axis) {
    const std::int64_t last = (t.shape()[axis] - 1) * t.strides()[axis];
    (last < 0 ? low : high) += last;
  }
  const auto size = static_cast<std::int64_t>(size_of(t.dtype()));
  return {static_cast<char*>(t.raw_data()) + low * size, static_cast<std::size_t>((high - low + 1) * size)};
}

void check_on_device(CudaDevice& device, const std::vector<GpuCase>& cases, int multiprocessors) {
  CudaTarget target = target_of(device);
  std::vector<GpuRun> runs;
  std::vector<Kernel> kernels;
  for (const GpuCase& c : cases) {
    runs.emplace_back(c, multiprocessors);
    for (const LoweredKernel& kernel : runs.back().code.kernels) kernels.push_back(kernel.kernel);
  }
  const auto compiled = compile_cuda(kernels, target);
  std::size_t next = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    GpuRun& run = runs[i];
    std::vector<DeviceCopy> copies;
    std::map<void*, void*> addresses;  // of tensors on the host and on the device
    const auto place = [&](const Tensor& t) {
      const auto [begin, bytes] = span_of(t);
      copies.emplace_back(device, begin, bytes);
      addresses[t.raw_data()] = copies.back().data() + (static_cast<char*>(t.raw_data()) - begin);
    };
    for (const auto* list : {&run.inputs, &run.outputs, &run.scratch}) {
      for (const Tensor& t : *list) place(t);
    }
    copies.emplace_back(device, reinterpret_cast<char*>(&run.fault), sizeof run.fault);
    addresses[&run.fault] = copies.back().data();
    for (const LoweredKernel& kernel : run.code.kernels) {
      INFO(cuda_source(kernel.kernel, target));
      const CudaKernel& code = *compiled[next++];
      if (code.phases.empty()) continue;
      const CudaModule module(device, code.cubin, code.name);
      std::vector<void*> buffers;
      for (void* host : run.buffers(kernel)) buffers.push_back(addresses.at(host));
      launch(device, module, code, buffers);
      device.synchronize();
    }
    for (const DeviceCopy& copy : copies) copy.fetch();
    run.check(cases[i]);
  }
}

std::string first_bytes(const GuardedBuffers& buffers, std::size_t b) {
  std::string text;
  const auto* bytes = reinterpret_cast<const unsigned char*>(buffers.as<char>(b));
  for (std::size_t i = 0; i < std::min<std::size_t>(buffers.bytes(b), 64); ++i)
    text += fmt::format("{}{:02x}", i % 4 == 0 ? " " : "", bytes[i]);
  return text;
}

}  // namespace

TEST_CASE("random kernels on the device", "[cuda][device][random]") {
  if (!has_device()) return;
  CudaDevice& device = CudaDevice::get(0);
  device.make_current();
  std::vector<Kernel> kernels;
  for (int seed = 0; seed < random_cases(200); ++seed) {
    std::mt19937 random(static_cast<unsigned>(seed));
    kernels.push_back(random_kernel(random, true));
  }
  const auto compiled = compile_cuda(kernels, target_of(device));
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    const Kernel& kernel = kernels[i];
    std::mt19937 random(static_cast<unsigned>(i));
    GuardedBuffers expected(kernel, true), got(kernel, true);
    std::vector<DeviceCopy> copies;
    std::vector<void*> buffers;
    for (std::size_t b = 0; b < kernel.buffers.size(); ++b) {
      fill_random(kernel.buffers[b], expected.as<char>(b), random, true);
      std::memcpy(got.as<char>(b), expected.as<char>(b), expected.bytes(b));
      copies.emplace_back(device, got.as<char>(b), got.bytes(b));
      buffers.push_back(copies.back().data());
    }
    interpret(kernel, expected.pointers());
    INFO("seed " << i << "\n" << to_text(kernel) << cuda_source(kernel, target_of(device)));
    if (!compiled[i]->phases.empty()) {
      const CudaModule module(device, compiled[i]->cubin, kernel.name);
      launch(device, module, *compiled[i], buffers);
      device.synchronize();
    }
    for (std::size_t b = 0; b < kernel.buffers.size(); ++b) {
      copies[b].fetch();
      INFO("buffer " << kernel.buffers[b].name << "\nexpected" << first_bytes(expected, b) << "\ngot     "
                     << first_bytes(got, b));
      CHECK(same_contents(kernel.buffers[b], expected.as<char>(b), got.as<char>(b)));
    }
  }
}

TEST_CASE("every elementwise row on the device", "[cuda][device]") {
  if (!has_device()) return;
  CudaDevice& device = CudaDevice::get(0);
  device.make_current();
  check_on_device(device, gpu_elementwise_cases(), device.info().multiprocessors);
}

TEST_CASE("lowered nodes on the device", "[cuda][device]") {
  if (!has_device()) return;
  CudaDevice& device = CudaDevice::get(0);
  device.make_current();
  check_on_device(device, gpu_cases(), device.info().multiprocessors);
  check_on_device(device, gpu_cases(), 1);
}
