#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "croton/graph/check_error.h"
#include "croton/graph/debugprint.h"
#include "croton/graph/flags.h"
#include "croton/graph/message.h"
#include "croton/graph/op.h"
#include "croton/graph/subgraph.h"
#include "croton/ops/transfer.h"
#include "croton/runtime/body_values.h"
#include "croton/runtime/node_observer.h"
#include "croton/runtime/node_text.h"

namespace croton {

namespace {

constexpr double big = 1e10;

class NanGuard final : public NodeObserver {
 public:
  NanGuard()
      : nan_(config().nan_is_error()),
        inf_(config().inf_is_error()),
        big_(config().big_is_error()),
        action_(config().nan_guard_action()) {}

  /// What nobody computes is looked at before it is used; what a node may write over is kept for the report.
  void before(const NodeCall& call) override {
    for (std::size_t i = 0; i < call.inputs.size(); ++i) {
      const Variable& input = call.node.input(i);
      if (!input.node()->is_leaf()) continue;
      // An infinite constant was written down by the user: a mask, a starting value of a maximum.
      if (input.is_constant()) continue;
      if (const auto found = look(call.inputs[i])) {
        report(fmt::format("{} in {}\n  used by {}", *found, operand_text(input, call.inputs[i]),
                           node_text(call.node)));
      }
    }
    thread_local_inputs().clear();
    for (const Tensor& input : call.inputs) thread_local_inputs().push_back(input.copy());
  }

  void after(const NodeCall& call) override {
    if (is_transfer(call.node.op())) return;  // what it copies has been looked at
    const std::vector<Tensor>& inputs = thread_local_inputs();
    for (std::size_t i = 0; i < call.outputs.size(); ++i) {
      const auto found = look(call.outputs[i]);
      if (!found) continue;
      return report(fmt::format("{} in output {} of {}\n  output: shape {}, {}", *found, i,
                                node_text(call.node), to_string(call.outputs[i].shape()),
                                statistics_text(call.outputs[i])) +
                    surroundings(call.node, inputs, inside(call.node, inputs).text));
    }
    // What appears inside of a fused node may vanish there again.
    const Inside hidden = inside(call.node, inputs);
    if (hidden.text.empty()) return;
    report(fmt::format("{} inside of {}", hidden.found, node_text(call.node)) +
           surroundings(call.node, inputs, hidden.text));
  }

 private:
  /// The inputs of the node that this thread is running, as they were before it ran.
  static std::vector<Tensor>& thread_local_inputs() {
    thread_local std::vector<Tensor> inputs;
    return inputs;
  }

  /// What is wrong with a value, in words.
  std::optional<std::string> look(const Tensor& value) const {
    if (!is_floating(value.dtype())) return std::nullopt;
    std::int64_t nans = 0, infinite = 0, large = 0;
    visit_dtype(value.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (const T& element : value.elements<const T>()) {
        const auto x = static_cast<double>(element);
        nans += std::isnan(x) ? 1 : 0;
        infinite += std::isinf(x) ? 1 : 0;
        large += std::isfinite(x) && std::abs(x) > big ? 1 : 0;
      }
    });
    if (nan_ && nans > 0) return fmt::format("NaN detected: {} of {} elements", nans, value.size());
    if (inf_ && infinite > 0) return fmt::format("Inf detected: {} of {} elements", infinite, value.size());
    if (big_ && large > 0) return fmt::format("Big value detected: {} of {} elements", large, value.size());
    return std::nullopt;
  }

  struct Inside {
    std::string found, text;  // empty: nothing
  };
  /// Which node of a fused body has it first.
  Inside inside(const Node& node, const std::vector<Tensor>& inputs) const {
    Inside result;
    const AttributeValue* attribute = node.attributes().find("body");
    if (attribute == nullptr) return result;
    const Subgraph& body = **std::get_if<std::shared_ptr<const Subgraph>>(attribute);
    const auto visit = [&](const Node& inner, std::span<const Tensor> operands, const Tensor& value) {
      if (!result.text.empty()) return;
      const auto found = look(value);
      if (!found) return;
      result.found = *found;
      result.text = fmt::format("\n  inside of the fused node first in {}", node_text(inner));
      for (std::size_t i = 0; i < operands.size(); ++i) {
        result.text += fmt::format("\n    operand {}: {}", i, operand_text(inner.input(i), operands[i]));
      }
    };
    for_each_body_value(body, inputs, visit);
    return result;
  }

  static std::string surroundings(const Node& node, const std::vector<Tensor>& inputs,
                                  const std::string& hidden) {
    std::string text;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      text += fmt::format("\n  input {}: {}", i, operand_text(node.input(i), inputs[i]));
    }
    text += hidden + "\n  the graph of the node:\n" +
            debugprint_text({node.output()}, {.depth = 3, .print_type = true});
    if (text.ends_with('\n')) text.pop_back();
    return text;
  }

  void report(const std::string& text) const {
    if (action_ == NanGuardAction::raise) throw NanGuardError(text);
    send_message(Severity::warning, text);
  }

  bool nan_, inf_, big_;
  NanGuardAction action_;
};

}  // namespace

std::shared_ptr<NodeObserver> make_nan_guard() { return std::make_shared<NanGuard>(); }

}  // namespace croton
