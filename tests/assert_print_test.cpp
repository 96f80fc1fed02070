#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "croton/croton.h"
#include "messages.h"

using namespace croton;
using Catch::Contains;
using Catch::StartsWith;
using croton::test::Messages;

TEST_CASE("print_op reports what it is asked for and passes its input on", "[ops][check]") {
  const Variable x = vector("x");
  const Variable seen = print_op(x * 2, "twice x", {"value", "shape", "min", "mean", "nan"});
  for (const char* mode : {"FAST_RUN", "FAST_COMPILE", "None"}) {
    const Function f = function({x}, sum(seen), {.mode = mode});
    const Messages messages;
    CHECK(f(Tensor{1.f, 2.f, 3.f}).item<float>() == 12);
    CHECK(messages.list == std::vector<std::string>{"twice x value = [2. 4. 6.]", "twice x shape = (3,)",
                                                    "twice x min = 2", "twice x mean = 4",
                                                    "twice x nan = 0"});
  }
  CHECK_THROWS_WITH(print_op(x, "", {"valeu"}),
                    StartsWith("print_op: there is no attribute 'valeu'; did you mean"));
  const Function gradient = function({x}, grad(sum(sqr(print_op(x))), x));
  const Messages messages;
  CHECK(equal(gradient(Tensor{1.f, 2.f}), Tensor{2.f, 4.f}));
}

TEST_CASE("an assertion that fails ends the call with its message", "[ops][check]") {
  const Variable x = vector("x");
  const Variable checked = assert_op(x, ge(x, 0), "x must not be negative");
  for (const char* mode : {"FAST_RUN", "None"}) {
    const Function f = function({x}, sum(checked * 2), {.mode = mode, .name = "f"});
    CHECK(f(Tensor{1.f, 2.f}).item<float>() == 6);
    CHECK_THROWS_AS(f(Tensor{1.f, -2.f}), AssertionError);
    CHECK_THROWS_WITH(f(Tensor{1.f, -2.f}),
                      StartsWith("x must not be negative\n  in Assert{msg='x must not be negative'}") &&
                          Contains("made at assert_print_test.cpp:"));
  }
  const Function without =
      function({x}, sum(checked * 2), {.mode = default_mode().including("remove_all_assert")});
  CHECK(without(Tensor{1.f, -2.f}).item<float>() == -2);
  const Function gradient = function({x}, grad(sum(sqr(checked)), x));
  CHECK(equal(gradient(Tensor{1.f, 2.f}), Tensor{2.f, 4.f}));
}

TEST_CASE("an assertion whose condition is known goes away", "[ops][check]") {
  const Variable x = vector("x");
  const Variable checked = assert_op(x, {constant(Tensor(true)), ge(sum(x), 0)}, "sum");
  const Function f = function({x}, checked);
  std::size_t inputs = 0;
  for (const Ref<Node>& node : f.graph().nodes()) {
    if (node->is_apply() && node->op().name() == "assert") inputs = node->input_count();
  }
  CHECK(inputs == 2);
}

TEST_CASE("prints and assertions go through the text form", "[ops][check][text]") {
  const Variable x = vector("x");
  const TextGraph graph = text_graph({print_op(assert_op(x, ge(x, 0), "a \"b\""), "m", {"min", "max"})});
  CHECK(equal_graphs(parse_graph(to_text(graph)), graph));
}
