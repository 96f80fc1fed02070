#include "croton/graph/variable.h"

#include "croton/graph/error.h"
#include "croton/graph/node.h"
#include "croton/graph/op.h"

namespace croton {

Variable::Variable(Ref<Node> node, std::uint32_t output) : node_(std::move(node)), output_(output) {}
Variable::Variable(const Variable&) = default;
Variable::Variable(Variable&&) noexcept = default;
Variable& Variable::operator=(const Variable&) = default;
Variable& Variable::operator=(Variable&&) noexcept = default;
Variable::~Variable() = default;

namespace {

const Node& node_of(const Variable& variable) {
  if (!variable) throw TypeError("an empty Variable was used: give it an expression or an input first");
  return *variable.node();
}

}  // namespace

const TensorType& Variable::type() const { return node_of(*this).type(output_); }
const std::string& Variable::name() const { return node_of(*this).name(output_); }

Variable& Variable::set_name(std::string name) {
  node_of(*this);
  node_->outputs_[output_].name = std::move(name);
  return *this;
}

bool Variable::is_constant() const { return node_of(*this).kind() == Node::Kind::constant; }
bool Variable::is_shared() const { return node_of(*this).kind() == Node::Kind::shared; }
bool Variable::is_input() const { return node_of(*this).kind() == Node::Kind::input; }

const Tensor& Variable::constant_value() const {
  if (!is_constant())
    throw InternalError("constant_value() of " + describe(*this) + ", which is no constant");
  return node_->value();
}

Operand::Operand(const Variable& variable, std::source_location where) : variable_(variable), where_(where) {}
Operand::Operand(const Tensor& value, std::source_location where)
    : variable_(constant(value, where)), where_(where) {}
Operand::Operand(double value, std::source_location where)
    : variable_(constant(Tensor(value), where)), weak_(true), where_(where) {}
Operand::Operand(float value, std::source_location where) : Operand(static_cast<double>(value), where) {}
Operand::Operand(bool value, std::source_location where)
    : variable_(constant(Tensor(value), where)), weak_(true), where_(where) {}
Operand::Operand(IntegerTag, std::int64_t value, std::source_location where)
    : variable_(constant(Tensor(value), where)), weak_(true), where_(where) {}

}  // namespace croton
