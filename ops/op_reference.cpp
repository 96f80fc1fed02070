#include "croton/ops/op_reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"

namespace croton {

namespace {

/// What the ops that are no rows of a table do.
struct Sentence {
  std::string_view name, form, text;
};

constexpr Sentence sentences[] = {
    {"alloc", "alloc(value, n0, n1, …)", "value broadcast to the shape (n0, n1, …)."},
    {"arange", "arange(start, stop, step)", "start, start + step, … before stop."},
    {"argmax", "argmax(x) {axes}",
     "Index of the first maximum along the axes; a NaN comes before every number."},
    {"argmin", "argmin(x) {axes}",
     "Index of the first minimum along the axes; a NaN comes before every number."},
    {"assert", "assert(x, c0, …) {message}",
     "x; a call where an element of a condition is false ends in an AssertionError."},
    {"Composite", "Composite(x0, x1, …) {body}",
     "Fused elementwise operations: body applied to every element."},
    {"CompositeReduce", "CompositeReduce(x0, …) {body, op, axes, epilogue}",
     "A reduction with the elementwise operations fused before and behind it."},
    {"contiguous", "contiguous(x)", "x copied to C order."},
    {"conv2d", "conv2d(x, w)",
     "Convolution (or correlation) of images with filters, still without implementation."},
    {"conv2d_grad_inputs", "conv2d_grad_inputs(w, gy, …)", "Gradient of conv2d with respect to the images."},
    {"conv2d_grad_weights", "conv2d_grad_weights(x, gy, …)",
     "Gradient of conv2d with respect to the filters."},
    {"conv3d", "conv3d(x, w)", "Convolution along three axes, still without implementation."},
    {"conv3d_grad_inputs", "conv3d_grad_inputs(w, gy, …)", "Gradient of conv3d with respect to the images."},
    {"conv3d_grad_weights", "conv3d_grad_weights(x, gy, …)",
     "Gradient of conv3d with respect to the filters."},
    {"crossentropy_categorical_1hot", "crossentropy_categorical_1hot(p, y)",
     "-log p[i, y[i]] for rows of probabilities and integer labels."},
    {"crossentropy_categorical_1hot_grad", "crossentropy_categorical_1hot_grad(g, p, y)",
     "Gradient of crossentropy_categorical_1hot with respect to p."},
    {"crossentropy_softmax_1hot_with_bias", "crossentropy_softmax_1hot_with_bias(x, b, y)",
     "Cross-entropy of softmax(x + b) with the labels y, without overflow, and that softmax."},
    {"crossentropy_softmax_1hot_with_bias_dx", "crossentropy_softmax_1hot_with_bias_dx(g, sm, y)",
     "Gradient of crossentropy_softmax_1hot_with_bias with respect to x."},
    {"dimshuffle", "dimshuffle(x) {pattern}",
     "x with its axes permuted, added (extent 1) or dropped; a view."},
    {"dot", "dot(x, y)", "Product of vectors and matrices: the last axis of x with the first of y."},
    {"dot22", "dot22(x, y)", "Product of two floating matrices."},
    {"dot22_scalar", "dot22_scalar(x, y, a)", "a * x @ y."},
    {"fft_conv", "fft_conv(a, b)", "A convolution by products of spectra."},
    {"gemm", "gemm(z, a, x, y, b)", "b * z + a * x @ y; may be computed over z."},
    {"gemv", "gemv(y, a, A, x, b)", "b * y + a * A @ x; may be computed over y."},
    {"ger", "ger(A, a, x, y)", "A + a * x y^T; may be computed over A."},
    {"inc_subtensor", "inc_subtensor(x, y, i0, …) {index, set}",
     "x with y added to, or written over, what the index selects."},
    {"join", "join(x0, x1, …) {axis}", "The operands one after the other along an axis."},
    {"log_softmax", "log_softmax(x) {axis}", "log(softmax(x)), without overflow."},
    {"make_vector", "make_vector(s0, s1, …)", "The vector of these scalars."},
    {"max_pool_places", "max_pool_places(x) {ws, stride, pad, mode, ignore_border}",
     "pool_2d of maxima, and where in its window each lies: made on a GPU."},
    {"max_pool_places_grad",
     "max_pool_places_grad(places, gy) {ws, stride, pad, mode, ignore_border, extents}",
     "Gradient of pool_2d with respect to x by these places."},
    {"pool_2d", "pool_2d(x) {ws, stride, pad, mode, ignore_border}",
     "Maximum, sum or mean over windows of the last two axes."},
    {"pool_2d_grad", "pool_2d_grad(x, y, gy)", "Gradient of pool_2d with respect to x."},
    {"pool_2d_grad_grad", "pool_2d_grad_grad(x, y, ggx)",
     "Gradient of pool_2d_grad with respect to gy, for maxima."},
    {"print", "print(x) {message, attributes}",
     "x; sends its value, shape or statistics to the message sink when it is computed."},
    {"random_bits", "random_bits(state, n0, …)",
     "Random 32-bit integers and the state that follows (Philox 4x32-10)."},
    {"random_normal", "random_normal(state, n0, …)",
     "Draws from the standard normal distribution and the state that follows."},
    {"random_uniform", "random_uniform(state, n0, …)",
     "Uniform draws from [0, 1) and the state that follows."},
    {"reshape", "reshape(x, shape) {ndim}",
     "The elements of x in C order under another shape; a view where that is possible."},
    {"shape", "shape(x)", "The extents of x as an int64 vector."},
    {"shape_i", "shape_i(x) {axis}", "One extent of x as an int64 scalar."},
    {"softmax", "softmax(x) {axis}", "exp(x) / sum(exp(x)) along an axis, without overflow."},
    {"softmax_grad", "softmax_grad(gy, y) {axis}", "Gradient of y = softmax(x) with respect to x."},
    {"softmax_with_bias", "softmax_with_bias(x, b)", "softmax(x + b) of the rows of a matrix."},
    {"specify_shape", "specify_shape(x) {shape}", "x itself, whose shape is checked and then known; a view."},
    {"subtensor", "subtensor(x, i0, …) {index}", "What a basic index selects of x; a view."},
    {"winograd_conv", "winograd_conv(a, b)", "A convolution by minimal filtering (Winograd), tile by tile."},
};

const Sentence* sentence_of(std::string_view name) {
  const auto* found = std::find_if(std::begin(sentences), std::end(sentences),
                                   [&](const Sentence& sentence) { return sentence.name == name; });
  return found == std::end(sentences) ? nullptr : found;
}

std::string_view dtypes_of(DTypeRule rule) {
  switch (rule) {
    case DTypeRule::same:
      return "any → same";
    case DTypeRule::number:
      return "any, bool as int8 → same";
    case DTypeRule::no_bool:
      return "numbers → same";
    case DTypeRule::floating:
      return "any, integers as floatX → same";
    case DTypeRule::predicate:
      return "any → bool";
    case DTypeRule::bitwise:
      return "integers, bool → same";
    case DTypeRule::shift:
      return "integers, bool as int8 → same";
    case DTypeRule::select:
      return "bool, any, any → that of the last two";
    case DTypeRule::second:
      return "any, any → that of the second";
    case DTypeRule::cast:
      return "any → attribute dtype";
  }
  return "";
}

std::string_view gradient_of(const ElementwiseRow& row) {
  if (row.gradient != nullptr) return "yes";
  if (row.has(zero_gradient)) return "zeros";
  return "no";
}

std::string form_of(const ElementwiseRow& row) {
  std::string text = fmt::format("{}(", row.name);
  for (int i = 0; i < row.arity; ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", "abc"[i]);
  return text + (row.variadic ? ", …)" : ")");
}

/// A bar in a cell ends it.
std::string cell(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '|') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

std::string ops_markdown() {
  std::string page =
      "# Operations\n\n"
      "Generated from the tables of the source; names are those of C++, of the text form and of "
      "expressions.\n\n"
      "## Elementwise\n\n"
      "Operands broadcast: an axis of static extent 1 takes the others' extent, missing leading axes are "
      "added. C++ "
      "numbers are weak: they take the dtype of the other operands.\n\n"
      "| form | dtypes | gradient | what it computes |\n|---|---|---|---|\n";
  for (const ElementwiseOp* op : elementwise_ops()) {
    const ElementwiseRow& row = op->row();
    page += fmt::format("| `{}` | {} | {} | {} |\n", cell(form_of(row)), dtypes_of(row.rule),
                        gradient_of(row), cell(row.doc));
  }
  page +=
      "\n## Reductions\n\n"
      "Over the axes of the attribute `axes`, which are dropped.\n\n"
      "| form | what it computes |\n|---|---|\n";
  for (const ReduceOp* op : reduce_ops()) {
    page += fmt::format("| `{}(x) {{axes}}` | {} |\n", op->name(), cell(op->row().doc));
  }
  page += "\n## Other operations\n\nAttributes stand in braces.\n\n| form | what it computes |\n|---|---|\n";
  for (const Op* op : all_ops()) {
    if (as_elementwise(*op) != nullptr || as_reduce(*op) != nullptr) continue;
    const Sentence* sentence = sentence_of(op->name());
    page += fmt::format("| `{}` | {} |\n", cell(sentence != nullptr ? sentence->form : op->name()),
                        sentence != nullptr ? cell(sentence->text) : "");
  }
  return page;
}

}  // namespace croton
