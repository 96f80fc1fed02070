#include "croton/runtime/call_timer.h"
#include "croton/runtime/cuda_device.h"

namespace croton {

namespace {

class CudaCallTimer final : public CallTimer {
 public:
  explicit CudaCallTimer(CudaDevice& device) : device_(device), begin_(device, true), end_(device, true) {}

  double seconds(const std::function<void()>& calls) override {
    device_.make_current();
    begin_.record();
    calls();
    end_.record();
    end_.wait();
    return CudaEvent::seconds_between(begin_, end_);
  }
  void finish() override { device_.synchronize(); }

 private:
  CudaDevice& device_;
  CudaEvent begin_, end_;
};

}  // namespace

std::unique_ptr<CallTimer> make_cuda_call_timer(int ordinal) {
  return std::make_unique<CudaCallTimer>(CudaDevice::get(ordinal));
}

}  // namespace croton
