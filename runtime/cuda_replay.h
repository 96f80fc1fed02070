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
  /// `steps` with pointers in slots [first_slot, end_slot) of an instance, side by side.
  CudaReplay(CudaDevice& device, std::vector<const CudaStep*> steps, std::size_t end_slot);
  ~CudaReplay();
  CudaReplay(const CudaReplay&) = delete;
  CudaReplay& operator=(const CudaReplay&) = delete;

  /// Runs the steps: the first time one by one, then by the graph.
  void run(void** slots);
  /// Why it is not replayed; empty when it is (or will be).
  const std::string& reason() const { return reason_; }

  /// Steps that must have been run one by one before: libraries choose and load code then.
  static constexpr int runs_before_capture = 1;
  /// A graph that must be recorded anew more often than that does not pay.
  static constexpr int most_captures = 4;

 private:
  struct Captured {
    std::size_t first_node, node_count;
  };
  void capture(void** slots);
  bool exchange(void** slots);
  void drop();

  CudaDevice& device_;
  std::vector<const CudaStep*> steps_;
  std::size_t first_slot_, end_slot_;
  int runs_ = 0, captures_ = 0;
  std::string reason_;
  CUgraph graph_ = nullptr;
  CUgraphExec executable_ = nullptr;
  std::vector<void*> pointers_;  // as they stand in the executable graph
  std::vector<CUgraphNode> nodes_;
  std::vector<Captured> captured_;  // one a step
};

}  // namespace croton
