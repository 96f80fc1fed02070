#include "croton/ops/expression.h"

#include <catch2/catch.hpp>
#include <set>

#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/graph/text_form.h"
#include "croton/ops/blas.h"
#include "croton/ops/conv.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/grad.h"
#include "croton/ops/indexing.h"
#include "croton/ops/nnet.h"
#include "croton/ops/pool.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"

using namespace croton;
using Catch::Matchers::Contains;

namespace {

const std::vector<Variable>& inputs() {
  static const std::vector<Variable> list = parse_declarations(
      "x: matrix, y: matrix, b: vector, n: lscalar, k: lvector, p: bool[?], w: float32[8,3,?,?]");
  return list;
}
const Variable& in(std::string_view name) {
  for (const Variable& v : inputs()) {
    if (v.name() == name) return v;
  }
  throw Error("no such input");
}

/// The expression gives the graph of `expected`.
void check_same(std::string_view text, const std::vector<Variable>& expected) {
  INFO(text);
  const TextGraph a{"", inputs(), parse_expression(text, inputs())}, b{"", inputs(), expected};
  const auto difference = graph_difference(a, b);
  INFO(difference.value_or("") << "\n" << to_text(a) << to_text(b));
  CHECK_FALSE(difference.has_value());
}

/// The value of an expression of numbers or of constants.
std::string value(std::string_view text) { return to_string(evaluate(parse_expression(text, {}).at(0))); }

std::string message(std::string_view text) {
  try {
    parse_expression(text, inputs());
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}
std::string first_line(std::string_view text) {
  const std::string all = message(text);
  return all.substr(0, all.find('\n'));
}

}  // namespace

TEST_CASE("declarations make inputs", "[ops][expression]") {
  const auto v =
      parse_declarations("X: matrix, b:lvector,\n w : float32[8,3,?,?], s: iscalar, r: drow, t: bool[]");
  REQUIRE(v.size() == 6);
  CHECK(describe(v[0]) == "X (float32[?,?], made at inputs:1)");
  CHECK(describe(v[2]) == "w (float32[8,3,?,?], made at inputs:2)");
  CHECK(to_string(v[1].type()) == "int64[?]");
  CHECK(to_string(v[3].type()) == "int32[]");
  CHECK(to_string(v[4].type()) == "float64[1,?]");
  CHECK(to_string(v[5].type()) == "bool[]");
  CHECK(parse_declarations(" ").empty());
  const auto fails = [](std::string_view text) -> std::string {
    try {
      parse_declarations(text);
    } catch (const ParseError& e) {
      return e.what();
    }
    return "no error";
  };
  CHECK(fails("x: matrx") ==
        "inputs:1:4: unknown type 'matrx'; did you mean matrix, bmatrix or wmatrix? (matrix, lvector, "
        "float32[8,3,?,?] …)\n  x: matrx\n     ^");
  CHECK_THAT(fails("x: matrix, x: vector"), Contains("inputs:1:12: x is declared twice"));
  CHECK_THAT(fails("x matrix"), Contains("expected ':' and a type behind the name, got 'matrix'"));
  CHECK_THAT(fails("x: float32[-2]"), Contains("an extent cannot be negative"));
  CHECK_THAT(fails("x: matrix y: vector"), Contains("expected ',' between declarations, got 'y'"));
}

TEST_CASE("numbers are computed as Python does", "[ops][expression]") {
  CHECK(value("1 + 2 * 3") == "7");
  CHECK(value("-2 ** 2") == "-4");
  CHECK(value("2 ** 3 ** 2") == "512");
  CHECK(value("2 ** -1") == "0.5");
  CHECK(value("7 // -2") == "-4");
  CHECK(value("7 % -2") == "-1");
  CHECK(value("-7 // 2 + -7 % 2") == "-3");
  CHECK(value("-7.5 % 2") == "0.5");
  CHECK(value("7 / 2") == "3.5");
  CHECK(value("1 < 2 < 3") == "True");
  CHECK(value("1 < 2 > 3") == "False");
  CHECK(value("~5 & 0xff ^ 1 << 3 | 2") == "242");
  CHECK(value("1 + 2 << 1") == "6");
  CHECK(value("true & False") == "False");
  CHECK(value("(1, 2.5)[1]") == "2.5");
  CHECK(value("[[1, 2], [3, 4]]") == "[[1 2]\n [3 4]]");
  CHECK(value("[1, 2.5]") == "[1.  2.5]");
  CHECK(value("-inf") == "-inf");
  CHECK(value("1e3  # thousand") == "1000.0");
}

TEST_CASE("operators make the nodes of the C++ operators", "[ops][expression]") {
  const Variable &x = in("x"), &y = in("y"), &b = in("b"), &n = in("n"), &p = in("p");
  check_same("x + y * 2", {x + y * 2});
  check_same("(x + y) * 0.5 - b", {(x + y) * 0.5 - b});
  check_same("x / y // 2 % b", {mod(floor_div(x / y, 2), b)});
  check_same("-x ** 2", {-pow(x, 2)});
  check_same("x @ y + b", {dot(x, y) + b});
  check_same("x < y", {x < y});
  check_same("0 < x <= y", {lt(0, x) & (x <= y)});
  check_same("x == y", {eq(x, y)});
  check_same("x != y", {neq(x, y)});
  check_same("~p & p | p ^ p", {(~p & p) | (p ^ p)});
  check_same("n << 2 >> n", {(n << 2) >> n});
  check_same("+x", {x});
  check_same("x, y + 1,", {x, y + 1});
  check_same("h = tanh(x); sum(h * h)", {[&] {
               const Variable h = tanh(x);
               return sum(h * h);
             }()});
}

TEST_CASE("calls take positions, keywords and methods", "[ops][expression]") {
  const Variable &x = in("x"), &y = in("y"), &b = in("b"), &w = in("w");
  check_same("softmax(dot(x, y) + b)", {softmax(dot(x, y) + b)});
  check_same("softmax(x, axis=0)", {softmax(x, 0)});
  check_same("x.sum(axis=0)", {sum(x, 0)});
  check_same("x.sum((0, 1), keepdims=true)", {sum(x, {0, 1}, true)});
  check_same("sum(keepdims=True, x=x)", {sum(x, {}, true)});
  check_same("maximum(x, y, 3)", {maximum(x, y, 3)});
  check_same("switch(x > 0, x, 0)", {switch_(x > 0, x, 0)});
  check_same("clip(x, low=-1, high=1)", {clip(x, -1, 1)});
  check_same("x.T", {x.T()});
  check_same("x.reshape(2, -1)", {x.reshape({2, -1})});
  check_same("x.reshape((x.shape[0], -1))", {reshape(x, {x.shape()(0), -1})});
  check_same("x.dimshuffle('x', 0, 1)", {x.dimshuffle({'x', 0, 1})});
  check_same("dimshuffle(b, ('x', 0))", {b.dimshuffle({'x', 0})});
  check_same("x.astype('float64') + cast(x, float64)", {x.astype(DType::float64) + cast(x, DType::float64)});
  check_same("x.shape(1)", {x.shape(1)});
  check_same("zeros((2, x.shape(0)), dtype=int8)", {zeros({2, x.shape(0)}, DType::int8)});
  check_same("concatenate([x, y], axis=1)", {concatenate({x, y}, 1)});
  check_same("join(0, x, y)", {join(0, {x, y})});
  check_same("arange(10)", {arange(0, 10)});
  check_same("x.ndim + x", {2 + x});
  check_same("conv2d(w, w, border_mode='half', subsample=(2, 2))",
             {conv2d(w, w, {.border_mode = "half", .subsample = {2, 2}})});
  check_same("conv2d(w, w, border_mode=((1, 2), (0, 1)), subsample=(2, 1), filter_flip=false)",
             {conv2d(w, w, {.border_mode = {{1, 2}, {0, 1}}, .subsample = {2, 1}, .filter_flip = false})});
  check_same("pool_2d(w, (2, 2), mode='sum')", {pool_2d(w, {2, 2}, {.mode = "sum"})});
  check_same("grad(sum(sqr(x)), x)", {grad(sum(sqr(x)), x)});
  check_same("grad(sum(x * y), [x, y])", grad(sum(x * y), std::vector<Variable>{x, y}));
  check_same("g = tanh(x); grad(none, x, known_grads={g: y})", {[&] {
               const Variable g = tanh(x);
               return grad(none, x, {.known_grads = {{g, y}}});
             }()});
}

TEST_CASE("indexing is NumPy's", "[ops][expression]") {
  const Variable &x = in("x"), &n = in("n"), &b = in("b"), &w = in("w");
  check_same("x[0]", {x(0)});
  check_same("x[-1, n]", {x(-1, n)});
  check_same("x[1:-1, ::2]", {x(slice(1, -1), slice(none, none, 2))});
  check_same("x[:, n:]", {x(all, slice(n, none))});
  check_same("w[..., none, 0]", {w(ellipsis, newaxis, 0)});
  check_same("b[::-1]", {b(slice(none, none, -1))});
  check_same("set_subtensor(x[0], b)", {set_subtensor(x(0), b)});
  check_same("inc_subtensor(x[:, 1], 2)", {inc_subtensor(x(all, 1), 2)});
}

TEST_CASE("every function can be called and says what it takes", "[ops][expression]") {
  std::set<std::string> names;
  for (const ExpressionFunctionInfo& f : expression_functions()) {
    INFO(f.name);
    CHECK(f.signature.starts_with(f.name + "("));
    CHECK_FALSE(f.doc.empty());
    CHECK(names.insert(f.name).second);
    // Called with a text for everything it complains about the first argument, and never about itself.
    std::string arguments;
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK_THAT(message(f.name + "(" + arguments + ")"), !Contains("internal error"));
      arguments += i == 0 ? "'text'" : ", 'text'";
    }
    CHECK_THAT(message(f.name + "(unknown_keyword=1)"),
               Contains(f.name + " has no keyword \"unknown_keyword\"") && Contains(f.signature));
  }
  CHECK(names.size() > 90);
}

TEST_CASE("errors of expressions name the place", "[ops][expression][errors]") {
  CHECK(message("conv2d(w, w, strides=(2, 2))") ==
        "expression:1:14: conv2d has no keyword \"strides\"; did you mean "
        "subsample?\n  conv2d(input, filters, input_shape=none, filter_shape=none, border_mode='valid', "
        "subsample=(1, 1), filter_flip=true, filter_dilation=(1, 1), num_groups=1, unshared=false, "
        "version='', unroll_batch=none, unroll_kern=none, unroll_patch=none, openmp=none)\n"
        "  conv2d(w, w, strides=(2, 2))\n               ^");
  CHECK(first_line("softmx(x)") == "expression:1:1: unknown function 'softmx'; did you mean softmax?");
  CHECK(first_line("matmul(x, y)") == "expression:1:1: unknown function 'matmul'; did you mean dot?");
  CHECK(first_line("x + z") == "expression:1:5: unknown name 'z' (there are: b, k, n, p, w, x, y)");
  CHECK(first_line("x + ") == "expression:1:5: expected an expression, got the end");
  CHECK(first_line("(x + y") == "expression:1:7: expected ',' or ')', got the end");
  CHECK(first_line("x y") == "expression:1:3: expected an operator or the end, got 'y'");
  CHECK(first_line("x and y") == "expression:1:3: there is no 'and' for tensors: use & | ~");
  CHECK(first_line("not x") == "expression:1:1: there is no 'not' for tensors: use & | ~");
  CHECK(first_line("x if y else x") ==
        "expression:1:3: 'if' is not part of expressions (switch(c, a, b) chooses)");
  CHECK(first_line("x(0)") == "expression:1:2: a tensor cannot be called: x[i, j] indexes it");
  CHECK(first_line("tanh") == "expression:1:1: the function tanh is called: tanh(x)");
  CHECK(first_line("x.sum") == "expression:1:3: the function sum is called: x.sum(…)");
  CHECK(first_line("x.shap") == "expression:1:3: a tensor has no 'shap'; did you mean shape?");
  CHECK(first_line("sum()") == "expression:1:1: sum needs its argument x");
  CHECK(first_line("tanh(x, y)") == "expression:1:9: tanh takes at most 1 arguments");
  CHECK(first_line("sum(x, axis='rows')") ==
        "expression:1:8: sum: axis takes an integer or a list of integers, got a text");
  CHECK(first_line("sum(x, axis=0, axis=1)") == "expression:1:16: sum: axis is given twice");
  CHECK(first_line("sum(axis=0, x)") ==
        "expression:1:13: an argument without a name cannot follow one with a name");
  CHECK(first_line("cast(x, 'flaot32')") ==
        "expression:1:9: cast: dtype is no dtype: 'flaot32'; did you mean float32?");
  CHECK(first_line("x + 'a'") == "expression:1:3: '+' takes a tensor or a number, got a text");
  CHECK(first_line("x + [[1], [2, 3]]") ==
        "expression:1:3: '+' takes a tensor, got a list that is none: lists of one level have different "
        "lengths");
  CHECK(first_line("9223372036854775807 + 1") == "expression:1:21: the result does not fit into 64 bits");
  CHECK(first_line("99999999999999999999") ==
        "expression:1:1: 99999999999999999999 does not fit into 64 bits");
  CHECK(first_line("1 / 0") == "expression:1:3: division by zero");
  CHECK(first_line("3x") == "expression:1:1: '3x' is no number");
  CHECK(first_line("x ? y") == "expression:1:3: unknown character '?'");
  CHECK(first_line("'abc") == "expression:1:1: this text lacks its closing quote");
  CHECK(first_line("x[]") == "expression:1:3: expected an index, got ']'");
  CHECK(first_line("x[[0, 1]]") ==
        "expression:1:3: a list is no index: there are integers, slices, none and '...'");
  CHECK(first_line("h = tanh(x)") == "expression:1:12: expected an expression behind the assignment");
  CHECK(first_line("") == "expression:1:1: expected an expression, got the end");
  CHECK(first_line(std::string(5000, '(')) ==
        "expression:1:201: the expression is nested more than 200 deep");
  CHECK(first_line(std::string(5000, '-') + "x") ==
        "expression:1:200: the expression is nested more than 200 deep");
}

TEST_CASE("what an op throws keeps its type and gets the place", "[ops][expression][errors]") {
  const auto declared = parse_declarations("x: float32[2,3], y: float32[4,5], i: imatrix");
  CHECK_THROWS_AS(parse_expression("x + y", declared), ShapeError);
  CHECK_THROWS_AS(parse_expression("dot(x, y)", declared), ShapeError);
  CHECK_THROWS_AS(parse_expression("i | 0.5", declared), TypeError);
  CHECK_THROWS_AS(parse_expression("x[5]", declared), IndexError);
  CHECK_THROWS_AS(parse_expression("grad(sum(x), y)", declared), DisconnectedInputError);
  try {
    parse_expression("tanh(x)\n + y", declared);
    FAIL();
  } catch (const ShapeError& e) {
    CHECK_THAT(e.what(), Contains("at expression:2:2\n   + y\n   ^"));
    CHECK_THAT(e.what(), Contains("made at expression:1"));
  }
}

TEST_CASE("long sums are no deep expressions", "[ops][expression]") {
  std::string text = "b";
  for (int i = 0; i < 20000; ++i) text += " + b";
  CHECK(topological_order(parse_expression(text, inputs())).size() == 20000);
}
