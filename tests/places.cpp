#include "places.h"

namespace croton::test {

namespace {

std::filesystem::path own_folder() {
  static const auto path = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  return path;
}

/// The folder of the package that this program lies in; the source tree without one.
const std::filesystem::path& root() {
  static const std::filesystem::path path = [] {
    const std::filesystem::path package = own_folder().parent_path();
    return std::filesystem::exists(package / "tests/rewrites") ? package
                                                               : std::filesystem::path(CROTON_SOURCE_DIR);
  }();
  return path;
}

}  // namespace

std::filesystem::path source_file(std::string_view name) { return root() / name; }

std::filesystem::path program(std::string_view name) { return own_folder() / name; }

std::filesystem::path writable_folder() {
  const std::filesystem::path folder = own_folder().parent_path() / "test-files";
  std::filesystem::create_directories(folder);
  return folder;
}

}  // namespace croton::test
