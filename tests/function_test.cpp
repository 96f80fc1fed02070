#include "croton/runtime/function.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "croton/croton.h"

using namespace croton;

TEST_CASE("a function computes its outputs", "[runtime][function]") {
  const Variable x = vector("x"), y = vector("y");
  const Tensor a{1.f, 2.f, 3.f}, b{10.f, 20.f, 30.f};

  SECTION("one") {
    const Function f = function({x, y}, x * y + 1);
    const Tensor result = f(a, b);
    CHECK(equal(result, Tensor{11.f, 41.f, 91.f}));
  }
  SECTION("several, by position and by name") {
    Variable sum = x + y;
    sum.set_name("sum");
    const Function f = function({x, y}, {{"product", x * y}, sum, x});
    const Outputs results = f(a, b);
    REQUIRE(results.size() == 3);
    CHECK(equal(results["product"], Tensor{10.f, 40.f, 90.f}));
    CHECK(equal(results["sum"], Tensor{11.f, 22.f, 33.f}));
    CHECK(equal(results[2], a));
    CHECK(results[2].raw_data() != a.raw_data());
    CHECK(f.output_names() == std::vector<std::string>{"product", "sum", "x"});
    CHECK_THROWS_AS(results[3], IndexError);
    CHECK_THROWS_WITH(results["prodcut"], Catch::Contains("did you mean product"));
    CHECK_THROWS_AS(results.tensor(), ValueError);
  }
  SECTION("none") {
    const SharedVariable s = shared(Tensor{1.f, 1.f, 1.f}, "s");
    const Function f = function({x}, {}, {.updates = {{s, s + x}}});
    CHECK(f(a).size() == 0);
    CHECK(equal(s.get_value(), Tensor{2.f, 3.f, 4.f}));
  }
  SECTION("the same variable twice gives two results") {
    const Variable z = x + y;
    const Outputs results = function({x, y}, {z, z})(a, b);
    CHECK(equal(results[0], results[1]));
    CHECK(results[0].raw_data() != results[1].raw_data());
  }
  SECTION("views are results of their own") {
    const Variable m = matrix("m");
    const Outputs results = function({m}, {m.T(), m.T()(0), m.reshape({-1})})(Tensor{{1.f, 2.f}, {3.f, 4.f}});
    CHECK(equal(results[0], Tensor{{1.f, 3.f}, {2.f, 4.f}}));
    CHECK(results[0].is_contiguous());
    CHECK(equal(results[1], Tensor{1.f, 3.f}));
    CHECK(equal(results[2], Tensor{1.f, 2.f, 3.f, 4.f}));
  }
  SECTION("constants") {
    CHECK(function({}, constant(Tensor{5.f, 6.f}))().tensor().to_vector<float>() == std::vector<float>{5, 6});
  }
  SECTION("an expression as an input cuts the graph") {
    const Variable z = x * 2;
    const Function f = function({z}, z + 1);
    CHECK(equal(f(a), Tensor{2.f, 3.f, 4.f}));
  }
  SECTION("an expression as an input, with givens") {
    const Variable z = x * 2;
    const Function f = function({z}, z + y, {.givens = {{y, z * 10}}});
    CHECK(equal(f(a), Tensor{11.f, 22.f, 33.f}));
  }
}

TEST_CASE("arguments by name and by default", "[runtime][function]") {
  const Variable x = scalar("x"), y = scalar("y"), rate = scalar("rate");
  const Function f = function({x, y, In(rate, Tensor(0.5f))}, x + rate * y);
  CHECK(f(1.f, 4.f).item<float>() == 3);
  CHECK(f(1.f, 4.f, 2.f).item<float>() == 9);
  CHECK(f(1.f, 4.f).item<float>() == 3);
  CHECK(f({{"y", 4.f}, {"x", 1.f}}).item<float>() == 3);
  CHECK(f({{y, 4.f}, {x, 1.f}, {"rate", 1.f}}).item<float>() == 5);
  CHECK_THROWS_WITH(f({{"y", 4.f}}), Catch::Contains("argument 0") && Catch::Contains("was not given"));
  CHECK_THROWS_WITH(f({{"x", 1.f}, {"z", 4.f}}), Catch::Contains("unknown input 'z'") &&
                                                     Catch::Contains("its named inputs are x, y, rate"));
  CHECK_THROWS_WITH(f({{"x", 1.f}, {"x", 4.f}}), Catch::Contains("was given twice"));
  CHECK_THROWS_AS(f({{"x", 1.f}}), MissingInputError);
  CHECK_THROWS_AS(f(1.f), MissingInputError);
  CHECK_THROWS_WITH(f(1.f, 2.f, 3.f, 4.f), Catch::Contains("takes 3 arguments, got 4"));

  const Variable a = scalar("a"), also_a = scalar("a");
  const Function g = function({a, also_a}, a - also_a);
  CHECK_THROWS_WITH(g({{"a", 1.f}, {"a", 2.f}}), Catch::Contains("ambiguous"));
  CHECK(g({{a, 3.f}, {also_a, 2.f}}).item<float>() == 1);
}

TEST_CASE("arguments are converted where nothing is lost", "[runtime][function]") {
  const Variable x = dvector("x");
  const Function f = function({x}, x * 2);
  CHECK(equal(f(Tensor{1.f, 2.f}), Tensor{2., 4.}));
  CHECK(equal(f(Tensor{1, 2}), Tensor{2., 4.}));

  const Function g = function({fvector("x")}, {}, {.name = "g", .on_unused_input = OnUnusedInput::ignore});
  CHECK_THROWS_WITH(g(Tensor{1., 2.}), Catch::Contains("argument 0 (counted from 0) of function 'g', x") &&
                                           Catch::Contains("expected float32, got float64 with shape (2,)"));
  const Function h =
      function({fvector("x")}, {}, {.on_unused_input = OnUnusedInput::ignore, .allow_input_downcast = true});
  CHECK_NOTHROW(h(Tensor{1., 2.}));

  const Variable i = iscalar("i");
  const Function k = function({i}, i + 1);
  CHECK(k(3).item<int>() == 4);
  CHECK(k(3.0).item<int>() == 4);
  CHECK_THROWS_AS(k(3.5), TypeError);
}

TEST_CASE("strided arguments", "[runtime][function]") {
  const Variable m = matrix("m");
  const Function f = function({m}, m * 2);
  const Tensor t{{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}};
  CHECK(equal(f(t.transpose()), Tensor{{2.f, 8.f}, {4.f, 10.f}, {6.f, 12.f}}));
  CHECK(equal(f(t.slice(1, {}, {}, -1)), Tensor{{6.f, 4.f, 2.f}, {12.f, 10.f, 8.f}}));
  CHECK(equal(f(Tensor{{7.f}}.broadcast_to({2, 2})), Tensor{{14.f, 14.f}, {14.f, 14.f}}));
}

TEST_CASE("shared variables with values that do not lie contiguously", "[runtime][function]") {
  const Tensor t{{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}};
  SharedVariable s = shared(t.transpose(), "s", {.borrow = true});
  CHECK(equal(function({}, s * 1)(), t.transpose()));
  function({}, {}, {.updates = {{s, s + 1}}})();
  CHECK(equal(s.get_value(), Tensor{{2.f, 5.f}, {3.f, 6.f}, {4.f, 7.f}}));
  CHECK(t.at<float>({0, 0}) == 1);
}

TEST_CASE("updates see old values and are stored after the outputs", "[runtime][updates]") {
  SharedVariable a = shared(Tensor{1.f, 2.f}, "a"), b = shared(Tensor{10.f, 20.f}, "b");
  const Variable x = vector("x");

  SECTION("a swap") {
    const Function f = function({}, {}, {.updates = {{a, b}, {b, a}}});
    f();
    CHECK(equal(a.get_value(), Tensor{10.f, 20.f}));
    CHECK(equal(b.get_value(), Tensor{1.f, 2.f}));
    f();
    CHECK(equal(a.get_value(), Tensor{1.f, 2.f}));
  }
  SECTION("outputs show the old values") {
    const Function f = function({x}, {a, a * b}, {.updates = {{a, a + x}, {b, a}}});
    const Outputs results = f(Tensor{5.f, 5.f});
    CHECK(equal(results[0], Tensor{1.f, 2.f}));
    CHECK(equal(results[1], Tensor{10.f, 40.f}));
    CHECK(equal(a.get_value(), Tensor{6.f, 7.f}));
    CHECK(equal(b.get_value(), Tensor{1.f, 2.f}));
  }
  SECTION("a new value is an output too") {
    const Variable next = a + x;
    const Function f = function({x}, {next, a}, {.updates = {{a, next}, {b, next}}});
    for (int i = 0; i < 3; ++i) {
      const Outputs results = f(Tensor{1.f, 1.f});
      CHECK(equal(results[0], a.get_value()));
      CHECK(equal(results[0], b.get_value()));
      CHECK(results[1].at<float>({0}) == results[0].at<float>({0}) - 1);
    }
  }
  SECTION("to an input, to a constant, to itself") {
    const Tensor argument{7.f, 8.f};
    function({x}, {}, {.updates = {{a, x}, {b, b}}})(argument);
    CHECK(equal(a.get_value(), argument));
    argument.fill(0.f);
    CHECK(equal(a.get_value(), Tensor{7.f, 8.f}));
    CHECK(equal(b.get_value(), Tensor{10.f, 20.f}));
    function({}, {}, {.updates = {{a, constant(Tensor{3.f, 3.f})}}})();
    function({}, {}, {.updates = {{a, a + 1}}})();
    CHECK(equal(a.get_value(), Tensor{4.f, 4.f}));
    function({}, {}, {.updates = {{a, constant(Tensor{3.f, 3.f})}}})();
    CHECK(equal(a.get_value(), Tensor{3.f, 3.f}));
  }
  SECTION("the shape may change") {
    const Function f = function({}, {}, {.updates = {{a, concatenate({a, a})}}});
    f();
    f();
    CHECK(a.get_value().shape() == Shape{8});
    SharedVariable fixed = shared(Tensor{1.f, 2.f}, "fixed", {.shape = Shape{2}});
    const Function g = function({x}, {}, {.updates = {{fixed, x}}});
    CHECK_THROWS_WITH(g(Tensor{1.f, 2.f, 3.f}), Catch::Contains("fixed") && Catch::Contains("(3,)"));
    CHECK(equal(fixed.get_value(), Tensor{1.f, 2.f}));
    g(Tensor{3.f, 4.f});
    CHECK(equal(fixed.get_value(), Tensor{3.f, 4.f}));
  }
  SECTION("a C++ number takes on the dtype") {
    SharedVariable count = shared(0, "count");
    const Function f = function({}, count, {.updates = {{count, count + 1}, {a, a * 0.5}}});
    f();
    CHECK(f().item<std::int64_t>() == 1);
    CHECK(count.get_value().item<std::int64_t>() == 2);
    CHECK(equal(a.get_value(), Tensor{0.25f, 0.5f}));
  }
  SECTION("transposed") {
    SharedVariable m = shared(Tensor{{1.f, 2.f}, {3.f, 4.f}}, "m");
    const Function f = function({}, {}, {.updates = {{m, m.T()}}});
    f();
    CHECK(equal(m.get_value(), Tensor{{1.f, 3.f}, {2.f, 4.f}}));
    f();
    CHECK(equal(m.get_value(), Tensor{{1.f, 2.f}, {3.f, 4.f}}));
  }
}

TEST_CASE("default updates", "[runtime][updates]") {
  SharedVariable state = shared(Tensor(1.f), "state"), other = shared(Tensor(100.f), "other");
  state.set_default_update(state * 2 + other * 0);
  other.set_default_update(other + 1);
  const Function f = function({}, state + 0);
  CHECK(f.updated().size() == 2);
  CHECK(f().item<float>() == 1);
  CHECK(f().item<float>() == 2);
  CHECK(other.get_value().item<float>() == 102);
  const Function without = function({}, state + 0, {.no_default_updates = true});
  CHECK(without().item<float>() == 4);
  CHECK(without().item<float>() == 4);
  const Function replaced = function({}, state + 0, {.updates = {{state, state - 1}}});
  CHECK(replaced().item<float>() == 4);
  CHECK(state.get_value().item<float>() == 3);

  RandomStreams streams(7);
  const Variable draw = streams.uniform({4});
  const Function g = function({}, draw);
  const Tensor first = g();
  CHECK_FALSE(equal(first, g()));
  streams.seed(7);
  CHECK(equal(first, g()));
}

TEST_CASE("givens", "[runtime][givens]") {
  const Variable x = vector("x"), y = vector("y");
  const SharedVariable data = shared(Tensor{1.f, 2.f, 3.f, 4.f}, "data");
  const Variable index = lscalar("index");
  const Function f = function({index}, sum(x * x), {.givens = {{x, data(slice(index, index + 2))}}});
  CHECK(f(0).item<float>() == 5);
  CHECK(f(2).item<float>() == 25);
  const Function g = function({}, x + y, {.givens = {{x, Tensor{1.f, 1.f}}, {y, Tensor{2.f, 3.f}}}});
  CHECK(equal(g(), Tensor{3.f, 4.f}));
  SharedVariable s = shared(Tensor{1.f, 1.f}, "s"), t = shared(Tensor{5.f, 5.f}, "t");
  const Function h = function({}, s * 2, {.updates = {{s, s + 1}}, .givens = {{s, t}}});
  CHECK(equal(h(), Tensor{10.f, 10.f}));
  CHECK(equal(s.get_value(), Tensor{6.f, 6.f}));
  CHECK_THROWS_AS(function({x}, x, {.givens = {{x, y}}}), ValueError);
  CHECK_THROWS_AS(function({}, x, {.givens = {{x, Tensor{1., 2.}}}}), TypeError);
}

TEST_CASE("eval", "[runtime][eval]") {
  const Variable x = vector("x");
  const Variable y = sum(x * x);
  CHECK(eval(y, {{x, Tensor{3.f, 4.f}}}).item<float>() == 25);
  CHECK(eval(y, {{"x", Tensor{1.f, 2.f, 2.f}}}).item<float>() == 9);
  CHECK(equal(eval(constant(Tensor{1.f}) + 1), Tensor{2.f}));
  CHECK_THROWS_WITH(eval(y, {{"X1", Tensor{1.f}}}), Catch::Contains("no input is called 'X1'"));
  CHECK_THROWS_AS(eval(y), MissingInputError);
}

TEST_CASE("modes", "[runtime][mode]") {
  const Variable x = vector("x");
  for (const char* name : {"FAST_RUN", "FAST_COMPILE", "None"}) {
    SharedVariable s = shared(Tensor{1.f, 2.f}, "s");
    const Function f =
        function({x}, {tanh(x) + s, s}, {.updates = {{s, s + x}}, .mode = Mode(name), .name = name});
    const Outputs results = f(Tensor{0.f, 1.f});
    INFO(name);
    CHECK(results[0].at<float>({1}) == Approx(2 + std::tanh(1.f)));
    CHECK(equal(results[1], Tensor{1.f, 2.f}));
    CHECK(equal(s.get_value(), Tensor{1.f, 3.f}));
  }
  CHECK_THROWS_WITH(Mode("FAST_RUM"), Catch::Contains("did you mean FAST_RUN"));
  CHECK_THROWS_AS(default_mode().including("no_such_tag"), FlagError);
  const ConfigScope scope({{"mode", "FAST_COMPILE"}});
  CHECK(default_mode().name() == ModeName::FAST_COMPILE);
}

TEST_CASE("what a function knows of itself", "[runtime][function][cpu]") {
  const Variable x = vector("x");
  const Function f = function({x}, x + 1);
  CHECK(f.name().find("function_test.cpp:") == 0);
  CHECK(f.plan_graph() == nullptr);
  CHECK(f.plan_text().empty());
  const auto planned = f.plan_graph({{4}});
  REQUIRE(planned != nullptr);
  CHECK(planned->outputs()[0].type().shape == Shape{4});
  f(Tensor{1.f, 2.f});
  CHECK(f.plan_graph()->outputs()[0].type().shape == Shape{2});
  CHECK(debugprint_text(f).find("Elemwise{add,no_inplace} [@A] ''   0") == 0);
  CHECK(f.plan_text().find("kernel") != std::string::npos);
  CHECK(f.compile_times().total() > 0);
  CHECK_THROWS_AS(f.plan_graph({{4}, {4}}), ValueError);
  CHECK_THROWS_AS(f.plan_graph({{4, 4}}), ShapeError);
  CHECK_THROWS_AS(f.profile(), ValueError);
  CHECK_THROWS_AS(Function().name(), ValueError);

  const Variable fixed = Variable(Node::make_input({DType::float32, {3}}, "fixed", {}));
  CHECK(function({fixed}, fixed * 2).plan_graph() != nullptr);
}

TEST_CASE("profiles", "[runtime][profile]") {
  const Variable x = matrix("x"), w = matrix("w");
  const Function f = function({x, w}, sum(tanh(dot(x, w))), {.name = "layer", .profile = true});
  for (int i = 0; i < 3; ++i) f(Tensor::ones({32, 16}), Tensor::ones({16, 8}));
  const Profile profile = f.profile();
  CHECK(profile.calls == 3);
  CHECK(profile.seconds > 0);
  REQUIRE(profile.rows.size() >= 2);
  double operations = 0;
  for (const Profile::Row& row : profile.rows) {
    CHECK(row.calls == 3);
    CHECK(row.bytes > 0);
    operations = std::max(operations, row.operations);
  }
  CHECK(operations == 2.0 * 32 * 16 * 8);
  CHECK(profile.to_text().find("function 'layer': 3 calls") == 0);
  CHECK(profile.to_text().find("GFLOP/s") != std::string::npos);
}
