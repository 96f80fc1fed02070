#include "compare.h"

#include <croton/runtime/call_timer.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "../training/pass_times.h"

using namespace croton;

namespace {

constexpr int trials = 5, steps = 5;

std::string including(const std::string& name, const std::string& before) {
  if (name == "default") return before;
  return before + (before.empty() ? "" : ":") + "conv_" + name;
}

}  // namespace

const std::vector<std::string>& conv_names() {
  static const std::vector<std::string> names = {"default",  "legacy", "gemm", "fft",
                                                 "winograd", "c01b",   "dnn",  "meta"};
  return names;
}

void use_convolution(const std::string& name) {
  config().set("optimizer_including", including(name, config().get("optimizer_including")));
}

void compare_convolutions(const Options& options, const Digits& digits) {
  fmt::print(
      "| --conv | ms a step | of the default | seconds to the first | computed by "
      "|\n|---|---|---|---|---|\n");
  const std::string before = config().get("optimizer_including");
  double of_default = 0;
  const std::string& first = conv_names().front();
  const auto names = options.conv == first ? conv_names() : std::vector{first, options.conv};
  for (const std::string& name : names) {
    const std::string tags = including(name, before);
    const ConfigScope scope({{"optimizer_including", tags}});
    const auto begin = std::chrono::steady_clock::now();
    const Trainer trainer(options, digits);
    const Function& step = trainer.step();
    std::int64_t batch = 0;
    const std::int64_t batches = digits.train.count() / options.batch_size;
    const auto run = [&] {
      step(batch * options.batch_size, (batch + 1) * options.batch_size);
      batch = (batch + 1) % batches;
    };
    run();
    const auto timer = make_call_timer(present_device());
    timer->finish();
    const std::chrono::duration<double> to_first = std::chrono::steady_clock::now() - begin;
    // On a GPU the labels of a batch are looked at when it is met first; then the whole step becomes one
    // graph.
    if (present_device().is_cuda()) {
      for (std::int64_t i = 0; i < batches + 2; ++i) run();
    }
    double seconds = INFINITY;
    for (int trial = 0; trial < trials; ++trial) {
      seconds = std::min(seconds, timer->seconds([&] {
        for (int i = 0; i < steps; ++i) run();
      }) / steps);
    }
    if (name == "default") of_default = seconds;
    fmt::print("| {} | {:.3f} | {:.2f} | {:.2f} | {} |\n", name, seconds * 1e3, seconds / of_default,
               to_first.count(), convolution_labels(step));
    std::fflush(stdout);
  }
}
