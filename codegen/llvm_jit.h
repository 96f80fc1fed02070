#pragma once

#include <memory>
#include <string>
#include <vector>

namespace croton {

/// Machine code of a kernel in this process.
struct LoadedObject {
  std::vector<void*> functions;
  std::shared_ptr<const void> code;  ///< the code is unmapped with its last owner
};

/// Links an object from compile_to_object and finds the functions of its phases. Throws InternalError when
/// that fails. Safe to call from several threads.
LoadedObject load_object(const std::string& object, const std::string& symbol, std::size_t phases);

}  // namespace croton
