#pragma once

#include <string>
#include <vector>

#include "croton/graph/export.h"

namespace croton {

/// A library of NVIDIA's by its names. Nothing of CUDA is linked: each library is opened when it is first
/// needed, so one libcroton runs with and without a GPU.
struct CudaLibraryNames {
  std::string name;                  ///< for people: "NVRTC"
  std::vector<std::string> sonames;  ///< the versions that fit, the best first: {"libnvrtc.so.13", …}
  /// What must be loaded before it, because the library looks for it by name only and has no path of its own
  /// to find it by: beginnings of file names, sought in the folder of the library, then by the loader.
  std::vector<std::string> loaded_first;
  std::string how_to_get;  ///< the last sentence of the reason when there is none
};

/// An opened library, or why there is none. It is never closed: NVIDIA's libraries do not all survive that.
class CROTON_API CudaLibrary {
 public:
  /// Searches the places of cuda_library_folders, then what the loader knows (LD_LIBRARY_PATH, ld.so.cache),
  /// then cuda_library_fallbacks; at each place the sonames in order. Never throws.
  explicit CudaLibrary(const CudaLibraryNames& names);

  bool is_open() const { return handle_ != nullptr; }
  /// The file; empty when there is none.
  const std::string& path() const { return path_; }
  /// Why the library is not there, where it was sought and how to get it; empty when it is open.
  const std::string& reason() const { return reason_; }
  /// The address of a function, or nullptr.
  void* find(const char* symbol) const;
  /// Sets a pointer to a function of the library; false when the library has none of that name.
  template <class Function>
  bool find(const char* symbol, Function*& function) const {
    function = reinterpret_cast<Function*>(find(symbol));
    return function != nullptr;
  }

 private:
  void* handle_ = nullptr;
  std::string path_;
  std::string reason_;
};

/// Searched before everything else: a toolkit's root (…/lib64 and …/lib in it) or a folder of libraries. The
/// environment's CUDA_HOME and CUDA_PATH come next. Libraries that are open stay so.
CROTON_API void set_cuda_root(std::string folder);

/// Folders that were named: the root, CUDA_HOME, CUDA_PATH, the folder of libcroton and a folder `.cuda` of
/// wheels (pip install --target) in it or in one of the three folders above it.
CROTON_API std::vector<std::string> cuda_library_folders();
/// Folders tried after the loader: /usr/local/cuda* (newest first), where containers mount the driver, and
/// NVIDIA's wheels in the Python environments of VIRTUAL_ENV, CONDA_PREFIX, PYTHONPATH, PATH and the user.
CROTON_API std::vector<std::string> cuda_library_fallbacks();

}  // namespace croton
