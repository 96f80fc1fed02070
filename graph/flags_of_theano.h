#pragma once

#include <string_view>

namespace croton {

/// What a user of Theano does here in place of a flag that Croton does not have, or nothing for a name that
/// is no flag of Theano either.
std::string_view in_place_of_theano_flag(std::string_view name);

}  // namespace croton
