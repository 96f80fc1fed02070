#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "croton/graph/shared_variable.h"
#include "croton/runtime/cuda_kernels.h"
#include "croton/runtime/cuda_library_step.h"
#include "croton/runtime/step.h"

namespace croton {

/// What a plan does on a device: it is enqueued, and done later. The device's context is current, its mutex
/// held.
class CudaStep : public Step {
 public:
  CudaStep(const Node* node, CudaDevice& device) : Step(node), device_(device) {}
  void run(void** slots) const final {
    device_.make_current();
    enqueue(slots + first_slot, nullptr);
  }

  /// `nodes`: while the stream is captured, gets the graph's node of every launch whose pointers can be
  /// exchanged later; null otherwise.
  virtual void enqueue(void* const* pointers, std::vector<CUgraphNode>* nodes) const = 0;
  /// Pointers can be exchanged in a captured graph.
  virtual bool is_exchangeable() const { return true; }
  /// Exchanges the pointers in a captured graph; `nodes` as enqueue gave them. False where the driver cannot.
  virtual bool exchange(CUgraphExec graph, std::span<const CUgraphNode> nodes, void* const* pointers) const;

  CudaDevice& device() const { return device_; }

  /// How many steps on devices before it those are that it waits for in a recorded graph.
  std::vector<std::uint32_t> waits_for{1};
  /// In a recorded graph its blocks are started before those of what runs beside it.
  bool goes_first = false;
  bool waits_for_previous() const { return waits_for.size() == 1 && waits_for.front() == 1; }

 protected:
  /// The node that the last call of the driver added to the captured graph.
  void note_node(std::vector<CUgraphNode>* nodes) const;

 private:
  CudaDevice& device_;
};

/// The nodes of the graph that what a captured stream gets next will wait for.
std::span<const CUgraphNode> captured_end(CUstream stream);

/// Generated code.
class CudaKernelStep final : public CudaStep {
 public:
  /// `more`: how many nodes' code stands behind that of `node` in the kernel.
  CudaKernelStep(const Node* node, CudaDevice& device, std::size_t kernel, std::size_t more = 0)
      : CudaStep(node, device), kernel_position(kernel), more_(more) {}
  void enqueue(void* const* pointers, std::vector<CUgraphNode>* nodes) const override;
  bool exchange(CUgraphExec graph, std::span<const CUgraphNode> nodes, void* const* pointers) const override;
  std::string kind() const override;

  const std::size_t kernel_position;  // among the device's that are compiled together
  std::shared_ptr<const LoadedCudaKernel> kernel;

 private:
  std::size_t more_;
};

/// A library call. Pointers: inputs, outputs, scratch.
class CudaLibraryCallStep final : public CudaStep {
 public:
  CudaLibraryCallStep(const Node* node, CudaDevice& device, std::unique_ptr<CudaLibraryStep> call)
      : CudaStep(node, device), call_(std::move(call)) {}
  void enqueue(void* const* pointers, std::vector<CUgraphNode>*) const override {
    call_->run(pointers, device().stream());
  }
  bool is_exchangeable() const override { return false; }
  bool is_exclusive() const { return call_->is_exclusive(); }
  std::string kind() const override { return call_->description(); }

 private:
  std::unique_ptr<CudaLibraryStep> call_;
};

/// Copies within the device. Pointers: from, to.
class CudaCopyStep final : public CudaStep {
 public:
  CudaCopyStep(const Node* node, CudaDevice& device, std::size_t bytes)
      : CudaStep(node, device), bytes_(bytes) {}
  void enqueue(void* const* pointers, std::vector<CUgraphNode>* nodes) const override;
  bool exchange(CUgraphExec graph, std::span<const CUgraphNode> nodes, void* const* pointers) const override;
  std::string kind() const override { return "CUDA copy"; }

 private:
  std::size_t bytes_;
};

/// Where the host learns whether kernels have met a value that they cannot work with. They leave word in
/// memory of the device; the fault_report_kernel behind them writes here what it finds there. A
/// CudaFaultCheck reads it.
class CudaFaultCell {
 public:
  /// `fault_count`: of all cells of a plan, of which a call that fails may leave some unread.
  CudaFaultCell(CudaDevice& device, std::shared_ptr<std::uint64_t> fault_count);
  /// What the report is written to.
  void* host() const { return host_->data(); }
  /// Waits; whether a kernel left word. `is_stale`: a report that lies there may be that of an earlier call.
  bool take_fault(bool is_stale);

 private:
  const CudaDevice& device_;
  StorageRef host_;  // one int64, pinned
  std::shared_ptr<std::uint64_t> fault_count_;
  std::uint64_t seen_faults_ = 0;
};

/// The report's numbers.
enum CudaFaultReport : std::int64_t { not_reported = 0, reported_good = 1, reported_fault = 2 };

/// Buffers: the word that kernels leave (int64, 0 or not), which is taken back; the report.
Kernel fault_report_kernel();

/// Waits for a fault cell; where a kernel left word, the reference evaluator says what is wrong. Pointers:
/// the node's inputs (on the device or the host).
///
/// What a kernel cannot work with is an integer (a label, an index). Where these are parts of shared
/// variables that the function does not change, a part that was found good once is not waited for again.
class CudaFaultCheck final : public Step {
 public:
  CudaFaultCheck(const Node* node, CudaDevice& device, std::shared_ptr<CudaFaultCell> cell,
                 std::vector<Layout> inputs, std::vector<bool> on_device)
      : Step(node),
        device_(device),
        cell_(std::move(cell)),
        inputs_(std::move(inputs)),
        on_device_(std::move(on_device)) {}
  /// The inputs that hold integers are constants and parts of these variables, which are locked in a call.
  void set_sources(std::vector<SharedCell*> sources) {
    has_fixed_sources_ = true;
    sources_ = std::move(sources);
  }
  /// Whether values that were found good may be known again.
  bool has_fixed_sources() const { return has_fixed_sources_; }
  /// What it looks at now is known to be good.
  bool is_known_good(void* const* slots) const;
  /// It does not run in this call.
  void note_skipped() const { has_skipped_ = true; }
  void run(void** slots) const override;
  std::string kind() const override { return "fault check"; }
  bool may_throw() const override { return true; }
  std::vector<Layout> input_layouts() const override { return inputs_; }

 private:
  void note_good(void* const* pointers) const;

  CudaDevice& device_;
  std::shared_ptr<CudaFaultCell> cell_;
  std::vector<Layout> inputs_;
  std::vector<bool> on_device_;
  bool has_fixed_sources_ = false;
  std::vector<SharedCell*> sources_;
  // The device's mutex guards these. A storage that is held is not written over by anybody.
  mutable std::vector<StorageRef> held_;                // of the sources, as they were when parts were noted
  mutable std::vector<std::vector<const void*>> good_;  // the addresses of the inputs that hold integers
  mutable bool has_skipped_ = false;                    // the cell on the host is that of an earlier call
};

/// Copies contiguous memory of the host to a device. Pointers: from, to.
class UploadStep final : public Step {
 public:
  UploadStep(const Node* node, CudaDevice& device, std::size_t bytes)
      : Step(node), device_(device), bytes_(bytes) {}
  void run(void** slots) const override;
  std::string kind() const override { return "upload"; }

 private:
  CudaDevice& device_;
  std::size_t bytes_;
};

/// Copies contiguous memory of a device to the host. Pointers: from, to.
class DownloadStep final : public Step {
 public:
  DownloadStep(const Node* node, CudaDevice& device, std::size_t bytes)
      : Step(node), device_(device), bytes_(bytes) {}
  void run(void** slots) const override;
  std::string kind() const override { return waits ? "download" : "download (not waited for)"; }
  bool may_throw() const override { return waits; }

  /// Off where the memory is a result, whose reader waits.
  bool waits = true;

 private:
  CudaDevice& device_;
  std::size_t bytes_;
};

/// Copies contiguous memory from one device to another. Pointers: from, to.
class PeerCopyStep final : public Step {
 public:
  PeerCopyStep(const Node* node, CudaDevice& from, CudaDevice& to, std::size_t bytes)
      : Step(node), copy_(from, to), bytes_(bytes) {}
  void run(void** slots) const override { copy_.run(slots[first_slot + 1], slots[first_slot], bytes_); }
  std::string kind() const override { return "peer copy"; }

 private:
  PeerCopy copy_;
  std::size_t bytes_;
};

/// A tensor of the host with what lies on a device at `first` (the first element), strided as there. Waits.
Tensor fetched_tensor(const CudaDevice& device, const void* first, const Layout& layout);

}  // namespace croton
