#include "measure.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// A batch takes so long at least: far longer than reading the clock and waiting for a device.
constexpr double least_batch = 0.003;

double time_of(const std::function<void()>& call, const std::function<void()>& finish, std::size_t calls) {
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < calls; ++i) call();
  finish();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return 1024 * std::stod(line.substr(field.size()));
  }
  return 0;
}

}  // namespace

double seconds_per_call(const std::function<void()>& call, const std::function<void()>& finish,
                        double seconds) {
  std::size_t calls = 1;
  while (time_of(call, finish, calls) < least_batch) calls *= 2;
  std::vector<double> samples;
  for (double spent = 0; spent < seconds;) {
    const double elapsed = time_of(call, finish, calls);
    samples.push_back(elapsed / static_cast<double>(calls));
    spent += elapsed;
  }
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return *middle;
}

double resident_bytes() { return status_bytes("VmRSS:"); }
double most_resident_bytes() { return status_bytes("VmHWM:"); }
