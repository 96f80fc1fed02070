#include "example_data.h"

#include <filesystem>

std::string example_data(std::string_view name) {
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  const auto in_package = program.parent_path().parent_path() / "docs/examples/data" / name;
  if (std::filesystem::exists(in_package)) return in_package.string();
  return (std::filesystem::path(CROTON_EXAMPLE_DATA) / name).string();
}
