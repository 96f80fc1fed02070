#include "run_benchmark.h"

#include <croton/croton.h>
#include <fmt/format.h>

#include "command_line.h"

int run_benchmark(int argc, char** argv, const ConvBenchmark& benchmark) {
  int repeat = 1, calls = 10;
  bool list = false;
  std::string output = benchmark.name + ".txt", json, chart, flags;
  std::vector<std::string> arguments;
  CLI::App app{benchmark.purpose, benchmark.name};
  app.add_option("runs", arguments,
                 "numbers of built-in runs (all), or configurations " + benchmark.configuration);
  app.add_flag("--list", list, "list the built-in runs and end");
  app.add_option("--repeat", repeat, "trials of which the least counts")
      ->capture_default_str()
      ->check(at_least(1));
  app.add_option("--calls", calls, "calls a trial")->capture_default_str()->check(at_least(1));
  app.add_option("--output", output, "file that gets the same lines")->capture_default_str();
  app.add_option("--json", json, "file for the times as lines of JSON");
  app.add_option("--svg", chart, "file for a chart of the times");
  app.add_option("--flags", flags, "Croton's flags: name=value,...");
  if (const auto code = read_arguments(app, argc, argv)) return *code;
  try {
    croton::config().read_string(flags);
    if (list) {
      fmt::print("{}", list_of(benchmark.built_in));
      return 0;
    }
    const std::vector<ConvRun> runs = selected_runs(arguments, benchmark.built_in);
    PassReport report(repeat, calls, output);
    for (const ConvRun& run : runs) benchmark.measure(report, run);
    report.save();
    if (!json.empty()) report.save_json(json);
    if (!chart.empty()) report.save_chart(chart, benchmark.chart_title);
    return 0;
  } catch (const croton::Error& e) {
    fmt::print(stderr, "{}: {}\n", benchmark.name, e.what());
    return 2;
  }
}
