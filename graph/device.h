#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "croton/graph/export.h"

namespace croton {

/// Where a tensor lies and a node computes: the host, or a CUDA device by its number among the visible ones.
class CROTON_API Device {
 public:
  constexpr Device() = default;
  static constexpr Device host() { return {}; }
  static constexpr Device cuda(int ordinal) {
    Device device;
    device.ordinal_ = static_cast<std::int16_t>(ordinal);
    return device;
  }
  /// "cpu", "cuda" (the first one), "cuda1", "cuda:1". Throws ValueError.
  static Device from_name(std::string_view name);

  constexpr bool is_host() const { return ordinal_ < 0; }
  constexpr bool is_cuda() const { return ordinal_ >= 0; }
  /// Of a CUDA device.
  constexpr int ordinal() const { return ordinal_; }
  friend constexpr bool operator==(const Device&, const Device&) = default;

 private:
  std::int16_t ordinal_ = -1;
};

/// "cpu", "cuda0", "cuda1".
CROTON_API std::string to_string(Device device);

}  // namespace croton
