#include "results_folder.h"

#include <croton/croton.h>
#include <fmt/format.h>

#include <filesystem>

void make_results_folder(const std::string& folder, const std::string& first_file) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw croton::FileError(
        fmt::format("{}: cannot make the folder for results: {}", folder, error.message()));
  }
  const croton::OutputFile attempt(folder + "/" + first_file);  // gone again, for it is not committed
}
