#include "croton/codegen/cuda_library.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string_view>

namespace croton {

namespace {

namespace fs = std::filesystem;

struct Root {
  std::mutex mutex;
  std::string folder;

  static Root& instance() {
    static Root root;
    return root;
  }
};

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::vector<std::string> split(const std::string& paths) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= paths.size();) {
    const std::size_t end = std::min(paths.find(':', begin), paths.size());
    if (end > begin) parts.push_back(paths.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

void add_folder(std::vector<std::string>& folders, const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return;
  std::string text = folder.lexically_normal().string();
  if (std::find(folders.begin(), folders.end(), text) == folders.end()) folders.push_back(std::move(text));
}

/// The folders in `folder` whose names begin so, the last name (the newest version) first.
std::vector<fs::path> children(const fs::path& folder, std::string_view beginning) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator i(folder, error), end; !error && i != end; i.increment(error)) {
    if (i->path().filename().string().starts_with(beginning)) found.push_back(i->path());
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

void add_toolkit(std::vector<std::string>& folders, const fs::path& root) {
  if (root.empty()) return;
  add_folder(folders, root / "lib64");
  add_folder(folders, root / "lib");
  add_folder(folders, root / "targets/x86_64-linux/lib");
}

/// What NVIDIA's wheels in a folder of Python packages hold: nvidia/cu13/lib, nvidia/cudnn/lib, …
void add_packages(std::vector<std::string>& folders, const fs::path& packages) {
  for (const fs::path& part : children(packages / "nvidia", "")) add_folder(folders, part / "lib");
}

void add_python(std::vector<std::string>& folders, const fs::path& prefix) {
  if (prefix.empty()) return;
  for (const fs::path& python : children(prefix / "lib", "python3")) {
    add_packages(folders, python / "site-packages");
    add_packages(folders, python / "dist-packages");
  }
}

fs::path own_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr) {
    return {};
  }
  std::error_code error;
  return fs::canonical(info.dli_fname, error).parent_path();
}

std::string path_of(void* handle, const std::string& otherwise) {
  const link_map* map = nullptr;
  if (::dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || map == nullptr || map->l_name[0] == '\0') {
    return otherwise;
  }
  return map->l_name;
}

/// Opens what the library in `folder` wants to find loaded; `folder` empty: by the loader.
void load_first(const CudaLibraryNames& names, const std::string& folder) {
  for (const std::string& beginning : names.loaded_first) {
    for (const fs::path& file : children(folder, beginning)) {
      if (file.string().find(".alt.") != std::string::npos) continue;  // a second copy with other functions
      if (::dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) break;
    }
  }
}

}  // namespace

void set_cuda_root(std::string folder) {
  Root& root = Root::instance();
  const std::lock_guard lock(root.mutex);
  root.folder = std::move(folder);
}

std::vector<std::string> cuda_library_folders() {
  std::vector<std::string> folders;
  {
    Root& root = Root::instance();
    const std::lock_guard lock(root.mutex);
    add_toolkit(folders, root.folder);
    if (!root.folder.empty()) add_folder(folders, root.folder);
  }
  add_toolkit(folders, environment("CUDA_HOME"));
  add_toolkit(folders, environment("CUDA_PATH"));
  fs::path own = own_folder();
  if (own.empty()) return folders;
  add_folder(folders, own);
  for (int level = 0; level < 4 && own != own.root_path(); ++level, own = own.parent_path()) {
    add_packages(folders, own / ".cuda");
  }
  return folders;
}

std::vector<std::string> cuda_library_fallbacks() {
  std::vector<std::string> folders;
  add_toolkit(folders, "/usr/local/cuda");
  for (const fs::path& toolkit : children("/usr/local", "cuda-")) add_toolkit(folders, toolkit);
  add_folder(folders, "/usr/local/nvidia/lib64");
  add_folder(folders, "/usr/local/nvidia/lib");
  add_folder(folders, "/usr/lib/wsl/lib");
  for (const std::string& packages : split(environment("PYTHONPATH"))) add_packages(folders, packages);
  add_python(folders, environment("VIRTUAL_ENV"));
  add_python(folders, environment("CONDA_PREFIX"));
  for (const std::string& programs : split(environment("PATH"))) {
    std::error_code error;
    const fs::path python = fs::path(programs) / "python3";
    if (fs::exists(python, error)) add_python(folders, fs::path(programs).parent_path());
  }
  if (const std::string home = environment("HOME"); !home.empty()) add_python(folders, home + "/.local");
  add_python(folders, "/usr/local");
  add_packages(folders, "/usr/lib/python3/dist-packages");
  return folders;
}

CudaLibrary::CudaLibrary(const CudaLibraryNames& names) {
  std::string refused;
  const auto open_in = [&](const std::vector<std::string>& folders) {
    for (const std::string& folder : folders) {
      for (const std::string& soname : names.sonames) {
        const std::string file = folder + '/' + soname;
        std::error_code error;
        if (!fs::exists(file, error)) continue;
        load_first(names, folder);
        handle_ = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (handle_ != nullptr) {
          path_ = file;
          return true;
        }
        refused += fmt::format("; {} is there but does not load: {}", file, ::dlerror());
      }
    }
    return false;
  };
  const std::vector<std::string> named = cuda_library_folders();
  if (open_in(named)) return;
  for (const std::string& soname : names.sonames) {
    handle_ = ::dlopen(soname.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) continue;
    path_ = path_of(handle_, soname);
    load_first(names, fs::path(path_).parent_path().string());
    return;
  }
  const std::vector<std::string> others = cuda_library_fallbacks();
  if (open_in(others)) return;
  std::vector<std::string> places = named;
  places.push_back("the loader's path");
  places.insert(places.end(), others.begin(), others.end());
  reason_ = fmt::format("{} is not installed ({} not found in {}{}). {}", names.name,
                        fmt::join(names.sonames, ", "), fmt::join(places, ", "), refused, names.how_to_get);
}

void* CudaLibrary::find(const char* symbol) const {
  return handle_ == nullptr ? nullptr : ::dlsym(handle_, symbol);
}

}  // namespace croton
