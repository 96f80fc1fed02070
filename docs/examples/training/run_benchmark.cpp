#include "run_benchmark.h"

#include <croton/croton.h>
#include <fmt/format.h>

#include "command_line.h"
#include "interrupt.h"

namespace {

/// What fails ends the run, not those behind it.
void measure(const ConvBenchmark& benchmark, PassReport& report, const ConvRun& run) {
  try {
    benchmark.measure(report, run);
  } catch (const croton::MemoryError& error) {
    report.line("SKIPPING config due to the memory error below");
    report.line(error.what());
  } catch (const croton::Error& error) {
    const std::string reason = error.what();
    report.line("FAILED " + reason.substr(0, reason.find('\n')));
  }
}

}  // namespace

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
    const std::vector<ConvRun> runs = selected_runs(arguments, benchmark.built_in, benchmark.complete);
    check_skipped(benchmark.ways);
    (void)croton::default_mode();  // throws now where a tag in the flags is unknown
    for (const std::string& file : {output, json, chart}) {
      if (!file.empty()) const croton::OutputFile attempt(file);  // gone again, for it is not committed
    }
    (void)present_device();
    PassReport report(repeat, calls, output);
    watch_interrupts();
    try {
      for (const ConvRun& run : runs) measure(benchmark, report, run);
    } catch (const Interrupted&) {
      report.line("interrupted: this is what was measured");
    }
    report.save();
    if (!json.empty()) report.save_json(json);
    if (!chart.empty()) report.save_chart(chart, benchmark.chart_title);
    return interrupt_signal() == 0 ? 0 : 128 + interrupt_signal();
  } catch (const croton::Error& e) {
    fmt::print(stderr, "{}: {}\n", benchmark.name, e.what());
    return 2;
  }
}
