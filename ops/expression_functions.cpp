// The table of functions that expressions call: every elementwise row, and a row for each other function.

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/expression_call.h"

namespace croton::expression {
namespace {

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// "sum(x, axis=none, *more)": name and parameters.
Function from_signature(std::string_view signature) {
  Function function;
  const std::size_t open = signature.find('(');
  function.name = signature.substr(0, open);
  function.signature = signature;
  std::string_view rest = signature.substr(open + 1, signature.size() - open - 2);
  while (!rest.empty()) {
    std::size_t end = 0;
    for (int depth = 0; end < rest.size() && (rest[end] != ',' || depth > 0); ++end)
      depth += rest[end] == '(' ? 1 : rest[end] == ')' ? -1 : 0;
    std::string_view text = trimmed(rest.substr(0, end));
    rest = rest.substr(std::min(end + 1, rest.size()));
    Parameter parameter;
    if (text.starts_with('*')) {
      parameter.rest = true;
      text.remove_prefix(1);
    }
    const std::size_t equals = text.find('=');
    parameter.name = text.substr(0, equals);
    if (equals != std::string_view::npos) parameter.otherwise = literal(text.substr(equals + 1));
    function.parameters.push_back(std::move(parameter));
  }
  return function;
}

Function from_elementwise(const ElementwiseOp& op) {
  static constexpr std::string_view operands[] = {"a", "b", "c"};
  const ElementwiseRow& row = op.row();
  std::string signature = std::string(row.name) + '(';
  for (int i = 0; i < row.arity; ++i) {
    if (i > 0) signature += ", ";
    signature += row.arity == 1       ? "x"
                 : row.name == "clip" ? (i == 0   ? "x"
                                         : i == 1 ? "low"
                                                  : "high")
                                      : operands[i];
  }
  if (row.variadic) signature += ", *more";
  Function function = from_signature(signature + ')');
  function.doc = row.doc;
  function.run = [&op](const Call& call) -> Value {
    std::vector<Operand> values;
    for (const Parameter& parameter : find_function(op.row().name)->parameters) {
      if (!parameter.rest) {
        values.push_back(call.operand(parameter.name));
        continue;
      }
      for (const Operand& more : call.operands(parameter.name)) values.push_back(more);
    }
    return {apply_elementwise(op, values)};
  };
  return function;
}

std::vector<Function> make_functions() {
  std::vector<Function> list;
  for (const auto& rows : {tensor_functions(), network_functions(), gradient_functions()}) {
    for (const FunctionRow& row : rows) {
      Function function = from_signature(row.signature);
      function.doc = row.doc;
      function.run = row.run;
      list.push_back(std::move(function));
    }
  }
  // A function with a row of its own takes more than operands: cast its dtype.
  const auto has_own_row = [&, own = list.size()](std::string_view name) {
    return std::any_of(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(own),
                       [&](const Function& f) { return f.name == name; });
  };
  for (const ElementwiseOp* op : elementwise_ops()) {
    if (!has_own_row(op->row().name)) list.push_back(from_elementwise(*op));
  }
  std::sort(list.begin(), list.end(), [](const Function& a, const Function& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(
      list.begin(), list.end(), [](const Function& a, const Function& b) { return a.name == b.name; });
  if (twice != list.end())
    throw InternalError(fmt::format("two functions of expressions are called '{}'", twice->name));
  return list;
}

}  // namespace

const std::vector<Function>& functions() {
  static const std::vector<Function> list = make_functions();
  return list;
}

const Function* find_function(std::string_view name) {
  const std::vector<Function>& list = functions();
  const auto entry = std::lower_bound(list.begin(), list.end(), name,
                                      [](const Function& f, std::string_view n) { return f.name < n; });
  return entry != list.end() && entry->name == name ? &*entry : nullptr;
}

}  // namespace croton::expression
