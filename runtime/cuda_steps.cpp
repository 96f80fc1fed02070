#include "croton/runtime/cuda_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "croton/codegen/kernel_builder.h"
#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/runtime/cuda_storage.h"

namespace croton {

namespace {

/// Elements from the lowest to the highest address that a layout reaches, relative to its first.
struct Reach {
  std::int64_t low = 0, high = 0;
};
Reach reach_of(const Layout& layout) {
  Reach reach;
  for (std::size_t i = 0; i < layout.shape.size(); ++i) {
    const std::int64_t end = (layout.shape[i] - 1) * layout.strides[i];
    (end < 0 ? reach.low : reach.high) += end;
  }
  return reach;
}

CudaMemcpy3d device_copy(const void* from, void* to, std::size_t bytes) {
  constexpr int on_device = 2;
  CudaMemcpy3d copy{};
  copy.source_kind = on_device;
  copy.source_device = device_address(from);
  copy.target_kind = on_device;
  copy.target_device = device_address(to);
  copy.source_pitch = copy.target_pitch = copy.width = bytes;
  copy.source_height = copy.target_height = copy.height = copy.depth = 1;
  return copy;
}

}  // namespace

bool CudaStep::exchange(CUgraphExec, std::span<const CUgraphNode>, void* const*) const { return false; }

std::span<const CUgraphNode> captured_end(CUstream stream) {
  int status = 0;
  std::uint64_t id = 0;
  CUgraph graph = nullptr;
  const CUgraphNode* last = nullptr;
  std::size_t count = 0;
  CROTON_CUDA(cuStreamGetCaptureInfo, (stream, &status, &id, &graph, &last, &count));
  return {last, count};
}

void CudaStep::note_node(std::vector<CUgraphNode>* nodes) const {
  if (nodes == nullptr) return;
  const std::span<const CUgraphNode> end = captured_end(device_.stream());
  if (end.size() != 1) throw InternalError("a captured launch left no single node at the end of the stream");
  nodes->push_back(end[0]);
}

std::string CudaKernelStep::kind() const {
  return more_ == 0 ? std::string("CUDA kernel") : fmt::format("CUDA kernel of {} nodes, from", more_ + 1);
}

void CudaKernelStep::enqueue(void* const* pointers, std::vector<CUgraphNode>* nodes) const {
  void* parameters[LoadedCudaKernel::most_parameters];
  for (const LoadedCudaKernel::Launch& launch : kernel->launches()) {
    std::size_t count = 0;
    for (const std::int32_t buffer : launch.buffers)
      parameters[count++] = const_cast<void**>(&pointers[static_cast<std::size_t>(buffer)]);
    const CUresult result =
        cuda_driver().cuLaunchKernel(launch.function, launch.grid, 1, 1, launch.block, 1, 1,
                                     launch.shared_bytes, device().stream(), parameters, nullptr);
    if (result != 0) [[unlikely]] {
      throw_cuda_error(result, "cuLaunchKernel",
                       fmt::format("the kernel {}, {} blocks of {} threads, {} bytes of shared memory",
                                   kernel->name(), launch.grid, launch.block, launch.shared_bytes));
    }
    note_node(nodes);
  }
}

bool CudaKernelStep::exchange(CUgraphExec graph, std::span<const CUgraphNode> nodes,
                              void* const* pointers) const {
  void* parameters[LoadedCudaKernel::most_parameters];
  std::size_t at = 0;
  for (const LoadedCudaKernel::Launch& launch : kernel->launches()) {
    std::size_t count = 0;
    for (const std::int32_t buffer : launch.buffers)
      parameters[count++] = const_cast<void**>(&pointers[static_cast<std::size_t>(buffer)]);
    const CudaKernelNodeParams node{launch.function,     launch.grid, 1,      1, launch.block, 1, 1,
                                    launch.shared_bytes, parameters,  nullptr};
    if (cuda_driver().cuGraphExecKernelNodeSetParams(graph, nodes[at++], &node) != 0) return false;
  }
  return true;
}

void CudaCopyStep::enqueue(void* const* pointers, std::vector<CUgraphNode>* nodes) const {
  if (bytes_ == 0) return;
  CROTON_CUDA(cuMemcpyDtoDAsync,
              (device_address(pointers[1]), device_address(pointers[0]), bytes_, device().stream()));
  note_node(nodes);
}

bool CudaCopyStep::exchange(CUgraphExec graph, std::span<const CUgraphNode> nodes,
                            void* const* pointers) const {
  if (bytes_ == 0) return true;
  const CudaMemcpy3d copy = device_copy(pointers[0], pointers[1], bytes_);
  return cuda_driver().cuGraphExecMemcpyNodeSetParams(graph, nodes[0], &copy, device().context()) == 0;
}

Kernel fault_report_kernel() {
  KernelBuilder b("fault_report");
  const Buffer word = b.inout("word", DType::int64, 1), report = b.output("report", DType::int64, 1);
  b.once([&] {
    const ScalarValue found = b.load(word, 0);
    const ScalarValue is_good = b.emit(ScalarOp::eq, found, b.integer_constant(0, DType::int64));
    b.store(report, 0,
            b.emit(ScalarOp::select, is_good, b.integer_constant(reported_good, DType::int64),
                   b.integer_constant(reported_fault, DType::int64)));
    b.store(word, 0, b.integer_constant(0, DType::int64));
  });
  return b.build();
}

CudaFaultCell::CudaFaultCell(CudaDevice& device, std::shared_ptr<std::uint64_t> fault_count)
    : device_(device),
      host_(make_pinned_storage(device, sizeof(std::int64_t))),
      fault_count_(std::move(fault_count)) {
  *static_cast<std::int64_t*>(host()) = not_reported;
}

bool CudaFaultCell::take_fault(bool is_stale) {
  // Reports come in the middle of a call, while the device goes on: looking beats waiting for all it does.
  constexpr std::chrono::milliseconds patience(5);
  is_stale = is_stale || seen_faults_ != *fault_count_;
  seen_faults_ = *fault_count_;
  const volatile auto* report = static_cast<std::int64_t*>(host());
  const auto begin = std::chrono::steady_clock::now();
  while (!is_stale && *report == not_reported && std::chrono::steady_clock::now() - begin < patience) {
    std::this_thread::yield();
  }
  if (is_stale || *report == not_reported) device_.synchronize();
  std::atomic_thread_fence(std::memory_order_acquire);
  const bool is_fault = *report != reported_good;
  *static_cast<std::int64_t*>(host()) = not_reported;
  if (is_fault) ++*fault_count_;
  return is_fault;
}

bool CudaFaultCheck::is_known_good(void* const* slots) const {
  if (!has_fixed_sources_) return false;
  void* const* const pointers = slots + first_slot;
  bool is_same = held_.size() == sources_.size();
  for (std::size_t i = 0; is_same && i < sources_.size(); ++i)
    is_same = held_[i] == sources_[i]->value().storage();
  if (!is_same) {
    held_.clear();
    for (SharedCell* source : sources_) held_.push_back(source->value().storage());
    good_.clear();
    return false;
  }
  return std::ranges::any_of(good_, [&](const std::vector<const void*>& known) {
    std::size_t at = 0;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (is_discrete(inputs_[i].dtype) && known[at++] != pointers[i]) return false;
    }
    return true;
  });
}

void CudaFaultCheck::note_good(void* const* pointers) const {
  constexpr std::size_t most_parts = 1024;
  if (good_.size() == most_parts) return;
  std::vector<const void*>& known = good_.emplace_back();
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (is_discrete(inputs_[i].dtype)) known.push_back(pointers[i]);
  }
}

void CudaFaultCheck::run(void** slots) const {
  if (is_known_good(slots)) return note_skipped();
  if (!cell_->take_fault(std::exchange(has_skipped_, false))) {
    if (has_fixed_sources_) note_good(slots + first_slot);
    return;
  }
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const Layout& layout = inputs_[i];
    auto* first = static_cast<std::byte*>(slots[first_slot + i]);
    if (!on_device_[i] || layout.shape.count() == 0) {
      inputs.push_back(Tensor::view(first, layout.dtype, layout.shape, layout.strides, nullptr));
      continue;
    }
    inputs.push_back(fetched_tensor(device_, first, layout));
  }
  node()->op().evaluate(*node(), inputs);
  throw InternalError(node_label(*node()) +
                      " met a value that it cannot work with, but the reference evaluator can");
}

Tensor fetched_tensor(const CudaDevice& device, const void* first, const Layout& layout) {
  if (layout.shape.count() == 0) return Tensor::empty(layout.shape, layout.dtype);
  const auto size = static_cast<std::int64_t>(size_of(layout.dtype));
  const Reach reach = reach_of(layout);
  const auto bytes = static_cast<std::size_t>((reach.high - reach.low + 1) * size);
  StorageRef fetched = make_host_storage(bytes);
  device.download(fetched->data(), static_cast<const std::byte*>(first) + reach.low * size, bytes);
  return Tensor(std::move(fetched), layout.dtype, layout.shape, layout.strides, -reach.low);
}

void UploadStep::run(void** slots) const { device_.upload(slots[first_slot + 1], slots[first_slot], bytes_); }

void DownloadStep::run(void** slots) const {
  void* to = slots[first_slot + 1];
  const void* from = slots[first_slot];
  if (bytes_ == 0) return;
  device_.make_current();
  CROTON_CUDA(cuMemcpyDtoHAsync, (to, device_address(from), bytes_, device_.stream()));
  if (waits) CROTON_CUDA(cuStreamSynchronize, (device_.stream()));
}

}  // namespace croton
