#include <algorithm>
#include <list>
#include <mutex>

#include "croton/graph/error.h"
#include "croton/graph/nearest_names.h"
#include "croton/graph/op.h"
#include "croton/runtime/function.h"

namespace croton {

namespace {

/// The functions that eval made last, by expression and inputs. They keep their graphs alive.
class EvalCache {
 public:
  static constexpr std::size_t most_functions = 32;

  Function get(const Variable& expression, const std::vector<Variable>& inputs) {
    const std::lock_guard guard(mutex_);
    const auto entry = std::ranges::find_if(
        entries_, [&](const Entry& e) { return e.expression == expression && e.inputs == inputs; });
    if (entry != entries_.end()) {
      entries_.splice(entries_.begin(), entries_, entry);
      return entry->function;
    }
    const std::vector<In> list(inputs.begin(), inputs.end());
    Function made = function(list, expression, {.name = "eval"});
    entries_.push_front({expression, inputs, made});
    if (entries_.size() > most_functions) entries_.pop_back();
    return made;
  }

 private:
  struct Entry {
    Variable expression;
    std::vector<Variable> inputs;
    Function function;
  };
  std::mutex mutex_;
  std::list<Entry> entries_;
};

EvalCache& cache() {
  // Not destroyed: its functions may outlive other static objects that they need.
  static EvalCache& instance = *new EvalCache;
  return instance;
}

/// The input of that name that the expression depends on.
Variable input_called(const Variable& expression, std::string_view name) {
  std::vector<Variable> found;
  std::vector<std::string_view> names;
  const auto visit = [&](const Variable& v) {
    if (!v.is_input()) return;
    if (!v.name().empty()) names.push_back(v.name());
    if (v.name() == name && std::ranges::find(found, v) == found.end()) found.push_back(v);
  };
  visit(expression);
  for (const Node* node : topological_order(std::span(&expression, 1))) {
    for (const Variable& input : node->inputs()) visit(input);
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    throw ValueError("eval of " + describe(expression) + ": no input is called '" + std::string(name) + "'" +
                     did_you_mean(name, names));
  }
  throw ValueError("eval of " + describe(expression) + ": several inputs are called '" + std::string(name) +
                   "'; give the variable itself");
}

}  // namespace

Tensor eval(const Variable& expression, std::span<const NamedArgument> values) {
  if (!expression) throw TypeError("eval was given an empty Variable");
  std::vector<Variable> inputs;
  std::vector<Tensor> arguments;
  for (const NamedArgument& value : values) {
    inputs.push_back(value.input() ? value.input() : input_called(expression, value.name()));
    arguments.push_back(value.value());
  }
  return cache().get(expression, inputs).call_all(arguments);
}

Tensor eval(const Variable& expression, std::initializer_list<NamedArgument> values) {
  return eval(expression, std::span(values.begin(), values.size()));
}

}  // namespace croton
