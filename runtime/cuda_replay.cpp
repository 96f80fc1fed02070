#include "croton/runtime/cuda_replay.h"

#include <fmt/format.h>

#include <cstring>

#include "croton/graph/error.h"
#include "croton/graph/op.h"

namespace croton {

CudaReplay::CudaReplay(CudaDevice& device, std::vector<const CudaStep*> steps, std::size_t end_slot)
    : device_(device),
      steps_(std::move(steps)),
      first_slot_(steps_.front()->first_slot),
      end_slot_(end_slot) {}

CudaReplay::~CudaReplay() { drop(); }

void CudaReplay::drop() {
  if (executable_ != nullptr) (void)cuda_driver().cuGraphExecDestroy(executable_);
  if (graph_ != nullptr) (void)cuda_driver().cuGraphDestroy(graph_);
  executable_ = nullptr;
  graph_ = nullptr;
}

void CudaReplay::run(void** slots) {
  if (executable_ != nullptr && !exchange(slots)) drop();
  if (executable_ == nullptr && runs_ >= runs_before_capture && reason_.empty()) {
    if (captures_ < most_captures) {
      capture(slots);
    } else {
      reason_ = "pointers of library calls change from call to call";
    }
  }
  if (executable_ != nullptr) {
    CROTON_CUDA(cuGraphLaunch, (executable_, device_.stream()));
    return;
  }
  ++runs_;
  for (const CudaStep* step : steps_) step->enqueue(slots + step->first_slot, nullptr);
}

void CudaReplay::capture(void** slots) {
  constexpr int relaxed = 2;  // other threads may call what they like
  ++captures_;
  nodes_.clear();
  captured_.clear();
  CROTON_CUDA(cuStreamBeginCapture, (device_.stream(), relaxed));
  std::string problem;
  try {
    for (const CudaStep* step : steps_) {
      const std::size_t first = nodes_.size();
      step->enqueue(slots + step->first_slot, &nodes_);
      captured_.push_back({first, nodes_.size() - first});
    }
  } catch (const Error& error) {
    problem = error.what();
  }
  const CUresult ended = cuda_driver().cuStreamEndCapture(device_.stream(), &graph_);
  if (problem.empty() && ended != 0) problem = fmt::format("cuStreamEndCapture gave error {}", ended);
  if (problem.empty()) {
    const CUresult made = cuda_driver().cuGraphInstantiate(&executable_, graph_, 0);
    if (made != 0) {
      executable_ = nullptr;
      problem = fmt::format("cuGraphInstantiateWithFlags gave error {}", made);
    }
  }
  if (!problem.empty()) {
    drop();
    reason_ = "recording failed: " + problem;
    return;
  }
  pointers_.assign(slots + first_slot_, slots + end_slot_);
}

/// False when a pointer changed that cannot be exchanged.
bool CudaReplay::exchange(void** slots) {
  const std::size_t bytes = (end_slot_ - first_slot_) * sizeof(void*);
  if (std::memcmp(pointers_.data(), slots + first_slot_, bytes) == 0) return true;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const std::size_t begin = steps_[i]->first_slot;
    const std::size_t end = i + 1 < steps_.size() ? steps_[i + 1]->first_slot : end_slot_;
    void** before = pointers_.data() + (begin - first_slot_);
    if (std::memcmp(before, slots + begin, (end - begin) * sizeof(void*)) == 0) continue;
    const std::span<const CUgraphNode> nodes(nodes_.data() + captured_[i].first_node,
                                             captured_[i].node_count);
    if (!steps_[i]->exchange(executable_, nodes, slots + begin)) return false;
    std::memcpy(before, slots + begin, (end - begin) * sizeof(void*));
  }
  return true;
}

}  // namespace croton
