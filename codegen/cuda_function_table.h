#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>

#include "croton/codegen/cuda_library.h"

namespace croton {

/// The version that cuBLASLt and cuDNN tell as a number: 120803 is 12.8.3, 91900 is 9.19.0.
inline std::string cuda_version_of_number(std::size_t version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

/// Fills a table of functions of one of NVIDIA's libraries. Table: one pointer a function, and the texts
/// path, version and problem. `find_all(find)` calls find(symbol, pointer) for every function; one of them is
/// get_version.
template <class Table, class FindAll>
Table open_cuda_function_table(const CudaLibraryNames& names, std::size_t oldest_version,
                               FindAll&& find_all) {
  Table table;
  // Never closed; called once for a table.
  static const auto* const file = new CudaLibrary(names);
  if (!file->is_open()) {
    table.problem = file->reason();
    return table;
  }
  table.path = file->path();
  find_all(table, [&](const char* symbol, auto*& function) {
    if (table.problem.empty() && !file->find(symbol, function)) {
      table.problem = fmt::format("{} has no function {}", file->path(), symbol);
    }
  });
  if (!table.problem.empty()) return table;
  const std::size_t version = table.get_version();
  table.version = cuda_version_of_number(version);
  if (version < oldest_version) {
    table.problem = fmt::format("{} is {} {}; {} or later is needed", file->path(), names.name, table.version,
                                cuda_version_of_number(oldest_version));
  }
  return table;
}

}  // namespace croton
