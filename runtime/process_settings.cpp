#include "croton/runtime/process_settings.h"

#include <mutex>
#include <string>

#include "croton/codegen/kernel_cache.h"
#include "croton/codegen/thread_pool.h"
#include "croton/graph/flags.h"
#include "croton/graph/message.h"

namespace croton {

void apply_process_settings() {
  static std::mutex mutex;
  static const std::string default_folder = kernel_cache_folder();
  static std::string folder;
  static int threads = 0;
  const std::lock_guard guard(mutex);
  static const bool has_sink = [] {
    set_kernel_cache_warning([](const std::string& text) { send_message(Severity::warning, text); });
    return true;
  }();
  static_cast<void>(has_sink);

  if (const std::string wanted = config().cache_dir().string(); wanted != folder) {
    set_kernel_cache_folder(wanted.empty() ? default_folder : wanted == "none" ? std::string() : wanted);
    folder = wanted;
  }
  if (const int wanted = static_cast<int>(config().threads()); wanted != threads) {
    const int count = wanted > 0 ? wanted : available_cores();
    if (count != ThreadPool::instance().threads()) ThreadPool::instance().set_threads(count);
    threads = wanted;
  }
}

}  // namespace croton
