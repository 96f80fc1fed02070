#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "croton/codegen/cuda_emit.h"
#include "croton/codegen/cuda_kernel.h"
#include "croton/codegen/cuda_nvrtc.h"
#include "croton/codegen/kernels_in_use.h"
#include "croton/graph/version.h"

namespace croton {

namespace {

/// One kernel to compile: its source says everything that the cubin depends on, but for the compiler.
struct Work {
  const Kernel* kernel = nullptr;
  KernelKey key;
  CudaSource source;
  std::shared_ptr<const CudaKernel> result;
  std::exception_ptr error;
};

void make_kernel(Work& work, const CudaTarget& target) {
  auto kernel = std::make_shared<CudaKernel>();
  kernel->name = work.kernel->name;
  kernel->phases = std::move(work.source.phases);
  for (std::size_t i = 0; i < work.kernel->buffers.size(); ++i) {
    const BufferInfo& buffer = work.kernel->buffers[i];
    if (buffer.role != BufferInfo::Role::scratch) continue;
    kernel->scratch.push_back(
        {static_cast<std::int32_t>(i), buffer.count * static_cast<std::int64_t>(size_of(buffer.dtype))});
  }
  if (!kernel->phases.empty()) {
    std::optional<std::string> cubin;
    if (target.use_cache) cubin = read_cached_object(work.key);
    if (!cubin) {
      const std::string text = cuda_prelude_of(*work.kernel) + work.source.text;
      cubin = compile_cuda_source(text, work.kernel->name + ".cu", target.architecture);
      if (target.use_cache) write_cached_object(work.key, *cubin);
    }
    kernel->cubin = std::move(*cubin);
  }
  work.result = std::move(kernel);
}

/// Says on a terminal how many kernels are compiled, where it takes over a second.
class CompileProgress {
 public:
  explicit CompileProgress(std::size_t all) : all_(all), is_on_(isatty(STDERR_FILENO) == 1) {}
  ~CompileProgress() {
    if (shown_) fmt::print(stderr, "\r{:40}\r", "");
  }
  void add() {
    const std::lock_guard guard(mutex_);
    ++done_;
    const auto now = std::chrono::steady_clock::now();
    if (!is_on_ || now - begin_ < std::chrono::seconds(1)) return;
    shown_ = true;
    fmt::print(stderr, "\rcompiling for the GPU: {} of {} ", done_, all_);
    std::fflush(stderr);
  }

 private:
  std::mutex mutex_;
  std::size_t all_, done_ = 0;
  bool is_on_, shown_ = false;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// On threads of its own: the pool's workers sleep while NVRTC runs for long, and calls may want them.
void make_all(std::vector<Work>& work, const CudaTarget& target) {
  std::atomic<std::size_t> next{0};
  CompileProgress progress(work.size());
  const auto run = [&] {
    for (std::size_t i = next++; i < work.size(); i = next++) {
      try {
        make_kernel(work[i], target);
      } catch (...) {
        work[i].error = std::current_exception();
      }
      progress.add();
    }
  };
  const std::size_t helpers = std::min<std::size_t>(work.size(), static_cast<std::size_t>(available_cores()));
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < helpers; ++i) threads.emplace_back(run);
  run();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

std::vector<std::shared_ptr<const CudaKernel>> compile_cuda(std::span<const Kernel> kernels,
                                                            const CudaTarget& target) {
  // What comes from the cache needs no NVRTC, whose large libraries take long to load.
  const std::string prefix =
      fmt::format("croton {} cuda {} sm_{}\n", version(), target.driver_major, target.architecture);
  std::vector<KernelKey> keys;
  std::vector<Work> work;
  std::map<KernelKey, std::shared_ptr<const CudaKernel>> found;
  auto& in_use = KernelsInUse<CudaKernel>::instance();
  for (const Kernel& kernel : kernels) {
    CudaSource source = emit_cuda(kernel, target.multiprocessors);
    // Buffers that no phase has as a parameter still count: scratch memory, numbers of parameters.
    keys.push_back(hash_of(prefix + cuda_prelude_of(kernel) + source.text + canonical_text(kernel)));
    const auto [slot, is_new] = found.try_emplace(keys.back());
    if (!is_new) continue;
    slot->second = in_use.find(keys.back());
    if (slot->second == nullptr) work.push_back({&kernel, keys.back(), std::move(source), nullptr, nullptr});
  }
  make_all(work, target);
  for (Work& w : work) {
    if (w.error != nullptr) std::rethrow_exception(w.error);
    found[w.key] = in_use.keep(w.key, std::move(w.result));
  }
  if (!work.empty()) in_use.forget_unused();
  std::vector<std::shared_ptr<const CudaKernel>> result;
  for (const KernelKey& key : keys) result.push_back(found[key]);
  return result;
}

}  // namespace croton
