#include <cstdint>
#include <span>

#include "croton/graph/error.h"
#include "croton/runtime/idx.h"

/// The bytes as an IDX file, gzipped or not: reading them ends in a tensor or a FileError.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    croton::parse_idx(std::as_bytes(std::span(data, size)), "input");
  } catch (const croton::FileError&) {
  }
  return 0;
}
