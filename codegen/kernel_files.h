#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace croton {

/// Names what a kernel's machine code depends on: 128 bits of a hash.
struct KernelKey {
  std::array<std::uint64_t, 2> words{};
  auto operator<=>(const KernelKey&) const = default;
  std::string hex() const;
};

/// The object of that key from the cache on disk. Nothing when there is none or the entry is damaged (it is
/// removed then).
std::optional<std::string> read_cached_object(const KernelKey& key);
/// Keeps an object; failures are reported through the warning of the cache, once.
void write_cached_object(const KernelKey& key, std::string_view object);

/// A hash of bytes, the same on every machine.
KernelKey hash_of(std::string_view bytes);

}  // namespace croton
