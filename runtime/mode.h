#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "croton/graph/export.h"
#include "croton/graph/flags.h"
#include "croton/graph/node.h"
#include "croton/graph/tensor.h"
#include "croton/optimizer/query.h"

namespace croton {

/// A node of the specialised graph while a function runs.
struct NodeCall {
  const Node& node;
  /// In the order in which the nodes of the plan run, from 0 on.
  std::size_t position = 0;
  /// Views of the memory that the node works on: valid during the callback only. An input that the node
  /// computes in place holds the result afterwards.
  std::span<const Tensor> inputs;
  /// Empty before the node has run.
  std::span<const Tensor> outputs;
};
using NodeCallback = std::function<void(const NodeCall&)>;
/// What MonitorMode calls; either may be empty.
struct Monitor {
  NodeCallback before;
  NodeCallback after;
};

/// How a function is compiled: a level of effort, and the names or tags of rewrites and implementations that
/// are added, left out or demanded on top of what the flags say. Immutable; each call gives a changed copy.
///
///     function({x}, y, {.mode = default_mode().including("conv_fft")});
class CROTON_API Mode {
 public:
  /// The level, with what the flags of Query::from_flags say at this moment.
  Mode(ModeName name);
  /// "FAST_RUN", "FAST_COMPILE", "None", "DebugMode", "NanGuardMode" or "MonitorMode". FlagError, with the
  /// nearest names, for another text.
  Mode(std::string_view name);
  Mode(const char* name) : Mode(std::string_view(name)) {}

  /// Several names or tags have ':' between. FlagError, with the nearest ones, for an unknown one.
  Mode including(std::string_view names) const { return with(query_.including(names)); }
  /// Beats including.
  Mode excluding(std::string_view names) const { return with(query_.excluding(names)); }
  /// A rewrite must have one of these names or tags to run.
  Mode requiring(std::string_view names) const { return with(query_.requiring(names)); }

  ModeName name() const { return query_.mode(); }
  const Query& query() const { return query_; }
  /// Whether every node is looked at while a function runs: DebugMode, NanGuardMode, MonitorMode.
  bool is_checking() const;
  /// The mode as text: "FAST_RUN", "DebugMode", …
  std::string_view text() const;
  /// The callbacks of monitor_mode(), else null.
  const std::shared_ptr<const Monitor>& monitor() const { return monitor_; }

 private:
  friend CROTON_API Mode monitor_mode(NodeCallback before, NodeCallback after);
  Mode with(Query query) const {
    Mode mode = *this;
    mode.query_ = std::move(query);
    return mode;
  }
  Query query_;
  std::shared_ptr<const Monitor> monitor_;
};

/// FAST_RUN with callbacks around every node. An exception from a callback ends the call. Without callbacks
/// (the mode "MonitorMode") every node is reported as a message: its shapes, its smallest and largest value.
CROTON_API Mode monitor_mode(NodeCallback before, NodeCallback after);

/// The mode that the flag `mode` names.
CROTON_API Mode default_mode();

}  // namespace croton
