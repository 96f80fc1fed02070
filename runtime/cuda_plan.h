#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "croton/graph/flags.h"
#include "croton/runtime/cuda_replay.h"
#include "croton/runtime/step_times.h"
#include "croton/runtime/trace.h"

namespace croton {

/// What a plan has beside its steps when it works on devices.
class CudaPlan {
 public:
  /// A pointer into a device's arena.
  struct ArenaPointer {
    std::size_t slot;
    std::size_t offset;
  };
  /// Memory on one device for intermediate values; `largest`: of them, by node, for reports.
  struct Arena {
    std::size_t bytes = 0;
    std::vector<ArenaPointer> pointers;
    std::string largest;
  };
  /// The devices' share of an instance.
  struct Instance {
    std::vector<StorageRef> arenas;                    // one a device
    std::vector<std::unique_ptr<CudaReplay>> replays;  // one a stretch
    std::vector<std::unique_ptr<CudaReplay>> long_replays;
    std::vector<std::unique_ptr<CudaEvent>> events;  // around every step, when the function is profiled
  };

  /// `devices`: by ordinal.
  CudaPlan(std::vector<CudaDevice*> devices, std::shared_ptr<const std::string> label);

  /// Stretches of so many steps are recorded; fewer are enqueued faster one by one.
  static constexpr std::size_t least_steps_of_a_graph = 3;

  const std::vector<CudaDevice*>& devices() const { return devices_; }
  /// A bit for each, by ordinal.
  std::uint64_t device_bits() const { return device_bits_; }
  const std::shared_ptr<const std::string>& label() const { return label_; }
  /// How many errors calls have ended with that fault checks have found.
  const std::shared_ptr<std::uint64_t>& fault_count() const { return fault_count_; }
  /// Uploads a constant; it lives as long as the plan.
  void* add_constant(CudaDevice& device, const Tensor& value);
  void set_arena(const CudaDevice& device, Arena arena);
  /// Finds the stretches of steps that follow each other on a device; `reason`, if any: why they shall not be
  /// recorded.
  void find_stretches(const std::vector<std::unique_ptr<Step>>& steps, std::size_t slot_count,
                      const std::string& reason);

  /// Names of the steps for NVIDIA's profilers; a stretch that is replayed is called by its first and last.
  void name_ranges(std::vector<std::string> names);
  /// A copy from the device that the host waits for in the middle of a call.
  void add_wait(const std::string& what) { waits_ += "\n  " + what; }
  /// What the flag transfers asks for: warns, or throws DeviceError, when a call waits for copies.
  void check_transfers(const std::string& function) const {
    if (!waits_.empty() && config().transfers() != Transfers::allow) report_transfers(function, waits_);
  }
  /// The same about copies that were made or will be.
  static void report_transfers(const std::string& function, const std::string& what);

  /// On all devices.
  std::size_t arena_bytes() const;
  std::size_t arena_bytes(std::size_t device) const { return arenas_[device].bytes; }

  /// Gets the memory. Throws MemoryError: what was asked for, what is free, the largest buffers by node.
  void prepare(Instance& instance, void** slots) const;
  /// Runs all steps; `at` is the one that runs, for who catches what is thrown.
  void run(const std::vector<std::unique_ptr<Step>>& steps, Instance& instance, void** slots,
           std::size_t& at) const;
  /// The same, measured: by events on the device, by the clock on the host.
  /// With labels they become slices of the trace: those of the steps on the device's stream or the calling
  /// thread, those behind them, of enqueueing each step, on the calling thread.
  void run_measured(const std::vector<std::unique_ptr<Step>>& steps, Instance& instance, void** slots,
                    std::size_t& at, StepTimes& times, std::span<const Trace::Label> labels) const;
  /// How stretches are run, for people.
  std::string to_text(const Instance* instance) const;

 private:
  struct Stretch {
    std::vector<const CudaStep*> steps;
    std::vector<std::size_t> end_slots;  // of their pointers
    std::vector<const CudaFaultCheck*> checks;
    std::size_t first = 0, end = 0;  // in the plan
  };
  static std::unique_ptr<CudaReplay> replay_of(const Stretch& stretch);
  void find_long_stretches(const std::vector<std::unique_ptr<Step>>& steps,
                           const std::vector<Stretch>& stretches);

  void synchronize() const;
  const char* range(std::size_t number) const { return ranges_.empty() ? nullptr : ranges_[number].c_str(); }

  std::vector<CudaDevice*> devices_;
  std::uint64_t device_bits_ = 0;
  std::shared_ptr<const std::string> label_;
  std::shared_ptr<std::uint64_t> fault_count_ = std::make_shared<std::uint64_t>(0);
  std::vector<StorageRef> constants_;
  std::size_t constant_bytes_ = 0;
  std::vector<Arena> arenas_;  // one a device
  std::vector<Stretch> stretches_;
  std::vector<Stretch> long_stretches_;  // over fault checks that may know values to be good
  std::vector<std::string> ranges_;  // of steps and, behind them, of stretches; empty: no profiler is told
  std::string waits_;                // one a line
  std::string not_replayed_;         // why none is
};

/// The value as a tensor of its own on a device, contiguous.
Tensor copy_to_device(CudaDevice& device, const Tensor& value);

}  // namespace croton
