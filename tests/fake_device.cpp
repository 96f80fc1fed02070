#include "fake_device.h"

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/cuda_contraction.h"
#include "croton/codegen/cuda_emit.h"
#include "croton/runtime/cuda_blas.h"
#include "croton/runtime/cuda_driver.h"
#include "croton/runtime/cuda_kernels.h"
#include "fake_cuda/fake_cuda.h"

namespace croton::test {

namespace {

template <class Function>
Function* fake_function(const char* name) {
  void* library = dlopen(cuda_driver().path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  void* found = library == nullptr ? nullptr : dlsym(library, name);
  if (found == nullptr) throw std::runtime_error("this needs the fake driver, not " + cuda_driver().path);
  return reinterpret_cast<Function*>(found);
}

std::mutex kernels_mutex;
struct Made {
  std::shared_ptr<const CompiledKernel> code;
  std::size_t buffers = 0;
  std::shared_ptr<const CudaContraction> contraction;  // instead of code
};
std::map<long, Made> kernels;
FakeKernelBug bug;

void launch(long kernel, int phase, void** pointers) {
  const Made& made = kernels.at(kernel);
  if (made.contraction != nullptr) {
    evaluate_contraction(*made.contraction, pointers);
  } else {
    const CompiledKernel::CompiledPhase& code = made.code->phases()[static_cast<std::size_t>(phase)];
    code.function(pointers, 0, code.extent, 0);
  }
  if (bug) bug(std::span(pointers, made.buffers));
}

std::vector<std::shared_ptr<const CudaKernel>> compile_for_fake(std::span<const Kernel> list,
                                                                const CudaTarget&) {
  static std::map<std::string, std::shared_ptr<const CudaKernel>> known;
  std::vector<std::shared_ptr<const CudaKernel>> result;
  const std::lock_guard guard(kernels_mutex);
  for (const Kernel& kernel : list) {
    std::string key = canonical_text(kernel);
    if (kernel.contraction != nullptr) key += emit_cuda(kernel, 132).text;
    std::shared_ptr<const CudaKernel>& made = known[key];
    if (made == nullptr) {
      const auto number = static_cast<long>(kernels.size());
      kernels[number] = {compile(kernel), kernel.buffers.size(), kernel.contraction};
      auto fresh = std::make_shared<CudaKernel>();
      fresh->name = kernel.name;
      fresh->cubin = "fake " + std::to_string(number);
      const std::size_t phases = kernel.contraction != nullptr ? 1 : kernels[number].code->phases().size();
      for (std::size_t p = 0; p < phases; ++p) {
        CudaKernel::Phase phase;
        phase.function = std::to_string(p) + " " + std::to_string(kernel.buffers.size());
        for (std::size_t b = 0; b < kernel.buffers.size(); ++b)
          phase.buffers.push_back(static_cast<std::int32_t>(b));
        fresh->phases.push_back(std::move(phase));
      }
      made = std::move(fresh);
    }
    result.push_back(made);
  }
  return result;
}

/// With CROTON_FAKE_CUDA=1 every case can run on the fake device: CROTON_FLAGS=device=cuda.
[[maybe_unused]] const bool is_always_fake = [] {
  if (std::getenv("CROTON_FAKE_CUDA") == nullptr) return false;
  fake_function<decltype(fake_cuda_set_launch)>("fake_cuda_set_launch")(launch);
  set_cuda_compiler(compile_for_fake);
  return true;
}();

}  // namespace

long fake_calls(const char* function) {
  return fake_function<decltype(fake_cuda_calls)>("fake_cuda_calls")(function);
}

void set_fake_memory(std::size_t bytes) {
  fake_function<decltype(fake_cuda_set_memory)>("fake_cuda_set_memory")(bytes);
}

void plant_fake_bug(FakeKernelBug planted) { bug = std::move(planted); }

std::string fake_nvtx_said() {
  const std::string driver = cuda_driver().path;
  const std::string file = driver.substr(0, driver.rfind('/')) + "/libnvtx3interop.so.1";
  void* library = dlopen(file.c_str(), RTLD_NOW);
  void* found = library == nullptr ? nullptr : dlsym(library, "fake_nvtx_said");
  if (found == nullptr) throw std::runtime_error("there is no fake NVTX: " + file);
  return reinterpret_cast<const char* (*)()>(found)();
}

void set_fake_relu(FakeRelu habit) {
  void* library = dlopen(cublaslt::library().path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  void* found = library == nullptr ? nullptr : dlsym(library, "fake_blas_set_relu");
  if (found == nullptr) throw std::runtime_error("there is no fake cuBLASLt: " + cublaslt::library().path);
  reinterpret_cast<void (*)(int)>(found)(static_cast<int>(habit));
}

OnFakeDevice::OnFakeDevice(const char* device) : flags_({{"device", device}}) {
  fake_function<decltype(fake_cuda_set_launch)>("fake_cuda_set_launch")(launch);
  set_cuda_compiler(compile_for_fake);
}

OnFakeDevice::~OnFakeDevice() {
  bug = nullptr;
  if (!is_always_fake) set_cuda_compiler({});
}

}  // namespace croton::test
