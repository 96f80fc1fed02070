#pragma once

#include <functional>
#include <string>
#include <vector>

#include "conv_runs.h"
#include "pass_times.h"

/// What distinguishes one program that measures convolutions from another.
struct ConvBenchmark {
  std::string name, purpose;
  /// How a configuration is written.
  std::string configuration;
  std::string chart_title;
  /// The ways that the environment variable SKIP may name.
  std::vector<std::string> ways;
  /// Those that have numbers, from 1 on.
  std::vector<ConvRun> built_in;
  /// Completes a run, or throws croton::ValueError for one that cannot be measured; may be empty.
  std::function<void(ConvRun&)> complete;
  /// What it throws ends this run, not the program.
  std::function<void(PassReport&, const ConvRun&)> measure;
};

/// The program: reads its arguments, complains about what cannot work before it measures anything, measures
/// each run and writes the files; when it is interrupted, with what it has. The program's exit code.
int run_benchmark(int argc, char** argv, const ConvBenchmark& benchmark);
