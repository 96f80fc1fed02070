#include "croton/runtime/profile_report.h"

#include <mutex>
#include <vector>

#include "croton/graph/message.h"
#include "croton/optimizer/phases.h"

namespace croton {

namespace {

class Reports {
 public:
  ~Reports() {
    for (const Function& function : functions_) {
      const Profile profile = function.profile();
      if (profile.calls > 0) send_message(Severity::info, profile.to_text());
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
