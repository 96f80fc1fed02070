// croton cache: what is in the folder of compiled kernels; clearing it.

#include <fmt/format.h>

#include <croton/graph/error.h>
#include <croton/graph/flags.h>

#include "cache_folder.h"
#include "command.h"

namespace {

void print_info() {
  const croton::KernelCacheInfo info = cache_folder_info();
  if (info.folder.empty()) {
    fmt::print("folder   none\n");
    return;
  }
  fmt::print("folder   {}\nstate    {}\nkernels  {}\nsize     {:.1f} MiB\n", info.folder,
             info.is_usable ? "usable" : "not used: " + info.reason, info.entries,
             static_cast<double>(info.bytes) / (1 << 20));
}

void clear() {
  const croton::KernelCacheInfo info = cache_folder_info();
  if (info.folder.empty()) throw croton::ValueError("there is no cache folder to clear (cache_dir=none)");
  const std::int64_t removed = croton::clear_kernel_cache();
  fmt::print("removed {} kernels from {}\n", removed, info.folder);
}

}  // namespace

croton::KernelCacheInfo cache_folder_info() {
  if (const std::string folder = croton::config().cache_dir().string(); !folder.empty())
    croton::set_kernel_cache_folder(folder == "none" ? std::string() : folder);
  return croton::kernel_cache_info();
}

void add_cache_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("cache", "Show or clear the folder of compiled kernels.");
  command->require_subcommand(1);
  CLI::App* info = command->add_subcommand("info", "Where it is, whether it is used, how much is in it.");
  add_flags_option(*info);
  info->callback(print_info);
  CLI::App* clearing = command->add_subcommand("clear", "Remove every compiled kernel.");
  add_flags_option(*clearing);
  clearing->callback(clear);
}
