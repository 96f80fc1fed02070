#include "croton/graph/shared_variable.h"

#include <fmt/format.h>

#include <mutex>

#include "croton/graph/error.h"
#include "croton/graph/function_graph.h"
#include "croton/graph/node.h"
#include "croton/graph/op.h"

namespace croton {

Variable SharedCell::default_update(const Variable& variable) const {
  if (!default_update_) return {};
  return clone(std::span(&default_update_, 1), {{itself_, variable}})[0];
}

void SharedCell::set_default_update(const Variable& expression, const Variable& variable) {
  itself_ = Variable(Node::make_input(variable.type(), variable.name(), variable.node()->where()));
  default_update_ = clone(std::span(&expression, 1), {{variable, itself_}})[0];
}

SharedVariable::SharedVariable(const Variable& variable) : Variable(variable) {
  if (!variable.is_shared()) throw TypeError(describe(variable) + " is not a shared variable");
}

const std::shared_ptr<SharedCell>& SharedVariable::cell() const {
  type();  // refuses an empty handle
  return node()->cell();
}

Tensor SharedVariable::get_value(bool borrow) const {
  SharedCell& state = *cell();
  const std::shared_lock lock(state.mutex());
  return borrow && state.value().device().is_host() ? state.value() : state.value().copy();
}

void SharedVariable::set_value(const Tensor& value, bool borrow) {
  SharedCell& state = *cell();
  const TensorType& expected = type();
  if (!value.defined()) throw TypeError("set_value of " + describe(*this) + " was given an undefined tensor");
  if (value.rank() != expected.rank()) {
    throw TypeError(fmt::format("set_value of {}: expected {} axes, got {} with shape {}", describe(*this),
                                expected.rank(), value.rank(), to_string(value.shape())));
  }
  if (value.dtype() != expected.dtype && promote(value.dtype(), expected.dtype) != expected.dtype) {
    throw TypeError(
        fmt::format("set_value of {}: {} does not fit into {} without loss; convert with astype first",
                    describe(*this), name_of(value.dtype()), name_of(expected.dtype)));
  }
  if (!compatible({expected.dtype, value.shape()}, expected)) {
    throw ShapeError(fmt::format("set_value of {}: got shape {}; the variable's shape is fixed",
                                 describe(*this), to_string(value.shape())));
  }
  Tensor copy =
      value.dtype() == expected.dtype ? (borrow ? value : value.copy()) : value.astype(expected.dtype);
  const std::unique_lock lock(state.mutex());
  state.value() = std::move(copy);
}

void SharedVariable::set_default_update(const Variable& expression) {
  if (!compatible(expression.type(), type())) {
    throw TypeError(
        fmt::format("the default update of {} has type {}", describe(*this), to_string(expression.type())));
  }
  cell()->set_default_update(expression, *this);
}

SharedVariable shared(const Tensor& value, std::string name, const SharedOptions& options,
                      std::source_location where) {
  if (!value.defined()) throw TypeError("shared() was given an undefined tensor");
  TensorType type{value.dtype(), Shape::filled(value.shape().size(), unknown)};
  if (options.shape) {
    type.shape = *options.shape;
    if (!compatible(type, {value.dtype(), value.shape()})) {
      throw ShapeError(fmt::format("shared('{}'): the value's shape {} is not of the declared shape {}", name,
                                   to_string(value.shape()), to_string(*options.shape)));
    }
  }
  std::optional<Device> target;
  if (!options.target.empty()) {
    try {
      target = Device::from_name(options.target);
    } catch (const ValueError& error) {
      throw ValueError(fmt::format("shared('{}'): the target {}", name, error.what()));
    }
  }
  auto cell = std::make_shared<SharedCell>(options.borrow ? value : value.copy(), target);
  Variable variable(Node::make_shared(std::move(cell), std::move(type), where));
  variable.set_name(std::move(name));
  return SharedVariable(variable);
}

}  // namespace croton
