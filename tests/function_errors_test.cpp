#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "croton/croton.h"

using namespace croton;
using Catch::Contains;

namespace {

/// The text of what `action` throws, with the line numbers of this file taken out.
std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    std::string text = e.what();
    const std::string file = "function_errors_test.cpp:";
    for (std::size_t at = text.find(file); at != std::string::npos; at = text.find(file, at + 1)) {
      std::size_t end = at + file.size();
      while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
      text.replace(at, end - at, "F:N");
    }
    return text;
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("golden errors of function()", "[runtime][errors]") {
  const Variable x = vector("x"), y = vector("y");
  SharedVariable s = shared(Tensor{1.f, 2.f}, "s");
  const FunctionOptions f{.name = "f"};

  CHECK(message_of([&] { function({x, y, x}, x + y, f); }) ==
        "function 'f': input 2 (counted from 0) is x (float32[?], made at F:N), which is input 0 already");
  CHECK(message_of([&] { function({x, constant(Tensor(1.f))}, x, f); }) ==
        "function 'f': input 1 (counted from 0) is a constant, a constant (float32[]); inputs are variables "
        "whose "
        "value each call gives");
  CHECK(message_of([&] { function({s}, s + 1, f); }) ==
        "function 'f': input 0 (counted from 0) is the shared variable s (float32[?], made at F:N); shared "
        "variables are not listed as inputs; to compute with another value in its place use givens");
  CHECK(message_of([&] { function({x, y}, x * 2, f); }) ==
        "function 'f': input 1 (counted from 0), y (float32[?], made at F:N), is not needed by any output or "
        "update; leave it out, or set on_unused_input to warn or ignore");
  CHECK(message_of([&] { function({x}, x * y, f); }) ==
        "function 'f': y (float32[?], made at F:N) is needed to compute mul (made at F:N), but it is not "
        "among the "
        "function's inputs and has no value: add it to the inputs or give it a value with givens");
  CHECK(
      message_of([&] { function({}, y, f); }) ==
      "function 'f': y (float32[?], made at F:N) is needed as an output, but it is not among the function's "
      "inputs and has no value: add it to the inputs or give it a value with givens");
  CHECK(message_of([&] { function({x}, {}, {.updates = {{y, x}}, .name = "f"}); }) ==
        "function 'f': updates: y (float32[?], made at F:N) is not a shared variable, only these can be "
        "updated");
  CHECK(message_of([&] { function({x}, {}, {.updates = {{s, x}, {s, x + 1}}, .name = "f"}); }) ==
        "function 'f': update of s (float32[?], made at F:N): it has an update already");
  CHECK(message_of([&] { function({x}, {}, {.updates = {{s, x.astype(DType::float64)}}, .name = "f"}); }) ==
        "function 'f': update of s (float32[?], made at F:N): cast (float64[?], made at F:N) has dtype "
        "float64, "
        "expected float32; convert it with .astype(DType::float32)");
  CHECK(message_of([&] { function({x}, {}, {.updates = {{s, sum(x)}}, .name = "f"}); }) ==
        "function 'f': update of s (float32[?], made at F:N): sum (float32[], made at F:N) has 0 axes, "
        "expected 1");
}

TEST_CASE("kinds of errors of function()", "[runtime][errors]") {
  const Variable x = vector("x"), y = vector("y");
  SharedVariable s = shared(Tensor{1.f, 2.f}, "s");
  CHECK_THROWS_AS(function({x, x}, x), UnusedInputError);
  CHECK_THROWS_AS(function({x, y}, x), UnusedInputError);
  CHECK_THROWS_AS(function({Variable()}, x), TypeError);
  CHECK_THROWS_AS(function({x}, Variable()), TypeError);
  CHECK_THROWS_AS(function({x}, y), MissingInputError);
  CHECK_THROWS_AS(function({x}, {}, {.updates = {{s, Variable()}}}), TypeError);
  CHECK_THROWS_AS(function({x}, {}, {.updates = {{s, x}, {s, x}}}), ValueError);
  CHECK_NOTHROW(function({x, y}, x, {.on_unused_input = OnUnusedInput::ignore}));
  const ConfigScope scope({{"on_unused_input", "ignore"}});
  CHECK_NOTHROW(function({x, y}, x));
}

TEST_CASE("golden errors of calls", "[runtime][errors]") {
  const Variable x = matrix("x");
  const Variable r = Variable(Node::make_input({DType::float32, {unknown, 3}}, "r", {}));
  const Function f = function({x, r}, {x * 2, r * 2}, {.name = "f"});
  const Tensor good = Tensor::ones({2, 3});
  CHECK(message_of([&] { f(Tensor::ones({2, 3}, DType::float64), good); }) ==
        "argument 0 (counted from 0) of function 'f', x (float32[?,?], made at F:N): expected float32, got "
        "float64 "
        "with shape (2, 3), which it does not hold without loss; convert with astype(DType::float32), or "
        "make the "
        "function with allow_input_downcast");
  CHECK(message_of([&] { f(good, Tensor::ones({3})); }) ==
        "argument 1 (counted from 0) of function 'f', r (float32[?,3]): wrong number of axes: expected 2, "
        "got 1 with "
        "shape (3,)");
  CHECK(message_of([&] { f(good, Tensor::ones({3, 2})); }) ==
        "argument 1 (counted from 0) of function 'f', r (float32[?,3]): expected shape (?, 3), got (3, 2)");
  CHECK(message_of([&] { f(good, Tensor()); }) ==
        "argument 1 (counted from 0) of function 'f', r (float32[?,3]): got an undefined tensor");
  CHECK(message_of([&] { f({{"x", good}, {"rr", good}}); }) ==
        "function 'f': unknown input 'rr'; did you mean r?; its named inputs are x, r");
}

TEST_CASE("an extent of 1 does not broadcast unless the type says so", "[runtime][errors]") {
  const Variable x = matrix("x"), y = matrix("y"), c = col("c");
  const Function f = function({x, y}, x + y, {.name = "f"});
  CHECK_NOTHROW(f(Tensor::ones({1, 3}), Tensor::ones({1, 3})));
  CHECK_THROWS_AS(f(Tensor::ones({2, 3}), Tensor::ones({1, 3})), ShapeError);
  CHECK_THROWS_AS(f(Tensor::ones({2, 3}), Tensor::ones({2, 4})), ShapeError);
  CHECK_THROWS_WITH(f(Tensor::ones({2, 3}), Tensor::ones({2, 1})),
                    Contains("(2, 3)") && Contains("(2, 1)") && Contains("function_errors_test.cpp:"));
  CHECK(function({x, c}, x + c)(Tensor::ones({2, 3}), Tensor::ones({2, 1})).tensor().shape() == Shape{2, 3});
}

TEST_CASE("a failing call leaves shared variables as they were", "[runtime][errors]") {
  const Variable x = matrix("x"), labels = ivector("labels"), at = lscalar("at");
  SharedVariable s = shared(Tensor{1.f, 2.f, 3.f}, "s"), w = shared(Tensor::ones({2, 3}), "w");

  SECTION("an index outside its axis") {
    const Function f = function({at}, s(at), {.updates = {{s, s + 1}}, .name = "f"});
    f(1);
    const std::string text = message_of([&] { f(7); });
    CHECK(text.find("index 7 is outside axis 0 of extent 3") == 0);
    CHECK_THAT(text, Contains("of function 'f'") && Contains("made at F:N") &&
                         Contains("shape (3,), strides (1,), values [2, 3, 4]") &&
                         Contains("exception_verbosity=high"));
    CHECK(equal(s.get_value(), Tensor{2.f, 3.f, 4.f}));
    CHECK(f(-1).item<float>() == 4);
    CHECK(equal(s.get_value(), Tensor{3.f, 4.f, 5.f}));
    const ConfigScope scope({{"exception_verbosity", "high"}});
    CHECK_THAT(message_of([&] { f(7); }),
               Contains("the graph of the node:") && Contains("storage map (bytes, place, variable):"));
  }
  SECTION("a label outside its classes") {
    const Variable loss = mean(categorical_crossentropy(softmax(dot(x, w)), labels));
    const Variable g = grad(loss, w);
    const Function f = function({x, labels}, loss, {.updates = {{w, w - g}}, .name = "f"});
    const Tensor images = Tensor::ones({2, 2});
    f(images, Tensor{0, 2}.astype(DType::int32));
    const Tensor before = w.get_value();
    CHECK_THROWS_AS(f(images, Tensor{0, 3}.astype(DType::int32)), Error);
    CHECK(equal(w.get_value(), before));
    CHECK_NOTHROW(f(images, Tensor{0, 1}.astype(DType::int32)));
    CHECK_FALSE(equal(w.get_value(), before));
  }
  SECTION("something fails that needs the new value") {
    const Variable next = s + 1;
    const Function f = function({at}, next(at), {.updates = {{s, next}}, .name = "f"});
    CHECK(f(0).item<float>() == 2);
    CHECK_THROWS_AS(f(5), IndexError);
    CHECK(equal(s.get_value(), Tensor{2.f, 3.f, 4.f}));
    CHECK(f(2).item<float>() == 5);
  }
  SECTION("shapes that do not fit") {
    const Function f = function({x}, {}, {.updates = {{w, w + x}}});
    CHECK_THROWS_AS(f(Tensor::ones({3, 2})), ShapeError);
    CHECK(equal(w.get_value(), Tensor::ones({2, 3})));
    CHECK_NOTHROW(f(Tensor::ones({2, 3})));
  }
}
