#include "croton/runtime/arguments.h"

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/nearest_names.h"
#include "croton/graph/op.h"

namespace croton {

namespace {

bool fits(const Tensor& argument, const TensorType& type, Device device) {
  if (!argument.defined() || argument.dtype() != type.dtype || argument.rank() != type.rank()) return false;
  for (std::size_t i = 0; i < type.shape.size(); ++i) {
    if (type.shape[i] != unknown && type.shape[i] != argument.shape()[i]) return false;
  }
  return argument.is_contiguous() &&
         (argument.on_host() || (!device.is_host() && argument.device() == device)) &&
         reinterpret_cast<std::uintptr_t>(argument.raw_data()) % size_of(type.dtype) == 0;
}

std::string name_of_input(const FunctionDefinition& definition, std::size_t position) {
  const Variable& variable = definition.inputs[position].variable();
  return fmt::format("argument {} (counted from 0) of function '{}', {}", position, definition.name,
                     describe(variable));
}

/// A value of `given` may be converted to `expected` without asking: no information can be lost, or it is a
/// single number as C++ literals are.
bool may_convert(const Tensor& argument, DType expected) {
  const DType given = argument.dtype();
  if (promote(given, expected) == expected) return true;
  if (argument.rank() != 0) return false;
  if (is_floating(given) && is_floating(expected)) return true;
  const Tensor there = argument.astype(expected);
  return equal(there.astype(given), argument);
}

std::string known_names(const FunctionDefinition& definition) {
  std::string text;
  std::size_t unnamed = 0;
  for (const In& input : definition.inputs) {
    if (input.variable().name().empty()) {
      ++unnamed;
      continue;
    }
    text += (text.empty() ? "" : ", ") + input.variable().name();
  }
  if (text.empty()) return "none of its inputs has a name";
  text = "its named inputs are " + text;
  if (unnamed > 0) text += fmt::format(", and {} have no name", unnamed);
  return text;
}

}  // namespace

void Arguments::start(std::size_t given) {
  const std::size_t count = definition_.inputs.size();
  if (given > count) {
    throw ValueError(fmt::format("function '{}' takes {} argument{}, got {}", definition_.name, count,
                                 count == 1 ? "" : "s", given));
  }
  if (count > few) {
    many_.resize(count);
    list_ = many_.data();
  }
  std::fill_n(list_, count, nullptr);
}

void Arguments::set(std::size_t position, const Tensor& argument) {
  const TensorType& type = definition_.graph->inputs()[position].node()->type();
  list_[position] = fits(argument, type, definition_.device) ? &argument : converted(position, argument);
}

const Tensor* Arguments::converted(std::size_t position, const Tensor& argument) {
  const TensorType& type = definition_.graph->inputs()[position].node()->type();
  const auto who = [&] { return name_of_input(definition_, position); };
  if (!argument.defined()) throw TypeError(who() + ": got an undefined tensor");
  if (argument.rank() != type.rank()) {
    throw TypeError(fmt::format("{}: wrong number of axes: expected {}, got {} with shape {}", who(),
                                type.rank(), argument.rank(), to_string(argument.shape())));
  }
  if (argument.dtype() != type.dtype && !definition_.allow_input_downcast &&
      !may_convert(argument, type.dtype)) {
    throw TypeError(fmt::format(
        "{}: expected {}, got {} with shape {}, which it does not hold without loss; convert with "
        "astype(DType::{}), or make the function with allow_input_downcast",
        who(), name_of(type.dtype), name_of(argument.dtype()), to_string(argument.shape()),
        name_of(type.dtype)));
  }
  if (!compatible({type.dtype, argument.shape()}, type)) {
    throw ShapeError(fmt::format("{}: expected shape {}, got {}", who(), to_string(type.shape),
                                 to_string(argument.shape())));
  }
  if (held_.empty()) held_.reserve(definition_.inputs.size());
  Tensor plain = argument.to_host().astype(type.dtype);
  const bool aligned = reinterpret_cast<std::uintptr_t>(plain.raw_data()) % size_of(type.dtype) == 0;
  held_.push_back(aligned ? plain.contiguous() : plain.copy());
  return &held_.back();
}

void Arguments::complete() {
  for (std::size_t i = 0; i < definition_.inputs.size(); ++i) {
    if (list_[i] != nullptr) continue;
    if (!definition_.inputs[i].value().defined()) {
      throw MissingInputError(
          fmt::format("{} was not given, and it has no default value", name_of_input(definition_, i)));
    }
    set(i, definition_.inputs[i].value());
  }
}

void Arguments::take(const Tensor* const* arguments, std::size_t count) {
  start(count);
  for (std::size_t i = 0; i < count; ++i) set(i, *arguments[i]);
  if (count < definition_.inputs.size()) complete();
}

void Arguments::take(std::span<const Tensor> arguments) {
  start(arguments.size());
  for (std::size_t i = 0; i < arguments.size(); ++i) set(i, arguments[i]);
  if (arguments.size() < definition_.inputs.size()) complete();
}

std::size_t Arguments::position_of(const NamedArgument& argument) const {
  const std::vector<In>& inputs = definition_.inputs;
  std::size_t found = inputs.size();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (argument.input()) {
      if (inputs[i].variable() == argument.input()) return i;
    } else if (inputs[i].variable().name() == argument.name() && !argument.name().empty()) {
      if (found < inputs.size()) {
        throw ValueError(
            fmt::format("function '{}': the name '{}' is ambiguous, inputs {} and {} have it; "
                        "give the variable itself or call by position",
                        definition_.name, argument.name(), found, i));
      }
      found = i;
    }
  }
  if (found < inputs.size()) return found;
  if (argument.input()) {
    throw ValueError(fmt::format("function '{}': {} is not among its inputs", definition_.name,
                                 describe(argument.input())));
  }
  std::vector<std::string_view> names;
  for (const In& input : inputs) names.push_back(input.variable().name());
  std::erase(names, std::string_view());
  throw ValueError(fmt::format("function '{}': unknown input '{}'{}; {}", definition_.name, argument.name(),
                               did_you_mean(argument.name(), names), known_names(definition_)));
}

void Arguments::take_named(std::span<const NamedArgument> arguments) {
  start(0);
  for (const NamedArgument& argument : arguments) {
    const std::size_t position = position_of(argument);
    if (list_[position] != nullptr) {
      throw ValueError(fmt::format("{} was given twice", name_of_input(definition_, position)));
    }
    set(position, argument.value());
  }
  complete();
}

}  // namespace croton
