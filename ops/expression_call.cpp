#include "croton/ops/expression_call.h"

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/nearest_names.h"

namespace croton::expression {

namespace {

struct Synonym {
  std::string_view theirs, ours;
};
/// What other libraries call our keywords and functions.
constexpr Synonym synonyms[] = {{"strides", "subsample"},
                                {"stride", "subsample"},
                                {"strides", "stride"},
                                {"padding", "border_mode"},
                                {"pad", "border_mode"},
                                {"padding", "pad"},
                                {"dilation", "filter_dilation"},
                                {"groups", "num_groups"},
                                {"axes", "axis"},
                                {"dim", "axis"},
                                {"keepdim", "keepdims"},
                                {"pool_size", "ws"},
                                {"kernel_size", "ws"},
                                {"ds", "ws"},
                                {"matmul", "dot"},
                                {"mm", "dot"},
                                {"where", "switch"},
                                {"cat", "concatenate"},
                                {"concat", "concatenate"},
                                {"power", "pow"},
                                {"square", "sqr"},
                                {"sign", "sgn"},
                                {"std", "std_dev"},
                                {"permute", "dimshuffle"},
                                {"conv", "conv2d"},
                                {"max_pool2d", "pool_2d"},
                                {"gradient", "grad"}};

}  // namespace

std::string offer(std::string_view name, std::span<const std::string_view> candidates) {
  for (const Synonym& synonym : synonyms) {
    if (synonym.theirs == name &&
        std::find(candidates.begin(), candidates.end(), synonym.ours) != candidates.end())
      return fmt::format("; did you mean {}?", synonym.ours);
  }
  return did_you_mean(name, candidates);
}

Call::Call(const Function& function, const Source& source, std::size_t offset,
           std::vector<Argument> arguments)
    : function_(function), source_(source), offset_(offset) {
  bind(std::move(arguments));
}

void Call::bind(std::vector<Argument> arguments) {
  const std::vector<Parameter>& parameters = function_.parameters;
  entries_.resize(parameters.size());
  std::size_t next = 0;
  bool keywords = false;
  Value::List* rest = nullptr;
  for (Argument& argument : arguments) {
    if (!argument.keyword.empty()) {
      keywords = true;
      std::size_t i = 0;
      while (i < parameters.size() && (parameters[i].name != argument.keyword || parameters[i].rest)) ++i;
      if (i == parameters.size()) {
        std::vector<std::string_view> names;
        for (const Parameter& parameter : parameters) {
          if (!parameter.rest) names.push_back(parameter.name);
        }
        source_.fail(argument.offset,
                     fmt::format("{} has no keyword \"{}\"{}\n  {}", function_.name, argument.keyword,
                                 offer(argument.keyword, names), function_.signature));
      }
      if (entries_[i].given)
        source_.fail(argument.offset, fmt::format("{}: {} is given twice", function_.name, argument.keyword));
      entries_[i] = {std::move(argument.value), argument.offset, true};
      continue;
    }
    if (keywords) source_.fail(argument.offset, "an argument without a name cannot follow one with a name");
    if (next < parameters.size() && parameters[next].rest) {
      Entry& entry = entries_[next];
      if (!entry.given) entry = {{Value::List()}, argument.offset, true};
      rest = std::get_if<Value::List>(&entry.value.data);
      rest->push_back(std::move(argument.value));
      continue;
    }
    if (next == parameters.size()) {
      source_.fail(argument.offset, fmt::format("{} takes at most {} arguments\n  {}", function_.name,
                                                parameters.size(), function_.signature));
    }
    entries_[next] = {std::move(argument.value), argument.offset, true};
    ++next;
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (entries_[i].given) continue;
    if (parameters[i].rest) {
      entries_[i].value.data = Value::List();
    } else if (parameters[i].otherwise) {
      entries_[i].value = *parameters[i].otherwise;
    } else {
      source_.fail(offset_, fmt::format("{} needs its argument {}\n  {}", function_.name, parameters[i].name,
                                        function_.signature));
    }
    entries_[i].offset = offset_;
  }
}

const Call::Entry& Call::entry(std::string_view parameter) const {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (function_.parameters[i].name == parameter) return entries_[i];
  }
  throw InternalError(
      fmt::format("the function {} of expressions has no parameter {}", function_.name, parameter));
}

std::string Call::who(std::string_view parameter) const {
  return fmt::format("{}: {}", function_.name, parameter);
}

void Call::fail_because(std::string_view parameter, std::string_view message) const {
  source_.fail(entry(parameter).offset, fmt::format("{} {}", who(parameter), message));
}

void Call::fail(std::string_view parameter, std::string_view expected) const {
  fail_because(parameter, fmt::format("takes {}, got {}", expected, kind_of(value(parameter))));
}

Operand Call::operand(std::string_view parameter) const {
  return to_operand(value(parameter), source_, entry(parameter).offset, who(parameter));
}

Variable Call::variable(std::string_view parameter) const {
  const auto* variable = value(parameter).as<Variable>();
  if (variable == nullptr) fail(parameter, "a tensor");
  return *variable;
}

bool Call::boolean(std::string_view parameter) const {
  const auto* boolean = value(parameter).as<bool>();
  if (boolean == nullptr) fail(parameter, "true or false");
  return *boolean;
}

std::int64_t Call::integer(std::string_view parameter) const {
  const auto* integer = value(parameter).as<std::int64_t>();
  if (integer == nullptr) fail(parameter, "an integer");
  return *integer;
}

std::optional<std::int64_t> Call::optional_integer(std::string_view parameter) const {
  if (is_none(parameter)) return std::nullopt;
  return integer(parameter);
}

double Call::real(std::string_view parameter) const {
  if (const auto* integer = value(parameter).as<std::int64_t>()) return static_cast<double>(*integer);
  const auto* real = value(parameter).as<double>();
  if (real == nullptr) fail(parameter, "a number");
  return *real;
}

std::string Call::text(std::string_view parameter) const {
  const auto* text = value(parameter).as<std::string>();
  if (text == nullptr) fail(parameter, "a text in quotes");
  return *text;
}

std::optional<DType> Call::dtype(std::string_view parameter) const {
  if (is_none(parameter)) return std::nullopt;
  const std::string name = text(parameter);
  if (name == "floatX") return float_x();
  const auto dtype = parse_dtype(name);
  if (!dtype) {
    std::vector<std::string_view> names;
    for (int i = 0; i < dtype_count; ++i) names.push_back(name_of(static_cast<DType>(i)));
    fail_because(parameter, fmt::format("is no dtype: '{}'{}", name, did_you_mean(name, names)));
  }
  return dtype;
}

std::vector<Value> Call::items(std::string_view parameter) const {
  const auto* list = value(parameter).as<Value::List>();
  if (list == nullptr) return {value(parameter)};
  // f(x, (2, 3)) is f(x, 2, 3) where the parameter takes what is left over.
  if (list->size() == 1) {
    if (const auto* inner = list->front().as<Value::List>()) return *inner;
  }
  return *list;
}

std::vector<std::string> Call::texts(std::string_view parameter) const {
  std::vector<std::string> result;
  for (const Value& item : items(parameter)) {
    const auto* text = item.as<std::string>();
    if (text == nullptr)
      fail_because(parameter, fmt::format("takes a text or a list of texts, got {}", kind_of(item)));
    result.push_back(*text);
  }
  return result;
}

std::vector<std::int64_t> Call::integers(std::string_view parameter) const {
  std::vector<std::int64_t> result;
  for (const Value& item : items(parameter)) {
    const auto* integer = item.as<std::int64_t>();
    if (integer == nullptr) {
      fail_because(parameter, fmt::format("takes an integer or a list of integers, got {}{}",
                                          value(parameter).as<Value::List>() != nullptr ? "a list with " : "",
                                          kind_of(item)));
    }
    result.push_back(*integer);
  }
  return result;
}

std::vector<int> Call::ints(std::string_view parameter) const {
  std::vector<int> result;
  for (std::int64_t integer : integers(parameter)) {
    if (integer < INT32_MIN || integer > INT32_MAX) fail_because(parameter, "is out of range");
    result.push_back(static_cast<int>(integer));
  }
  return result;
}

Axes Call::axes(std::string_view parameter) const {
  if (is_none(parameter)) return none;
  return ints(parameter);
}

std::vector<Operand> Call::operands(std::string_view parameter) const {
  std::vector<Operand> result;
  for (const Value& item : items(parameter))
    result.push_back(to_operand(item, source_, entry(parameter).offset, who(parameter)));
  return result;
}

std::vector<Variable> Call::variables(std::string_view parameter) const {
  std::vector<Variable> result;
  for (const Value& item : items(parameter)) {
    const auto* variable = item.as<Variable>();
    if (variable == nullptr)
      fail_because(parameter, fmt::format("takes a tensor or a list of tensors, got {}", kind_of(item)));
    result.push_back(*variable);
  }
  return result;
}

SymbolicShape Call::shape(std::string_view parameter) const {
  const std::vector<Value> extents = items(parameter);
  if (extents.size() == 1) {
    if (const auto* vector = extents[0].as<Variable>(); vector != nullptr && vector->rank() == 1)
      return *vector;
  }
  return operands(parameter);
}

std::optional<Shape> Call::optional_shape(std::string_view parameter) const {
  if (is_none(parameter)) return std::nullopt;
  Shape shape;
  for (const Value& item : items(parameter)) {
    const auto* integer = item.as<std::int64_t>();
    if (integer == nullptr && !item.is_none())
      fail_because(parameter, fmt::format("takes integers and none, got {}", kind_of(item)));
    if (integer != nullptr && *integer < unknown) fail_because(parameter, "has a negative extent");
    shape.push_back(integer != nullptr ? *integer : unknown);
  }
  return shape;
}

}  // namespace croton::expression
