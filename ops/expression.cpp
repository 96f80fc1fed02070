#include "croton/ops/expression.h"

#include <algorithm>

#include "croton/ops/elementwise.h"
#include "croton/ops/expression_call.h"

namespace croton {
namespace {

using expression::Source;
using expression::Value;

void collect(const Value& value, const Source& source, std::vector<Variable>& variables) {
  if (const auto* list = value.as<Value::List>()) {
    const bool of_tensors = std::any_of(list->begin(), list->end(),
                                        [](const Value& item) { return item.as<Variable>() != nullptr; });
    if (of_tensors) {
      for (const Value& item : *list) collect(item, source, variables);
      return;
    }
  }
  const Operand operand = to_operand(value, source, 0, "the result");
  variables.push_back(operand.is_weak() ? as_variable(operand) : operand.variable());
}

}  // namespace

std::vector<Variable> parse_expression(std::string_view text, std::span<const Variable> variables,
                                       std::string_view source_name) {
  const Source source{text, source_name};
  std::vector<Variable> results;
  collect(expression::evaluate(source, variables), source, results);
  return results;
}

std::vector<ExpressionFunctionInfo> expression_functions() {
  std::vector<ExpressionFunctionInfo> infos;
  for (const expression::Function& function : expression::functions())
    infos.push_back({function.name, function.signature, function.doc});
  return infos;
}

}  // namespace croton
