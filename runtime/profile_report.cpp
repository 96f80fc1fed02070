#include "croton/runtime/profile_report.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "croton/graph/flags.h"
#include "croton/graph/message.h"
#include "croton/optimizer/phases.h"
#include "croton/runtime/debugprint_function.h"

namespace croton {

namespace {

/// Where the flag profiling.destination says.
void send(const std::string& text) {
  const std::filesystem::path destination = config().profiling_destination();
  if (destination == "stderr") return send_message(Severity::info, text);
  std::ofstream file(destination, std::ios::app);
  if (file << text << '\n' << std::flush) return;
  send_message(Severity::warning,
               fmt::format("cannot write to {}, which profiling.destination names; here is "
                           "the profile:\n{}",
                           destination.string(), text));
}

class Reports {
 public:
  ~Reports() {
    for (const Function& function : functions_) {
      const Profile profile = function.profile();
      if (profile.calls == 0) continue;
      std::string text = profile.to_text();
      if (config().profiling_debugprint()) text += "\n" + debugprint_text(function);
      send(text);
    }
  }
  void add(const Function& function) {
    const std::lock_guard guard(mutex_);
    functions_.push_back(function);
  }

 private:
  std::mutex mutex_;
  std::vector<Function> functions_;
};

}  // namespace

void report_at_exit(const Function& function) {
  (void)rewrite_names();  // reports show names of rewrites: what is there before them goes away after them
  static Reports reports;
  reports.add(function);
}

}  // namespace croton
