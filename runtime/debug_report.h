#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/tensor.h"
#include "croton/runtime/function.h"
#include "croton/runtime/function_definition.h"

namespace croton {

/// Writes what is needed to see a fault again: the function's graph as the user built it with the values of
/// its shared variables, in the text form (FILE), and the arguments (FILE.npz). Answers "\n  croton replay
/// FILE shows it again", or why nothing was written; nothing where the flag DebugMode.report_dir is none.
std::string write_debug_report(const FunctionDefinition& definition, const FunctionGraph& original,
                               const Tensor* const* inputs, std::string_view what);

/// A function and the arguments of one call.
struct Replay {
  Function function;
  std::vector<Tensor> arguments;
  /// What was reported when the file was written.
  std::string report;
};

/// Reads what DebugMode or NanGuardMode wrote. `mode` and `device`: instead of those of the function that
/// failed. FileError, ParseError; DeviceError where that device cannot be used.
CROTON_API Replay load_replay(const std::string& path, std::string_view mode = {},
                              std::string_view device = {});

}  // namespace croton
