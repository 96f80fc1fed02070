#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "croton/graph/shared_variable.h"
#include "croton/runtime/extents.h"
#include "croton/runtime/plan.h"
#include "croton/runtime/spin_lock.h"

namespace croton {

/// The shapes of a call's inputs and shared variables, and what is worked out from them alone.
struct ShapeSignature {
  std::vector<Shape> inputs;
  std::vector<Shape> shared;
  /// Arguments may lie on a device.
  bool takes_devices = false;
  /// Where the arguments lie; empty while all lie on the host.
  std::vector<Device> devices;
  /// The general graph with these shapes, and the extents in it that depend on values; both null when none
  /// does.
  std::unique_ptr<const FunctionGraph> typed;
  std::unique_ptr<const Extents> extents;

  bool matches(const Tensor* const* input_values, SharedCell* const* cells) const {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!(inputs[i] == input_values[i]->shape())) return false;
      const Device device = devices.empty() ? Device() : devices[i];
      if (takes_devices && !(device == input_values[i]->device())) return false;
    }
    for (std::size_t i = 0; i < shared.size(); ++i) {
      if (!(shared[i] == cells[i]->value().shape())) return false;
    }
    return true;
  }
};

/// The plans of a function, the one used last first. When there are too many, the one that was not used for
/// longest goes.
class PlanCache {
 public:
  static constexpr std::size_t most_plans = 16;

  struct Entry {
    std::shared_ptr<const ShapeSignature> signature;
    std::vector<std::int64_t> extents;  // the key of the extents that depend on values
    std::shared_ptr<Plan> plan;
  };

  /// The signature of these shapes, or null; the plan too when the shapes decide it.
  std::shared_ptr<const ShapeSignature> find(const Tensor* const* inputs, SharedCell* const* cells,
                                             std::shared_ptr<Plan>& plan);
  /// The plan of that signature and those extents, or null.
  std::shared_ptr<Plan> find(const ShapeSignature& signature, std::span<const std::int64_t> extents);
  /// Returns the plan that had to go, or null.
  std::shared_ptr<Plan> insert(Entry entry);
  /// The one used last, or null.
  std::shared_ptr<Plan> last() const;
  std::vector<std::shared_ptr<Plan>> all() const;

 private:
  void move_to_front(std::size_t position);

  mutable SpinLock lock_;
  std::vector<Entry> entries_;
};

}  // namespace croton
