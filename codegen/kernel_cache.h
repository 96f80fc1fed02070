#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/export.h"

namespace croton {

/// The folder of compiled kernels. Empty: no cache on disk. Default: $XDG_CACHE_HOME/croton, or
/// ~/.cache/croton. The folder is made with mode 0700 when it is first written to; it is not used when others
/// may write to it or somebody else owns it.
CROTON_API void set_kernel_cache_folder(std::string folder);
CROTON_API std::string kernel_cache_folder();

struct KernelCacheInfo {
  std::string folder;
  bool is_usable = false;
  std::string reason;  ///< why not
  std::int64_t entries = 0;
  std::int64_t bytes = 0;
};
CROTON_API KernelCacheInfo kernel_cache_info();
/// Removes every entry (and nothing else) and returns how many.
CROTON_API std::int64_t clear_kernel_cache();

/// Called once, with why the cache is not used; nothing is printed otherwise.
CROTON_API void set_kernel_cache_warning(std::function<void(const std::string&)> sink);

}  // namespace croton
