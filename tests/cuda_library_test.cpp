#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "croton/codegen/cuda_library.h"

// The search for libraries, with a small system library under another name in the part of one of NVIDIA's.

using namespace croton;
namespace fs = std::filesystem;

namespace {

std::string file_of_zlib() {
  void* const handle = dlopen("libz.so.1", RTLD_NOW);
  REQUIRE(handle != nullptr);
  const link_map* map = nullptr;
  REQUIRE(dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0);
  return map->l_name;
}

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("croton-cuda-" + std::to_string(getpid()))) {
    fs::create_directories(path_);
  }
  ~Folder() {
    set_cuda_root("");
    fs::remove_all(path_);
  }
  std::string operator/(const std::string& name) const {
    fs::create_directories((path_ / name).parent_path());
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

}  // namespace

TEST_CASE("a library is found in the root, the best version first", "[codegen][cuda]") {
  const Folder root;
  fs::copy_file(file_of_zlib(), root / "lib64/libcroton-sought.so.2");
  fs::copy_file(file_of_zlib(), root / "lib64/libcroton-sought.so.1");
  set_cuda_root(root.path());
  const CudaLibrary library({"Sought", {"libcroton-sought.so.2", "libcroton-sought.so.1"}, {}, ""});
  REQUIRE(library.is_open());
  CHECK(library.path() == root / "lib64/libcroton-sought.so.2");
  CHECK(library.reason().empty());
  const char* (*version)() = nullptr;
  REQUIRE(library.find("zlibVersion", version));
  CHECK(std::string(version()).substr(0, 2) == "1.");
  void (*none)() = nullptr;
  CHECK_FALSE(library.find("no_such_function", none));
}

TEST_CASE("what a library needs loaded comes first", "[codegen][cuda]") {
  const Folder root;
  fs::copy_file(file_of_zlib(), root / "lib/libcroton-main.so.7");
  fs::copy_file(file_of_zlib(), root / "lib/libcroton-builtins.so.7.0");
  set_cuda_root(root.path());
  const CudaLibrary library({"Main", {"libcroton-main.so.7"}, {"libcroton-builtins.so"}, ""});
  REQUIRE(library.is_open());
  CHECK(dlopen((root / "lib/libcroton-builtins.so.7.0").c_str(), RTLD_NOW | RTLD_NOLOAD) != nullptr);
}

TEST_CASE("a library that is nowhere says where it was sought and how to get it", "[codegen][cuda]") {
  const Folder root;
  fs::create_directories(root / "lib64");
  set_cuda_root(root.path());
  const CudaLibrary library({"Nothing", {"libcroton-nothing.so.3"}, {}, "Install nothing."});
  CHECK_FALSE(library.is_open());
  CHECK(library.path().empty());
  CHECK(library.find("anything") == nullptr);
  CHECK(library.reason().find("Nothing is not installed (libcroton-nothing.so.3 not found in " +
                              (root / "lib64")) == 0);
  CHECK(library.reason().find("the loader's path") != std::string::npos);
  CHECK(library.reason().find("Install nothing.") != std::string::npos);
}

TEST_CASE("a file that is no library is named with the loader's words", "[codegen][cuda]") {
  const Folder root;
  fs::copy_file("/etc/passwd", root / "lib64/libcroton-damaged.so.1");
  set_cuda_root(root.path());
  const CudaLibrary library({"Damaged", {"libcroton-damaged.so.1"}, {}, ""});
  CHECK_FALSE(library.is_open());
  CHECK(library.reason().find("is there but does not load") != std::string::npos);
}

TEST_CASE("wheels of a Python environment are searched after the loader", "[codegen][cuda]") {
  const Folder root;
  fs::copy_file(file_of_zlib(), root / "lib/python3.11/site-packages/nvidia/cu13/lib/libcroton-wheel.so.1");
  ::setenv("VIRTUAL_ENV", root.path().c_str(), 1);
  const CudaLibrary library({"Wheel", {"libcroton-wheel.so.1"}, {}, ""});
  ::unsetenv("VIRTUAL_ENV");
  REQUIRE(library.is_open());
  CHECK(library.path() == root / "lib/python3.11/site-packages/nvidia/cu13/lib/libcroton-wheel.so.1");
}
