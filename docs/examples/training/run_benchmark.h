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
  /// Those that have numbers, from 1 on.
  std::vector<ConvRun> built_in;
  std::function<void(PassReport&, const ConvRun&)> measure;
};

/// The program: reads its arguments, measures each run and writes the files. The program's exit code.
int run_benchmark(int argc, char** argv, const ConvBenchmark& benchmark);
