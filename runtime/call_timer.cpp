#include "croton/runtime/call_timer.h"

#include <chrono>

namespace croton {

namespace {

class HostCallTimer final : public CallTimer {
 public:
  double seconds(const std::function<void()>& calls) override {
    const auto begin = std::chrono::steady_clock::now();
    calls();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  void finish() override {}
};

}  // namespace

std::unique_ptr<CallTimer> make_call_timer(Device device) {
  if (device.is_cuda()) return make_cuda_call_timer(device.ordinal());
  return std::make_unique<HostCallTimer>();
}

}  // namespace croton
