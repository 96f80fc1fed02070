#include "croton/graph/device.h"

#include <fmt/format.h>

#include <charconv>

#include "croton/graph/error.h"

namespace croton {

Device Device::from_name(std::string_view name) {
  if (name == "cpu") return host();
  if (name.starts_with("cuda")) {
    std::string_view digits = name.substr(4);
    if (digits.empty()) return cuda(0);
    if (digits.front() == ':') digits.remove_prefix(1);
    int ordinal = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), ordinal);
    if (error == std::errc() && end == digits.data() + digits.size() && ordinal >= 0 && ordinal < 1000)
      return cuda(ordinal);
  }
  throw ValueError(fmt::format("there is no device \"{}\"; devices are called cpu, cuda, cuda0, cuda1, …{}",
                               name, name.starts_with("gpu") ? " (GPUs are called cuda)" : ""));
}

std::string to_string(Device device) {
  return device.is_host() ? std::string("cpu") : fmt::format("cuda{}", device.ordinal());
}

}  // namespace croton
