#pragma once

#include <string>
#include <vector>

#include "../training/digits.h"
#include "trainer.h"

/// The names of --conv.
const std::vector<std::string>& conv_names();

/// Asks for that implementation of convolutions wherever it can be used, by the flag optimizer_including.
void use_convolution(const std::string& name);

/// Measures a training step with every implementation, or with options.conv beside the default, and prints a
/// table: milliseconds a step, how that compares with the default, how long it takes from the graph to the
/// end of the first step, and what computes the convolutions.
void compare_convolutions(const Options& options, const Digits& digits);
