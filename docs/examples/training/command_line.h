#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>

/// Reads the arguments of a program. A code where the program is to end with it: 0 after --help, 2 after a
/// complaint about what does not fit.
std::optional<int> read_arguments(CLI::App& app, int argc, char** argv);

/// For integer options.
CLI::Validator at_least(std::int64_t least);
