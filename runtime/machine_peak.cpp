#include "croton/runtime/machine_peak.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <map>
#include <mutex>
#include <string>

#include "croton/codegen/kernel_cache.h"
#include "croton/codegen/thread_pool.h"
#include "croton/graph/error.h"
#include "croton/graph/output_file.h"
#include "croton/graph/shared_variable.h"
#include "croton/ops/blas.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/function.h"

namespace croton {

namespace {

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(std::min(line.find(':') + 2, line.size()));
  }
  return "unknown";
}

/// The line that a measurement begins with.
std::string machine(Device device) {
  if (device.is_cuda()) {
    const CudaDeviceInfo info = cuda_device_info(device.ordinal());
    return fmt::format("{} {}", info.name, info.uuid);
  }
  return fmt::format("{}, {} threads", processor(), ThreadPool::instance().threads());
}

std::string path_of_record(Device device) {
  const KernelCacheInfo cache = kernel_cache_info();
  return cache.is_usable ? fmt::format("{}/machine_peak_{}.txt", cache.folder, to_string(device)) : "";
}

bool read_record(Device device, MachinePeak& peak) {
  const std::string path = path_of_record(device);
  if (path.empty()) return false;
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line != machine(device)) return false;
  return static_cast<bool>(file >> peak.bytes_per_second >> peak.operations_per_second) &&
         peak.bytes_per_second > 0 && peak.operations_per_second > 0;
}

void write_record(Device device, const MachinePeak& peak) {
  const std::string path = path_of_record(device);
  if (path.empty()) return;
  try {
    const std::string text = fmt::format("{}\n{:.6g} {:.6g}\n", machine(device), peak.bytes_per_second,
                                         peak.operations_per_second);
    OutputFile file(path);
    file.write(text.data(), text.size());
    file.commit();
  } catch (const FileError&) {
    // Measured again next time.
  }
}

/// Of what gives a shared variable a new value: nothing of it crosses between host and device.
double fastest(const Update& update, Device device) {
  const Function f = function(
      {}, {}, {.updates = {update}, .mode = Mode("FAST_RUN"), .profile = false, .device = to_string(device)});
  constexpr int rounds = 6;
  const int calls = device.is_cuda() ? 4 : 1;
  double best = 1e9;
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    for (int call = 0; call < calls; ++call) f();
    if (device.is_cuda()) {
      CudaDevice& cuda = CudaDevice::get(device.ordinal());
      const std::lock_guard guard(cuda.mutex());
      cuda.make_current();
      cuda.synchronize();
    }
    const double time = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (i > 0) best = std::min(best, time / calls);  // the first call compiles
  }
  return best;
}

MachinePeak measure(Device device) {
  const auto ones = [](const Shape& shape) { return shared(Tensor::ones(shape, DType::float32)); };
  MachinePeak peak;
  {
    const std::int64_t elements = std::int64_t{1} << (device.is_cuda() ? 26 : 23);
    const SharedVariable a = ones({elements}), b = ones({elements}), sum = ones({elements});
    peak.bytes_per_second =
        3.0 * sizeof(float) * static_cast<double>(elements) / fastest({sum, a + b}, device);
  }
  {
    const std::int64_t extent = device.is_cuda() ? 4096 : 1024;
    const SharedVariable a = ones({extent, extent}), b = ones({extent, extent}),
                         product = ones({extent, extent});
    peak.operations_per_second =
        2.0 * std::pow(static_cast<double>(extent), 3) / fastest({product, dot(a, b)}, device);
  }
  return peak;
}

struct Known {
  std::mutex mutex;
  std::map<std::string, MachinePeak> peaks;  // by device
};

Known& known() {
  static Known* const all = new Known;  // also for reports at the end of the program
  return *all;
}

}  // namespace

MachinePeak machine_peak(Device device) {
  Known& all = known();
  const std::lock_guard guard(all.mutex);
  const auto [entry, is_new] = all.peaks.try_emplace(to_string(device));
  if (is_new && !read_record(device, entry->second)) {
    try {
      entry->second = measure(device);
      write_record(device, entry->second);
    } catch (const MemoryError&) {
      // No room beside what is being profiled: rates stand alone.
    }
  }
  return entry->second;
}

void note_operations_reached(double operations_per_second) {
  Known& all = known();
  const std::lock_guard guard(all.mutex);
  const auto entry = all.peaks.find(to_string(Device{}));
  if (entry == all.peaks.end() || entry->second.operations_per_second >= operations_per_second) return;
  entry->second.operations_per_second = operations_per_second;
  write_record({}, entry->second);
}

}  // namespace croton
