// croton doctor: what this machine offers, what Croton found, and what is missing.

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>

#include <croton/codegen/thread_pool.h>
#include <croton/graph/flags.h>
#include <croton/graph/version.h>
#include <croton/runtime/device_info.h>

#include "cache_folder.h"
#include "command.h"

namespace {

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(std::min(line.find(':') + 2, line.size()));
  }
  return "unknown";
}

struct VectorUnit {
  std::string name = "scalar";
  int bits = 64;
};

VectorUnit vector_unit() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return {"AVX-512", 512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {"AVX2 with FMA", 256};
  if (__builtin_cpu_supports("avx")) return {"AVX", 256};
  return {"SSE2", 128};
#else
  return {};
#endif
}

void line(std::string_view what, std::string_view text) { fmt::print("{:<12}{}\n", what, text); }

void examine() {
  std::vector<std::string> problems;
  const VectorUnit vectors = vector_unit();
  line("cpu", cpu_name());
  line("vectors", fmt::format("{} ({} bits, {} float32)", vectors.name, vectors.bits, vectors.bits / 32));
  if (vectors.bits < 256 || vectors.name == "AVX")
    problems.push_back(
        "this processor has no AVX2 and FMA: compiled functions run at a fraction of the speed");

  const int wanted = static_cast<int>(croton::config().threads());
  const int granted = croton::available_cores();
  line("threads", wanted > 0 ? fmt::format("{} (threads={}; the machine grants {})", wanted, wanted, granted)
                             : fmt::format("{} (what the machine grants)", granted));
  if (wanted > granted)
    problems.push_back(
        fmt::format("threads={} is more than the {} cores that this process may use", wanted, granted));
  const auto pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGE_SIZE);
  line("memory",
       fmt::format("{:.1f} GiB", static_cast<double>(pages) * static_cast<double>(page_size) / (1 << 30)));
  line("device", croton::config().device());
  fmt::print("{}", croton::device_report(croton::device_info()));

  const croton::KernelCacheInfo cache = cache_folder_info();
  if (cache.folder.empty()) {
    line("cache", "none");
    problems.push_back(
        "there is no cache folder: every program compiles its functions anew (cache_dir=none)");
  } else {
    line("cache", fmt::format("{}, {} kernels, {:.1f} MiB", cache.folder, cache.entries,
                              static_cast<double>(cache.bytes) / (1 << 20)));
    if (!cache.is_usable)
      problems.push_back(fmt::format("the cache folder {} is not used: {}", cache.folder, cache.reason));
  }

  fmt::print("\n{}\n", croton::version_details());
  if (problems.empty()) fmt::print("Nothing is missing.\n");
  for (const std::string& problem : problems) fmt::print("Problem: {}\n", problem);
}

}  // namespace

void add_doctor_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("doctor", "Say what this machine offers and what is missing.");
  add_flags_option(*command);
  command->callback(examine);
}
