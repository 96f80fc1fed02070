#include "croton/graph/test_value.h"

#include <fmt/format.h>

#include <shared_mutex>

#include "croton/graph/check_error.h"
#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/message.h"
#include "croton/graph/op.h"
#include "croton/graph/shared_variable.h"

namespace croton {

namespace {

thread_local int suspended = 0;

std::string place_of(const Node& node) {
  std::string text = node.op().name();
  if (node.where().known()) text += fmt::format(", made at {}", to_string(node.where()));
  return text;
}

[[noreturn]] void rethrow_with_values(const Node& node, std::span<const Tensor> values) {
  std::string context = fmt::format("\n  with test values, in {}", place_of(node));
  for (std::size_t i = 0; i < values.size(); ++i) {
    context += fmt::format("\n  operand {}: {}, test value of shape {}", i, describe(node.input(i)),
                           to_string(values[i].shape()));
  }
#define CROTON_RETHROW(Type)        \
  catch (const Type& e) {           \
    throw Type(e.what() + context); \
  }
  try {
    throw;
  }
  CROTON_RETHROW(ShapeError)
  CROTON_RETHROW(IndexError)
  CROTON_RETHROW(ValueError)
  CROTON_RETHROW(TypeError)
  CROTON_RETHROW(AssertionError)
#undef CROTON_RETHROW
}

}  // namespace

NoTestValues::NoTestValues() { ++suspended; }
NoTestValues::~NoTestValues() { --suspended; }

void compute_test_value(Node& node) {
  const ComputeTestValue policy = config().compute_test_value();
  if (policy == ComputeTestValue::off || suspended > 0) return;
  std::vector<Tensor> values;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    values.push_back(node.input(i).test_value());
    if (values.back().defined()) continue;
    if (policy == ComputeTestValue::ignore) return;
    const std::string message = fmt::format(
        "no test value for operand {} of {}: {} has none; give it one with set_test_value, or set "
        "compute_test_value to ignore",
        i, place_of(node), describe(node.input(i)));
    if (policy == ComputeTestValue::raise) throw ValueError(message);
    warn_once(message);
    return;
  }
  std::vector<Tensor> results;
  try {
    results = node.op().evaluate(node, values);
  } catch (const Error&) {
    rethrow_with_values(node, values);
  }
  for (std::size_t i = 0; i < results.size(); ++i) node.output(i).set_test_value(results[i]);
}

Variable& Variable::set_test_value(const Tensor& value) {
  const TensorType is{value.dtype(), value.shape()};
  if (value.dtype() != dtype() || value.rank() != rank()) {
    throw TypeError(fmt::format("the test value of {} is {}", describe(*this), to_string(is)));
  }
  if (!compatible(is, type())) {
    throw ShapeError(
        fmt::format("the test value of {} has the shape {}", describe(*this), to_string(value.shape())));
  }
  node_->outputs_[output_].test_value = std::make_shared<const Tensor>(value);
  return *this;
}

Tensor Variable::test_value() const {
  if (const auto& set = node_->outputs_[output_].test_value) return *set;
  if (is_constant()) return constant_value();
  if (is_shared()) {
    const std::shared_lock lock(node_->cell()->mutex());
    return node_->cell()->value().copy();
  }
  return {};
}

}  // namespace croton
