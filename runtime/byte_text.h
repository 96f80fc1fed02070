#pragma once

#include <cstddef>
#include <string>

namespace croton {

/// "512 B", "1.50 KiB", "20.0 MiB", "3.25 GiB": an amount of memory for people.
std::string byte_text(std::size_t bytes);

}  // namespace croton
