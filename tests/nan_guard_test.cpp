#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "croton/croton.h"
#include "messages.h"
#include "quiet.h"

using namespace croton;
using Catch::Contains;
using Catch::StartsWith;
using croton::test::Messages;
using croton::test::Quiet;

namespace {

std::string error_of(const Function& f, const Tensor& x) {
  const Quiet quiet;
  try {
    f(x);
  } catch (const NanGuardError& e) {
    return e.what();
  }
  return "nothing";
}

}  // namespace

TEST_CASE("NanGuardMode names the node, its inputs and what is inside of a fused node", "[runtime][check]") {
  const Variable x = vector("x");
  const Function f = function({x}, sum(tanh(sqrt(x) * 2)), {.mode = "NanGuardMode", .name = "f"});
  CHECK(f(Tensor{4.f, 1.f}).item<float>() == Approx(std::tanh(4.0) + std::tanh(2.0)));
  const std::string text = error_of(f, Tensor{4.f, -1.f});
  CHECK_THAT(text, StartsWith("NaN detected: 1 of 1 elements in output 0 of CompositeReduce{") &&
                       Contains("made at nan_guard_test.cpp:") && Contains("min -1, max 4, mean 1.5") &&
                       Contains("inside of the fused node first in Elemwise{sqrt") &&
                       Contains("the graph of the node:"));
}

TEST_CASE("NanGuardMode looks at what it is told to", "[runtime][check]") {
  const Variable x = vector("x");
  const auto made = [&](const Variable& y) {
    return function({x}, y, {.mode = "NanGuardMode", .name = "f"});
  };
  const Tensor infinite{1.f, INFINITY}, missing{1.f, NAN}, big{1.f, 2e10f};
  CHECK_THAT(error_of(made(x + 1), infinite), StartsWith("Inf detected: 1 of 2 elements in x (float32[2]"));
  CHECK_THAT(error_of(made(x + 1), missing), StartsWith("NaN detected"));
  CHECK_THAT(error_of(made(x + 1), big), StartsWith("Big value detected"));
  {
    const ConfigScope scope({{"NanGuardMode.big_is_error", "false"}, {"NanGuardMode.inf_is_error", "false"}});
    CHECK(error_of(made(x + 2), big) == "nothing");
    CHECK(error_of(made(x + 2), infinite) == "nothing");
    CHECK_THAT(error_of(made(x + 2), missing), StartsWith("NaN detected"));
  }
  {
    const ConfigScope scope({{"NanGuardMode.nan_is_error", "false"}});
    CHECK(error_of(made(x + 3), missing) == "nothing");
  }
  const ConfigScope scope({{"NanGuardMode.action", "warn"}});
  const Messages messages;
  CHECK(error_of(made(x + 4), missing) == "nothing");
  REQUIRE(messages.list.size() == 2);  // the argument, and what is computed from it
  CHECK_THAT(messages.list[1],
             Contains("NaN detected: 1 of 2 elements in output 0 of") && Contains("Elemwise{add"));
}

TEST_CASE("a call that NanGuardMode ends leaves shared variables as they were", "[runtime][check]") {
  SharedVariable s = shared(Tensor{1.f, 2.f}, "s");
  const Variable x = vector("x");
  const Quiet quiet;
  const Function f = function({x}, {}, {.updates = {{s, s - log(x)}}, .mode = "NanGuardMode"});
  CHECK_THROWS_AS(f(Tensor{1.f, -1.f}), NanGuardError);
  CHECK(equal(s.get_value(), Tensor{1.f, 2.f}));
  f(Tensor{1.f, 1.f});
  CHECK(equal(s.get_value(), Tensor{1.f, 2.f}));
}

TEST_CASE("MonitorMode calls around every node", "[runtime][check]") {
  const Variable x = matrix("x"), w = matrix("w");
  std::vector<std::string> calls;
  const Mode mode = monitor_mode(
      [&](const NodeCall& call) {
        CHECK(call.outputs.empty());
        calls.push_back("before " + std::to_string(call.position) + " " + call.node.op().name());
      },
      [&](const NodeCall& call) {
        calls.push_back("after " + std::to_string(call.position) + " " + to_string(call.outputs[0].shape()));
      });
  const Function f = function({x, w}, tanh(dot(x, w)), {.mode = mode, .device = "cpu"});
  const Tensor result = f(Tensor::ones({2, 3}), Tensor::ones({3, 4}));
  CHECK(result.at<float>({1, 3}) == Approx(std::tanh(3.0)));
  CHECK(calls ==
        std::vector<std::string>{"before 0 dot22", "after 0 (2, 4)", "before 1 tanh", "after 1 (2, 4)"});
}

TEST_CASE("MonitorMode without callbacks reports every node", "[runtime][check]") {
  const Messages messages;
  const Variable x = vector("x");
  function({x}, exp(x), {.mode = "MonitorMode", .device = "cpu"})(Tensor{0.f, 1.f});
  REQUIRE(messages.list.size() == 1);
  CHECK_THAT(messages.list[0],
             StartsWith("0: Elemwise{exp") && Contains("float32[2]: min 1, max 2.71828, mean 1.85914"));
}

TEST_CASE("an exception from a callback ends the call", "[runtime][check]") {
  const Variable x = vector("x");
  const Mode mode = monitor_mode({}, [](const NodeCall&) { throw ValueError("enough"); });
  CHECK_THROWS_AS(function({x}, exp(x), {.mode = mode})(Tensor{0.f, 1.f}), ValueError);
}
