#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/export.h"

namespace croton {

/// How many characters one has to insert, drop, replace or swap with their neighbour to make b out of a, case
/// ignored (the optimal string alignment distance).
CROTON_API std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidates that somebody who wrote `name` may have meant, best first, at most three: those a third of
/// its length (at least two edits) away, and those that contain it.
CROTON_API std::vector<std::string_view> nearest_names(std::string_view name,
                                                       std::span<const std::string_view> candidates);

/// "; did you mean a, b or c?", or nothing: the end of an error about an unknown name.
CROTON_API std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace croton
