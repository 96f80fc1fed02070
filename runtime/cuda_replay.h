#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "croton/runtime/cuda_steps.h"

namespace croton {

/// Steps of a plan on a device that follow each other, recorded once as a CUDA graph and replayed. Pointers
/// that change between calls (views into data sets, results) are exchanged in the recorded graph.
class CudaReplay {
 public:
  /// `end_slots`: where the pointers of each step end in the slots of an instance.
  CudaReplay(CudaDevice& device, std::vector<const CudaStep*> steps, std::vector<std::size_t> end_slots);
  ~CudaReplay();
  CudaReplay(const CudaReplay&) = delete;
  CudaReplay& operator=(const CudaReplay&) = delete;

  /// Runs the steps: the first time one by one, then by the graph.
  void run(void** slots);
  /// Why it is not replayed; empty when it is (or will be).
  const std::string& reason() const { return reason_; }

  /// Times the steps run one by one before they are recorded: libraries choose and load code then.
  static constexpr int runs_before_recording = 1;
  /// Graphs that are kept, for addresses of library calls that alternate (blocks that are swapped).
  static constexpr std::size_t most_graphs = 4;
  /// Fewer steps run one behind the other: a graph of branches takes some microseconds more to begin and to
  /// end.
  static constexpr std::size_t least_steps_of_branches = 8;
  /// Where more must be recorded, addresses change from call to call, and recording does not pay.
  static constexpr int most_recordings = 12;

 private:
  struct Nodes {
    std::size_t first, count;
  };
  struct Recorded {
    ~Recorded();
    CUgraph graph = nullptr;
    CUgraphExec executable = nullptr;
    std::vector<void*> pointers;  // as they stand in the executable graph
    std::vector<CUgraphNode> nodes;
    std::vector<Nodes> of_step;
  };
  std::unique_ptr<Recorded> record(void** slots);
  void give_precedence(std::span<const CUgraphNode> nodes) const;
  void continue_behind(const CudaStep& step, std::span<const std::vector<CUgraphNode>> ends) const;
  bool fit(Recorded& recorded, void** slots) const;

  CudaDevice& device_;
  std::vector<const CudaStep*> steps_;
  std::vector<std::size_t> end_slots_;
  std::size_t first_slot_, end_slot_;
  int runs_ = 0, recordings_ = 0;
  std::string reason_;
  std::vector<std::unique_ptr<Recorded>> recorded_;  // the one used last first
};

}  // namespace croton
