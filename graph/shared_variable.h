#pragma once

#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>

#include "croton/graph/tensor.h"
#include "croton/graph/variable.h"

namespace croton {

/// The state behind a shared variable, common to every function that uses it.
class CROTON_API SharedCell {
 public:
  explicit SharedCell(Tensor value, std::optional<Device> target = {})
      : value_(std::move(value)), target_(target) {}

  /// Where the value shall lie; wherever functions use it when nothing was said.
  const std::optional<Device>& target() const { return target_; }

  /// Functions that only read the value hold this shared, those that update it exclusively, for a whole call.
  /// Several cells are locked in the order of their addresses.
  std::shared_mutex& mutex() { return mutex_; }
  /// The value itself, not a copy: hold the mutex.
  Tensor& value() { return value_; }
  /// An expression that every function using the variable applies as its update; empty for none. `variable`
  /// is the one that holds this state.
  Variable default_update(const Variable& variable) const;
  void set_default_update(const Variable& expression, const Variable& variable);

 private:
  std::shared_mutex mutex_;
  Tensor value_;
  const std::optional<Device> target_;
  // The variable itself is an input in it: an expression that held the variable would keep its own state
  // alive.
  Variable default_update_, itself_;
};

/// A variable with a value that outlives calls. Its dtype and rank are fixed; its extents may change with
/// set_value or an update unless the constructor was given a shape.
class CROTON_API SharedVariable : public Variable {
 public:
  SharedVariable() = default;
  explicit SharedVariable(const Variable& variable);  // TypeError unless it is shared

  /// A copy of the value on the host; with borrow the storage itself where it is on the host.
  Tensor get_value(bool borrow = false) const;
  /// Replaces the value (copied unless borrow) for every function. TypeError on another dtype or rank (an
  /// integer or narrower value is converted where no information can be lost), ShapeError where the type
  /// fixes extents.
  void set_value(const Tensor& value, bool borrow = false);
  void set_default_update(const Variable& expression);
  const std::shared_ptr<SharedCell>& cell() const;
};

struct SharedOptions {
  std::optional<Shape> shape = {};  // fixes extents in the type; `unknown` entries stay open
  bool borrow = false;
  /// Where the value lies: "cpu", "cuda", "cuda1". What is computed from it is computed there, whatever
  /// device the function is for. Empty: where the functions that use it compute.
  std::string target = {};
};

/// A shared variable holding `value`: dtype and rank of the value, extents unknown to the type unless
/// options.shape says otherwise. A C++ number gives a scalar of floatX (floating) or int64.
CROTON_API SharedVariable shared(const Tensor& value, std::string name = "",
                                 const SharedOptions& options = {},
                                 std::source_location where = std::source_location::current());

}  // namespace croton
