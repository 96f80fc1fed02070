#include "croton/runtime/cuda_replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "croton/graph/error.h"

namespace croton {

CudaReplay::CudaReplay(CudaDevice& device, std::vector<const CudaStep*> steps,
                       std::vector<std::size_t> end_slots)
    : device_(device),
      steps_(std::move(steps)),
      end_slots_(std::move(end_slots)),
      first_slot_(steps_.front()->first_slot),
      end_slot_(end_slots_.back()) {}

CudaReplay::~CudaReplay() = default;

CudaReplay::Recorded::~Recorded() {
  if (executable != nullptr) (void)cuda_driver().cuGraphExecDestroy(executable);
  if (graph != nullptr) (void)cuda_driver().cuGraphDestroy(graph);
}

void CudaReplay::run(void** slots) {
  device_.make_current();
  for (std::size_t i = 0; i < recorded_.size(); ++i) {
    if (!fit(*recorded_[i], slots)) continue;
    std::swap(recorded_[0], recorded_[i]);
    CROTON_CUDA(cuGraphLaunch, (recorded_[0]->executable, device_.stream()));
    return;
  }
  if (runs_ >= runs_before_recording && reason_.empty()) {
    if (++recordings_ > most_recordings) {
      reason_ = "addresses that library calls work on change from call to call";
      recorded_.clear();
    } else if (auto fresh = record(slots)) {
      if (recorded_.size() == most_graphs) recorded_.pop_back();
      recorded_.insert(recorded_.begin(), std::move(fresh));
      CROTON_CUDA(cuGraphLaunch, (recorded_[0]->executable, device_.stream()));
      return;
    }
  }
  ++runs_;
  for (const CudaStep* step : steps_) step->enqueue(slots + step->first_slot, nullptr);
}

/// What comes next in the captured stream waits for the steps that this one waits for, and for nothing else.
void CudaReplay::continue_behind(const CudaStep& step, std::span<const std::vector<CUgraphNode>> ends) const {
  if (step.waits_for_previous()) return;
  std::vector<CUgraphNode> nodes;
  for (const std::uint32_t before : step.waits_for) {
    if (before > ends.size()) continue;  // what ran before the graph
    const std::vector<CUgraphNode>& end = ends[ends.size() - before];
    nodes.insert(nodes.end(), end.begin(), end.end());
  }
  constexpr unsigned instead = 1;
  CROTON_CUDA(cuStreamUpdateCaptureDependencies, (device_.stream(), nodes.data(), nodes.size(), instead));
}

/// The multiprocessors start these before others that are ready. For what is no kernel it means nothing.
void CudaReplay::give_precedence(std::span<const CUgraphNode> nodes) const {
  int least = 0;
  CudaNodeAttribute attribute{};
  CROTON_CUDA(cuCtxGetStreamPriorityRange, (&least, &attribute.priority));
  constexpr int priority = 8;
  for (const CUgraphNode node : nodes)
    (void)cuda_driver().cuGraphKernelNodeSetAttribute(node, priority, &attribute);
}

/// Null, with a reason, where the driver does not take it.
std::unique_ptr<CudaReplay::Recorded> CudaReplay::record(void** slots) {
  constexpr int relaxed = 2;  // other threads may call what they like
  auto fresh = std::make_unique<Recorded>();
  CROTON_CUDA(cuStreamBeginCapture, (device_.stream(), relaxed));
  std::string problem;
  std::vector<CUgraphNode> preferred;
  try {
    std::vector<std::vector<CUgraphNode>> ends;  // of the steps
    for (const CudaStep* step : steps_) {
      const std::size_t first = fresh->nodes.size();
      if (!ends.empty() && steps_.size() >= least_steps_of_branches) continue_behind(*step, ends);
      step->enqueue(slots + step->first_slot, &fresh->nodes);
      fresh->of_step.push_back({first, fresh->nodes.size() - first});
      const std::span<const CUgraphNode> end = captured_end(device_.stream());
      ends.emplace_back(end.begin(), end.end());
      if (!step->goes_first) continue;
      preferred.insert(preferred.end(), fresh->nodes.begin() + static_cast<std::ptrdiff_t>(first),
                       fresh->nodes.end());
      preferred.insert(preferred.end(), end.begin(), end.end());
    }
  } catch (const Error& error) {
    problem = error.what();
  }
  const CUresult ended = cuda_driver().cuStreamEndCapture(device_.stream(), &fresh->graph);
  if (problem.empty() && ended != 0) problem = fmt::format("cuStreamEndCapture gave error {}", ended);
  if (problem.empty()) {
    give_precedence(preferred);
    constexpr unsigned long long with_priorities = 8;
    const CUresult made = cuda_driver().cuGraphInstantiate(&fresh->executable, fresh->graph, with_priorities);
    if (made != 0) {
      fresh->executable = nullptr;
      problem = fmt::format("cuGraphInstantiateWithFlags gave error {}", made);
    }
  }
  if (!problem.empty()) {
    reason_ = "recording failed: " + problem;
    return nullptr;
  }
  fresh->pointers.assign(slots + first_slot_, slots + end_slot_);
  return fresh;
}

/// Exchanges the pointers that have changed; false when one cannot be exchanged.
bool CudaReplay::fit(Recorded& recorded, void** slots) const {
  if (std::equal(recorded.pointers.begin(), recorded.pointers.end(), slots + first_slot_)) return true;
  const auto range = [&](std::size_t step) {
    const std::size_t first = steps_[step]->first_slot;
    return std::pair<std::size_t, std::size_t>(first, end_slots_[step] - first);
  };
  const auto differs = [&](std::size_t step) {
    const auto [first, count] = range(step);
    return !std::equal(slots + first, slots + first + count,
                       recorded.pointers.data() + (first - first_slot_));
  };
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    if (!steps_[i]->is_exchangeable() && differs(i)) return false;
  }
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    if (!differs(i)) continue;
    const auto [first, count] = range(i);
    const std::span<const CUgraphNode> nodes(recorded.nodes.data() + recorded.of_step[i].first,
                                             recorded.of_step[i].count);
    if (!steps_[i]->exchange(recorded.executable, nodes, slots + first)) return false;
    std::copy_n(slots + first, count, recorded.pointers.data() + (first - first_slot_));
  }
  return true;
}

}  // namespace croton
