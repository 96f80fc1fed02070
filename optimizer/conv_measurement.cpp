#include "croton/optimizer/conv_measurement.h"

#include <algorithm>
#include <atomic>
#include <limits>

namespace croton {

namespace {

std::atomic<ConvMeasurer*> the_measurer = nullptr;

}  // namespace

double ConvTrial::best() const {
  if (seconds.empty()) return std::numeric_limits<double>::infinity();
  return *std::ranges::min_element(seconds);
}

void set_conv_measurer(ConvMeasurer& measurer) { the_measurer = &measurer; }
ConvMeasurer* conv_measurer() { return the_measurer; }

}  // namespace croton
