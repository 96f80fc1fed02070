#include <cstdint>
#include <span>

#include "croton/graph/error.h"
#include "croton/graph/npy.h"

/// The bytes as a .npy file, and as a .npz file; whatever they are, reading them ends in tensors or a
/// FileError.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    croton::parse_npy(bytes, "input");
  } catch (const croton::FileError&) {
  }
  try {
    croton::parse_npz(bytes, "input");
  } catch (const croton::FileError&) {
  }
  return 0;
}
