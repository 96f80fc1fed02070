#include <sched.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

#include "croton/codegen/thread_pool.h"

namespace croton {

namespace {

int cores_of_affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return std::max(CPU_COUNT(&set), 1);
  return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
}

/// Cores' worth of time that a control group allows; 0: no limit known.
int cores_of_quota(double quota, double period) {
  if (quota <= 0 || period <= 0) return 0;
  return std::max(static_cast<int>(quota / period + 0.999), 1);
}

int smaller(int a, int b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

/// Version 2: the limits of the group and of all above it, "max 100000" or "150000 100000".
int limit_of_unified_groups(std::string path) {
  int limit = 0;
  while (true) {
    std::ifstream file("/sys/fs/cgroup" + path + "/cpu.max");
    double quota = 0, period = 0;
    if (file >> quota >> period) limit = smaller(limit, cores_of_quota(quota, period));
    if (path.empty()) return limit;
    path.erase(path.rfind('/'));
  }
}

int limit_of_legacy_group(const std::string& path) {
  for (const std::string& folder : {"/sys/fs/cgroup/cpu" + path, std::string("/sys/fs/cgroup/cpu")}) {
    std::ifstream quota_file(folder + "/cpu.cfs_quota_us"), period_file(folder + "/cpu.cfs_period_us");
    double quota = 0, period = 0;
    if (quota_file >> quota && period_file >> period) return cores_of_quota(quota, period);
  }
  return 0;
}

int limit_of_control_groups() {
  std::ifstream groups("/proc/self/cgroup");
  std::string line;
  int limit = 0;
  while (std::getline(groups, line)) {  // "0::/path" or "4:cpu,cpuacct:/path"
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    if (controllers == ",,") limit = smaller(limit, limit_of_unified_groups(path));
    if (controllers.find(",cpu,") != std::string::npos) limit = smaller(limit, limit_of_legacy_group(path));
  }
  return limit;
}

}  // namespace

int available_cores() { return smaller(cores_of_affinity(), limit_of_control_groups()); }

}  // namespace croton
