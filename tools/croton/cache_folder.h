#pragma once

#include <croton/codegen/kernel_cache.h>

/// What is known of the folder of compiled kernels that the flags name.
croton::KernelCacheInfo cache_folder_info();
