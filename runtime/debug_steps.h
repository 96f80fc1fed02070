#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "croton/runtime/node_observer.h"

namespace croton {

class CompiledKernel;

/// Something wrong with one step of a plan, the worst first.
struct StepFault {
  enum class Kind : std::uint8_t {
    stray_write,      // outside of the buffers of the step
    destroyed_input,  // over an input that the op does not list
    hidden_alias,     // the reference result is an input's memory, which the op does not list
    race,             // ranges of a parallel loop depend on each other
    uninitialised,    // the result follows what the memory held before
    not_repeatable,   // twice the same gives two results
    wrong_value,      // differs from the reference evaluator
    not_finite,       // NaN or infinite from finite inputs: the flag DebugMode.check_finite
  };
  Kind kind = Kind::wrong_value;
  const Node* node = nullptr;
  std::size_t position = 0;
  std::string text;
};

/// Looks at one run of a plan made with guards: fills the memory with a pattern, runs the ranges of every
/// kernel's loops apart from each other and in another order, watches what each step writes, and compares
/// every node with the reference evaluator. Collects faults, throws none.
class StepChecker final : public NodeObserver {
 public:
  struct Options {
    /// What fills the memory: 0 is all ones (NaN), others are random bits.
    std::uint64_t pattern = 0;
    /// Most ranges that a parallel loop is cut into.
    int ranges = 2;
    /// Memory beside the arena that no step may write: arguments, shared values.
    std::span<std::byte> outside;
  };
  explicit StepChecker(const Options& options) : options_(options) {}

  void begin(const Plan& plan, std::span<const ArenaMemory> arenas) override;
  void before(const NodeCall& call) override;
  void after(const NodeCall& call) override;
  void run(const Step& step, void** slots, std::size_t end) override;

  struct Result {
    const Node* node = nullptr;
    std::string kind;  // of the step that computed it
    std::vector<Tensor> outputs;
  };
  /// By the position of the node.
  const std::map<std::size_t, Result>& results() const { return results_; }
  const std::vector<StepFault>& faults() const { return faults_; }

 private:
  void run_kernel(const KernelStep& step, void** slots);
  void run_phase(const KernelStep& step, void* const* buffers, std::size_t phase);
  struct Watched {
    ArenaMemory arena;
    std::vector<std::byte> before, now;  // `now` of what lies on a device
  };
  std::span<const std::byte> contents(Watched& watched) const;
  void look_at_writes(const Step& step, void* const* pointers, std::size_t count);
  bool look_at_arena(const Step& step, void* const* pointers, std::size_t count, Watched& watched);
  void add(StepFault::Kind kind, const Node* node, std::string text);

  Options options_;
  const Plan* plan_ = nullptr;
  std::span<std::byte> arena_;  // the host's
  std::vector<Watched> watched_;
  std::vector<std::byte> outside_before_;
  std::vector<Tensor> inputs_;  // of the node that runs, as they were before
  std::string kind_;
  std::size_t position_ = 0;
  std::map<std::size_t, Result> results_;
  std::vector<StepFault> faults_;
};

}  // namespace croton
