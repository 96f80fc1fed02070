#pragma once

#include <filesystem>
#include <string_view>

namespace croton::test {

/// A file of the source tree. In a relocated package (tools/package), whose folder holds those that tests
/// read, it is found from where this program lies.
std::filesystem::path source_file(std::string_view name);

/// A program of the same build or package.
std::filesystem::path program(std::string_view name);

/// A folder that tests may write to.
std::filesystem::path writable_folder();

}  // namespace croton::test
