#include <fmt/format.h>

#include "croton/graph/message.h"
#include "croton/runtime/node_observer.h"
#include "croton/runtime/node_text.h"

namespace croton {

namespace {

void report_node(const NodeCall& call) {
  std::string text = fmt::format("{}: {}", call.position, node_text(call.node));
  for (const Tensor& output : call.outputs) {
    text += fmt::format("\n  {}: {}", to_string(TensorType{output.dtype(), output.shape()}),
                        statistics_text(output));
  }
  send_message(Severity::info, text);
}

class MonitorObserver final : public NodeObserver {
 public:
  explicit MonitorObserver(std::shared_ptr<const Monitor> monitor) : monitor_(std::move(monitor)) {}
  void before(const NodeCall& call) override {
    if (monitor_ != nullptr && monitor_->before) monitor_->before(call);
  }
  void after(const NodeCall& call) override {
    if (monitor_ == nullptr) {
      report_node(call);
    } else if (monitor_->after) {
      monitor_->after(call);
    }
  }

 private:
  std::shared_ptr<const Monitor> monitor_;
};

}  // namespace

std::shared_ptr<NodeObserver> make_monitor(std::shared_ptr<const Monitor> monitor) {
  return std::make_shared<MonitorObserver>(std::move(monitor));
}

}  // namespace croton
