#include "croton/graph/version.h"

#include <fmt/format.h>
#include <zip.h>
#include <zlib.h>

namespace croton {
namespace {

#if defined(__clang__)
constexpr const char* compiler = "Clang " __clang_version__;
#else
constexpr const char* compiler = "GCC " __VERSION__;
#endif

}  // namespace

const char* version() { return CROTON_VERSION; }

std::string version_details() {
  return fmt::format(
      "croton {}\n"
      "LLVM {}\n"
      "oneDNN {}\n"
      "fmt {}.{}.{}\n"
      "zlib {}\n"
      "libzip {}\n"
      "compiler {}\n",
      version(), CROTON_LLVM_VERSION, CROTON_DNNL_VERSION, FMT_VERSION / 10000, FMT_VERSION / 100 % 100,
      FMT_VERSION % 100, zlibVersion(), zip_libzip_version(), compiler);
}

}  // namespace croton
