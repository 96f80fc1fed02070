#include <llvm/Config/llvm-config.h>
#include <llvm/Support/xxhash.h>

#include <exception>
#include <map>

#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/kernels_in_use.h"
#include "croton/codegen/llvm_jit.h"
#include "croton/codegen/llvm_object.h"
#include "croton/codegen/llvm_target.h"
#include "croton/codegen/quick_compile.h"
#include "croton/graph/error.h"
#include "croton/graph/version.h"

namespace croton {

KernelKey hash_of(std::string_view bytes) {
  const llvm::XXH128_hash_t hash =
      llvm::xxh3_128bits(llvm::ArrayRef(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
  return {{hash.high64, hash.low64}};
}

namespace {

/// A phase goes to several threads when each has at least this much to do.
constexpr double nanoseconds_worth_a_thread = 8000;

std::string target_text(const TargetInfo& target, bool is_quick) {
  return std::string("croton ") + version() +
         " code " CROTON_CODEGEN_REVISION " llvm " LLVM_VERSION_STRING " cpu " + target.cpu + " features " +
         target.features + " vectors " + std::to_string(target.vector_bytes) + (is_quick ? " quick\n" : "\n");
}

std::shared_ptr<const CompiledKernel> make_kernel(const Kernel& kernel, const KernelKey& key,
                                                  const TargetInfo& target, bool is_quick, bool use_cache) {
  const std::string symbol = "croton_" + key.hex();
  LoadedObject loaded;
  if (use_cache) {
    if (const std::optional<std::string> object = read_cached_object(key)) {
      try {
        loaded = load_object(*object, symbol, kernel.phases.size());
      } catch (const InternalError&) {
        loaded = {};  // not what its checksum promised: it is made anew
      }
    }
  }
  if (loaded.code == nullptr) {
    const std::string object = compile_to_object(kernel, symbol, target, is_quick);
    loaded = load_object(object, symbol, kernel.phases.size());
    if (use_cache) write_cached_object(key, object);
  }
  std::vector<CompiledKernel::CompiledPhase> phases;
  for (std::size_t i = 0; i < kernel.phases.size(); ++i) {
    const Phase& phase = kernel.phases[i];
    CompiledKernel::CompiledPhase compiled;
    compiled.function = reinterpret_cast<CompiledKernel::PhaseFunction>(loaded.functions[i]);
    compiled.extent = phase.extent;
    if (!phase.is_parallel) {
      compiled.grain = phase.extent;
    } else if (phase.grain > 0) {
      compiled.grain = phase.grain;
    } else {
      compiled.grain =
          static_cast<std::int64_t>(nanoseconds_worth_a_thread / estimated_cost(kernel, phase)) + 1;
    }
    phases.push_back(compiled);
  }
  std::vector<CompiledKernel::ScratchBuffer> scratch;
  for (std::size_t i = 0; i < kernel.buffers.size(); ++i) {
    const BufferInfo& buffer = kernel.buffers[i];
    if (buffer.role != BufferInfo::Role::scratch) continue;
    scratch.push_back(
        {static_cast<std::int32_t>(i), buffer.count * static_cast<std::int64_t>(size_of(buffer.dtype))});
  }
  return std::make_shared<CompiledKernel>(std::move(phases), std::move(scratch), std::move(loaded.code));
}

std::vector<std::shared_ptr<const CompiledKernel>> compile_all(std::span<const Kernel> kernels,
                                                               const CompileOptions& options, bool is_quick) {
  const TargetInfo target = resolve(options.target);
  const std::string prefix = target_text(target, is_quick);
  std::vector<KernelKey> keys;
  for (const Kernel& kernel : kernels) keys.push_back(hash_of(prefix + canonical_text(kernel)));

  // What nobody has compiled yet, each once.
  struct Work {
    std::size_t kernel;
    std::shared_ptr<const CompiledKernel> result;
    std::exception_ptr error;
  };
  std::vector<Work> work;
  std::map<KernelKey, std::shared_ptr<const CompiledKernel>> found;
  auto& in_use = KernelsInUse<CompiledKernel>::instance();
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    const auto [slot, is_new] = found.try_emplace(keys[i]);
    if (!is_new) continue;
    slot->second = in_use.find(keys[i]);
    if (slot->second == nullptr) work.push_back({i, nullptr, nullptr});
  }
  struct Shared {
    std::span<const Kernel> kernels;
    const std::vector<KernelKey>& keys;
    const TargetInfo& target;
    bool is_quick, use_cache;
    std::vector<Work>& work;
  };
  const Shared shared{kernels, keys, target, is_quick, options.use_cache, work};
  ThreadPool::instance().parallel_for(
      static_cast<std::int64_t>(work.size()), 1,
      [](const void* context, std::int64_t begin, std::int64_t end, std::int32_t) {
        const auto& s = *static_cast<const Shared*>(context);
        for (std::int64_t i = begin; i < end; ++i) {
          Work& w = s.work[static_cast<std::size_t>(i)];
          try {
            w.result = make_kernel(s.kernels[w.kernel], s.keys[w.kernel], s.target, s.is_quick, s.use_cache);
          } catch (...) {
            w.error = std::current_exception();
          }
        }
      },
      &shared);
  for (Work& w : work) {
    if (w.error != nullptr) std::rethrow_exception(w.error);
    found[keys[w.kernel]] = in_use.keep(keys[w.kernel], std::move(w.result));
  }
  if (!work.empty()) in_use.forget_unused();
  std::vector<std::shared_ptr<const CompiledKernel>> result;
  for (const KernelKey& key : keys) result.push_back(found[key]);
  return result;
}

}  // namespace

std::vector<std::shared_ptr<const CompiledKernel>> compile(std::span<const Kernel> kernels,
                                                           const CompileOptions& options) {
  return compile_all(kernels, options, false);
}

std::vector<std::shared_ptr<const CompiledKernel>> compile_quickly(std::span<const Kernel> kernels) {
  return compile_all(kernels, {}, true);
}

std::shared_ptr<const CompiledKernel> compile(const Kernel& kernel, const CompileOptions& options) {
  return compile(std::span(&kernel, 1), options).front();
}

KernelSource dump(const Kernel& kernel, const CompileOptions& options) {
  KernelSource source;
  compile_to_object(kernel, kernel.name, resolve(options.target), false, &source);
  return source;
}

}  // namespace croton
