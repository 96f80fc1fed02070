#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/lower.h"
#include "croton/graph/node.h"
#include "croton/ops/indexing.h"
#include "croton/runtime/library_step.h"

namespace croton {

/// One thing that a plan does. Immutable; several calls may run it at once, each on pointers of its own.
class Step {
 public:
  /// What stands at one of the step's pointers.
  struct Patch {
    std::uint32_t slot = 0;     // a pointer of the instance
    std::ptrdiff_t offset = 0;  // bytes from the memory's first to the pointer
  };

  explicit Step(const Node* node) : node_(node) {}
  virtual ~Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  /// `slots`: all pointers of the instance.
  virtual void run(void** slots) const = 0;
  /// "kernel", "oneDNN …", "reference", "view", "copy": for people.
  virtual std::string kind() const = 0;
  /// It may throw although it was planned for these shapes.
  virtual bool may_throw() const { return false; }
  /// How the node's inputs lie in memory, of steps that may throw.
  virtual std::vector<Layout> input_layouts() const { return {}; }
  /// Which of its pointers is that of the first of these; one an input behind it.
  virtual std::size_t first_input() const { return 0; }

  /// The node that it computes (together with other steps); null for copies that the plan adds.
  const Node* node() const { return node_; }
  /// Where its pointers begin.
  std::uint32_t first_slot = 0;

 private:
  const Node* node_;
};

/// Generated code.
class KernelStep : public Step {
 public:
  KernelStep(const Node* node, std::size_t kernel) : Step(node), kernel_position(kernel) {}
  void run(void** slots) const override { kernel->run(*pool, slots + first_slot); }
  std::string kind() const override { return "kernel"; }
  /// What comes before and after the kernel, for those who run it in their own way.
  virtual void start(void** /*slots*/) const {}
  virtual void finish(void** /*slots*/) const {}

  const std::size_t kernel_position;  // among those that are compiled together
  std::shared_ptr<const CompiledKernel> kernel;
  ThreadPool* pool = &ThreadPool::instance();
};

/// Generated code that tells when it meets a value it cannot work with; the reference evaluator then says
/// what is wrong. Pointers: those of the kernel, the node's inputs, the fault cell.
class FaultingKernelStep final : public KernelStep {
 public:
  FaultingKernelStep(const Node* node, std::size_t kernel, std::vector<Layout> inputs,
                     std::size_t kernel_pointers)
      : KernelStep(node, kernel), inputs_(std::move(inputs)), kernel_pointers_(kernel_pointers) {}
  void run(void** slots) const override;
  void start(void** slots) const override;
  void finish(void** slots) const override;
  bool may_throw() const override { return true; }
  std::vector<Layout> input_layouts() const override { return inputs_; }
  std::size_t first_input() const override { return kernel_pointers_; }

 private:
  std::int64_t& fault(void** slots) const {
    return *static_cast<std::int64_t*>(slots[first_slot + kernel_pointers_ + inputs_.size()]);
  }
  std::vector<Layout> inputs_;
  std::size_t kernel_pointers_;
};

/// A library call. Pointers: inputs, outputs, scratch.
class LibraryCallStep final : public Step {
 public:
  LibraryCallStep(const Node* node, std::unique_ptr<LibraryStep> call) : Step(node), call_(std::move(call)) {}
  void run(void** slots) const override { call_->run(slots + first_slot); }
  std::string kind() const override { return call_->description(); }

 private:
  std::unique_ptr<LibraryStep> call_;
};

/// The reference evaluator, for what neither generated code nor a library computes. Pointers: inputs, then
/// outputs. Allocates.
class ReferenceStep final : public Step {
 public:
  ReferenceStep(const Node* node, std::vector<Layout> inputs, std::vector<Layout> outputs)
      : Step(node), inputs_(std::move(inputs)), outputs_(std::move(outputs)) {}
  void run(void** slots) const override;
  std::string kind() const override { return "reference"; }
  bool may_throw() const override { return true; }
  std::vector<Layout> input_layouts() const override { return inputs_; }

 private:
  std::vector<Layout> inputs_;
  std::vector<Layout> outputs_;
};

/// Copies a tensor whose elements lie in the same order on both sides. Pointers: from, to.
class CopyStep final : public Step {
 public:
  CopyStep(const Node* node, std::size_t bytes) : Step(node), bytes_(bytes) {}
  void run(void** slots) const override;
  std::string kind() const override { return "copy"; }

 private:
  std::size_t bytes_;
};

/// A view whose place depends on run-time integers: finds the first element and writes it wherever the view
/// is used. Pointers: the viewed tensor, then the node's integers (int64).
class ViewStep final : public Step {
 public:
  ViewStep(const Node* node, const Layout& viewed, const Layout& view);
  void run(void** slots) const override;
  std::string kind() const override { return "view"; }
  bool may_throw() const override { return true; }
  std::vector<Layout> input_layouts() const override { return {viewed_}; }

  /// Pointers into the view.
  std::vector<Patch> patches;

 private:
  Layout viewed_;
  Layout view_;
  IndexPattern pattern_;
  std::size_t integer_count_;
};

}  // namespace croton
