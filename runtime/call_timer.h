#pragma once

#include <functional>
#include <memory>

#include "croton/graph/device.h"
#include "croton/graph/export.h"

namespace croton {

/// Seconds that calls take: on the CPU by the clock, on a device between two events of its stream.
class CROTON_API CallTimer {
 public:
  virtual ~CallTimer() = default;
  virtual double seconds(const std::function<void()>& calls) = 0;
  /// Waits until what was called is done.
  virtual void finish() = 0;
};

CROTON_API std::unique_ptr<CallTimer> make_call_timer(Device device);
std::unique_ptr<CallTimer> make_cuda_call_timer(int ordinal);

}  // namespace croton
