#pragma once

#include <string>
#include <string_view>

/// The folder of a data set that comes with the examples ("mnist"): docs/examples/data of the package that
/// the running program lies in, otherwise of the source tree.
std::string example_data(std::string_view name);
