#include <cstdint>
#include <string_view>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"

/// The bytes as a flag string, and as a flag file; whatever they are, reading them ends in values or a
/// FlagError.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  croton::Config config;
  try {
    config.read_string(text);
  } catch (const croton::FlagError&) {
  }
  try {
    config.read_file_text(text, "input");
  } catch (const croton::FlagError&) {
  }
  return 0;
}
