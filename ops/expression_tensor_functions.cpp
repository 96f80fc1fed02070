// Rows of the functions of expressions: reductions, products, shapes, joining, indexing.

#include "croton/ops/assert_print.h"
#include "croton/ops/blas.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/expression_call.h"
#include "croton/ops/indexing.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/transfer.h"

namespace croton::expression {
namespace {

template <Variable (*function)(const Operand&, const Axes&, bool)>
Value reduction(const Call& c) {
  return {function(c.operand("x"), c.axes("axis"), c.boolean("keepdims"))};
}

Value list_of(const std::vector<Variable>& variables) {
  Value::List list;
  for (const Variable& variable : variables) list.push_back({variable});
  return {std::move(list)};
}

int small(const Call& c, std::string_view parameter) {
  const std::int64_t value = c.integer(parameter);
  if (value < INT32_MIN || value > INT32_MAX) c.fail_because(parameter, "is out of range");
  return static_cast<int>(value);
}

/// ('x', 0, 1): axes and new ones.
std::vector<int> pattern(const Call& c) {
  Value::List items = std::get<Value::List>(c.value("pattern").data);
  if (items.size() == 1 && items[0].as<Value::List>() != nullptr)
    items = Value::List(std::get<Value::List>(items[0].data));
  std::vector<int> axes;
  for (const Value& item : items) {
    const auto* text = item.as<std::string>();
    const auto* axis = item.as<std::int64_t>();
    if ((text == nullptr || *text != "x") && (axis == nullptr || *axis < 0 || *axis >= max_rank))
      c.fail_because("pattern", "consists of axes and of 'x' for a new one");
    axes.push_back(axis != nullptr ? static_cast<int>(*axis) : 'x');
  }
  return axes;
}

Value tensordot_of(const Call& c) {
  const auto* list = c.value("axes").as<Value::List>();
  if (list == nullptr) return {tensordot(c.operand("x"), c.operand("y"), small(c, "axes"))};
  std::vector<int> sides[2];
  if (list->size() != 2) c.fail_because("axes", "takes an integer or two lists of axes");
  for (std::size_t side = 0; side < 2; ++side) {
    const auto* axes = (*list)[side].as<Value::List>();
    const Value::List one{(*list)[side]};
    for (const Value& axis : axes != nullptr ? *axes : one) {
      const auto* integer = axis.as<std::int64_t>();
      if (integer == nullptr || *integer < -max_rank || *integer >= max_rank)
        c.fail_because("axes", "takes an integer or two lists of axes");
      sides[side].push_back(static_cast<int>(*integer));
    }
  }
  return {tensordot(c.operand("x"), c.operand("y"), sides[0], sides[1])};
}

Value shape_of(const Call& c) {
  const Variable x = as_variable(c.operand("x"));
  return {c.is_none("axis") ? x.shape() : x.shape(small(c, "axis"))};
}

Value cast_of(const Call& c) {
  const auto dtype = c.dtype("dtype");
  if (!dtype) c.fail("dtype", "a dtype");
  return {cast(c.operand("x"), *dtype)};
}

Value arange_of(const Call& c) {
  if (c.is_none("stop"))
    return {arange(std::int64_t{0}, c.operand("start"), c.operand("step"), c.dtype("dtype"))};
  return {arange(c.operand("start"), c.operand("stop"), c.operand("step"), c.dtype("dtype"))};
}

Value specify_shape_of(const Call& c) {
  const auto shape = c.optional_shape("shape");
  if (!shape) c.fail("shape", "a shape");
  return {specify_shape(c.operand("x"), *shape)};
}

template <Variable (*function)(const Operand&, DType)>
Value like(const Call& c) {
  const Variable x = as_variable(c.operand("x"));
  return {function(x, c.dtype("dtype").value_or(x.dtype()))};
}

}  // namespace

std::vector<FunctionRow> tensor_functions() {
  return {
      {"sum(x, axis=none, keepdims=false)", "The sum over one, several or all axes.", reduction<sum>},
      {"prod(x, axis=none, keepdims=false)", "The product over axes.", reduction<prod>},
      {"max(x, axis=none, keepdims=false)", "The maximum over axes.", reduction<max>},
      {"min(x, axis=none, keepdims=false)", "The minimum over axes.", reduction<min>},
      {"any(x, axis=none, keepdims=false)", "Whether any element over axes is true.", reduction<any>},
      {"all(x, axis=none, keepdims=false)", "Whether all elements over axes are true.",
       [](const Call& c) -> Value { return {all(c.operand("x"), c.axes("axis"), c.boolean("keepdims"))}; }},
      {"argmax(x, axis=none, keepdims=false)", "The index of the first maximum.", reduction<argmax>},
      {"argmin(x, axis=none, keepdims=false)", "The index of the first minimum.", reduction<argmin>},
      {"mean(x, axis=none, keepdims=false)", "The arithmetic mean over axes.", reduction<mean>},
      {"ptp(x, axis=none, keepdims=false)", "max - min over axes.", reduction<ptp>},
      {"var(x, axis=none, ddof=0, keepdims=false)", "The variance over axes, over n - ddof.",
       [](const Call& c) -> Value {
         return {var(c.operand("x"), c.axes("axis"), small(c, "ddof"), c.boolean("keepdims"))};
       }},
      {"std_dev(x, axis=none, ddof=0, keepdims=false)", "The square root of var.",
       [](const Call& c) -> Value {
         return {std_dev(c.operand("x"), c.axes("axis"), small(c, "ddof"), c.boolean("keepdims"))};
       }},
      {"norm(x, order, axis=none, keepdims=false)", "(sum |x|^order)^(1/order) over axes.",
       [](const Call& c) -> Value {
         return {norm(c.operand("x"), c.real("order"), c.axes("axis"), c.boolean("keepdims"))};
       }},

      {"dot(x, y)", "NumPy's dot; also `x @ y`.",
       [](const Call& c) -> Value { return {dot(c.operand("x"), c.operand("y"))}; }},
      {"tensordot(x, y, axes=2)", "The sum over pairs of axes: how many, or two lists.", tensordot_of},
      {"outer(x, y)", "x y^T, operands flattened.",
       [](const Call& c) -> Value { return {outer(c.operand("x"), c.operand("y"))}; }},

      {"cast(x, dtype)", "x converted.", cast_of},
      {"astype(x, dtype)", "x converted: the method x.astype('float64').", cast_of},
      {"dimshuffle(x, *pattern)", "Axes permuted, dropped and added: dimshuffle(x, 1, 'x', 0).",
       [](const Call& c) -> Value { return {as_variable(c.operand("x")).dimshuffle(pattern(c))}; }},
      {"transpose(x, *axes)", "Axes permuted; reversed without any.",
       [](const Call& c) -> Value { return {transpose(c.operand("x"), c.ints("axes"))}; }},
      {"swapaxes(x, a, b)", "Two axes exchanged.",
       [](const Call& c) -> Value { return {swapaxes(c.operand("x"), small(c, "a"), small(c, "b"))}; }},
      {"reshape(x, *shape)", "The elements in C order under another shape; one extent may be -1.",
       [](const Call& c) -> Value { return {reshape(c.operand("x"), c.shape("shape"))}; }},
      {"flatten(x, ndim=1)", "To the rank ndim, the last axes merged into one.",
       [](const Call& c) -> Value { return {flatten(c.operand("x"), small(c, "ndim"))}; }},
      {"squeeze(x, axis=none)", "Without axes of static extent 1.",
       [](const Call& c) -> Value { return {squeeze(c.operand("x"), c.axes("axis"))}; }},
      {"expand_dims(x, axis)", "With a new axis of extent 1.",
       [](const Call& c) -> Value { return {expand_dims(c.operand("x"), small(c, "axis"))}; }},
      {"shape_padleft(x, n=1)", "With n new axes of extent 1 in front.",
       [](const Call& c) -> Value { return {shape_padleft(c.operand("x"), small(c, "n"))}; }},
      {"shape_padright(x, n=1)", "With n new axes of extent 1 behind.",
       [](const Call& c) -> Value { return {shape_padright(c.operand("x"), small(c, "n"))}; }},
      {"tile(x, reps)", "The whole repeated reps[i] times along axis i.",
       [](const Call& c) -> Value { return {tile(c.operand("x"), c.integers("reps"))}; }},
      {"shape(x, axis=none)", "The shape as an int64 vector, or one extent.", shape_of},
      {"specify_shape(x, shape)", "x, whose shape is checked; none leaves an extent open.", specify_shape_of},
      {"contiguous(x)", "A copy in C order.",
       [](const Call& c) -> Value { return {contiguous(c.operand("x"))}; }},
      {"transfer(x, device)", "x on a device: 'cpu', 'cuda', 'cuda1'.",
       [](const Call& c) -> Value { return {transfer(c.operand("x"), c.text("device"))}; }},
      {"gpu_from_host(x)", "x on the first CUDA device.",
       [](const Call& c) -> Value { return {gpu_from_host(c.operand("x"))}; }},
      {"host_from_gpu(x)", "x on the host.",
       [](const Call& c) -> Value { return {host_from_gpu(c.operand("x"))}; }},
      {"gpu_contiguous(x)", "A copy in C order on a CUDA device.",
       [](const Call& c) -> Value { return {gpu_contiguous(c.operand("x"))}; }},

      {"zeros(shape, dtype=none)", "A tensor of zeros.",
       [](const Call& c) -> Value { return {zeros(c.shape("shape"), c.dtype("dtype"))}; }},
      {"ones(shape, dtype=none)", "A tensor of ones.",
       [](const Call& c) -> Value { return {ones(c.shape("shape"), c.dtype("dtype"))}; }},
      {"full(shape, value, dtype=none)", "A tensor filled with a scalar.",
       [](const Call& c) -> Value { return {full(c.shape("shape"), c.operand("value"), c.dtype("dtype"))}; }},
      {"alloc(value, *shape)", "value broadcast to a shape.",
       [](const Call& c) -> Value { return {alloc(c.operand("value"), c.shape("shape"))}; }},
      {"zeros_like(x, dtype=none)", "Zeros of x's shape.", like<zeros_like>},
      {"ones_like(x, dtype=none)", "Ones of x's shape.", like<ones_like>},
      {"arange(start, stop=none, step=1, dtype=none)",
       "start, start + step, … before stop; arange(stop) from 0.", arange_of},
      {"make_vector(*scalars)", "The vector of these scalars.",
       [](const Call& c) -> Value { return {make_vector(c.operands("scalars"))}; }},
      {"join(axis, *tensors)", "Tensors one after the other along an axis.",
       [](const Call& c) -> Value { return {join(small(c, "axis"), c.operands("tensors"))}; }},
      {"concatenate(tensors, axis=0)", "join with its arguments the other way round.",
       [](const Call& c) -> Value { return {concatenate(c.operands("tensors"), small(c, "axis"))}; }},
      {"stack(tensors, axis=0)", "Tensors of one shape along a new axis.",
       [](const Call& c) -> Value { return {stack(c.operands("tensors"), small(c, "axis"))}; }},
      {"split(x, sizes, axis=0)", "A list of pieces of these extents.",
       [](const Call& c) -> Value {
         return list_of(split(c.operand("x"), c.integers("sizes"), small(c, "axis")));
       }},
      {"assert_op(x, condition, message='')",
       "x; an error with the message where an element of the condition is false.",
       [](const Call& c) -> Value {
         return {assert_op(c.operand("x"), c.variable("condition"), c.text("message"))};
       }},
      {"print_op(x, message='', attributes='value')",
       "x; reports these of value, shape, dtype, min, max, mean, sum, nan, infinite whenever it is computed.",
       [](const Call& c) -> Value {
         return {print_op(c.operand("x"), c.text("message"), c.texts("attributes"))};
       }},
      {"set_subtensor(indexed, y)", "The whole of which `indexed` is a part, with that part set to y.",
       [](const Call& c) -> Value { return {set_subtensor(c.operand("indexed"), c.operand("y"))}; }},
      {"inc_subtensor(indexed, y)", "The same with y added.",
       [](const Call& c) -> Value { return {inc_subtensor(c.operand("indexed"), c.operand("y"))}; }},
  };
}

}  // namespace croton::expression
