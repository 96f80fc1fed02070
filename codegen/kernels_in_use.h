#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "croton/codegen/kernel_files.h"

namespace croton {

/// The compiled kernels that somebody in this process holds, by what their code depends on: equal ones are
/// one.
template <class Compiled>
class KernelsInUse {
 public:
  using Held = std::shared_ptr<const Compiled>;

  static KernelsInUse& instance() {
    static auto* const kernels = new KernelsInUse;  // kernels may be compiled while statics end
    return *kernels;
  }

  /// Null where there is none.
  Held find(const KernelKey& key) {
    const std::lock_guard lock(mutex_);
    const auto entry = kernels_.find(key);
    return entry == kernels_.end() ? nullptr : entry->second.lock();
  }
  /// What is to be used: another thread may have been first; then its code is, and this goes away.
  Held keep(const KernelKey& key, Held compiled) {
    const std::lock_guard lock(mutex_);
    std::weak_ptr<const Compiled>& entry = kernels_[key];
    if (Held other = entry.lock()) return other;
    entry = compiled;
    return compiled;
  }
  void forget_unused() {
    const std::lock_guard lock(mutex_);
    std::erase_if(kernels_, [](const auto& entry) { return entry.second.expired(); });
  }

 private:
  std::mutex mutex_;
  std::map<KernelKey, std::weak_ptr<const Compiled>> kernels_;
};

}  // namespace croton
