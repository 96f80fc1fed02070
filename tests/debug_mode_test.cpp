#include <catch2/catch.hpp>
#include <filesystem>
#include <random>

#include "croton/croton.h"
#include "croton/runtime/bisect.h"
#include "croton/runtime/compare_values.h"
#include "croton/runtime/debug_report.h"
#include "places.h"
#include "quiet.h"
#include "random_cases.h"
#include "random_graphs.h"
#include "rewrite_cases.h"

using namespace croton;
using namespace croton::test;
using Catch::Contains;
using Catch::StartsWith;

TEST_CASE("DebugMode finds nothing in random graphs", "[runtime][check][random]") {
  const Quiet quiet;
  for (int seed = 0; seed < random_cases(12); ++seed) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed) + 500);
    const RandomGraph made = random_graph(random, 4 + seed % 20, seed % 2 == 0);
    INFO("seed " << seed << "\n" << to_text(made.outputs));
    const auto values = random_values(made.inputs, -1, 1, random);
    std::vector<Tensor> arguments;
    for (const Variable& input : made.inputs) arguments.push_back(values.at(input));
    const Function f = function({made.inputs.begin(), made.inputs.end()}, made.outputs,
                                {.mode = "DebugMode", .on_unused_input = OnUnusedInput::ignore});
    CHECK_NOTHROW(f.call_all(arguments));
  }
}

TEST_CASE("DebugMode of a training step with a convolution", "[runtime][check]") {
  const Quiet quiet;
  std::mt19937 random(3);
  const auto noise = [&](const Shape& shape) {
    std::normal_distribution<float> draw(0, 0.3f);
    std::vector<float> values(static_cast<std::size_t>(shape.count()));
    for (float& value : values) value = draw(random);
    return Tensor(values, shape);
  };
  const Variable x = tensor4("x"), y = ivector("y");
  SharedVariable w = shared(noise({3, 1, 3, 3}), "w"), v = shared(noise({27, 4}), "v"),
                 b = shared(Tensor::zeros({4}), "b");
  const Variable hidden = tanh(pool_2d(conv2d(x, w), {2, 2}));
  const Variable p = softmax(dot(hidden.flatten(2), v) + b);
  const Variable cost = mean(categorical_crossentropy(p, y));
  const auto g = grad(cost, {w, v, b});
  const FunctionOptions options{.updates = {{w, w - 0.1 * g[0]}, {v, v - 0.1 * g[1]}, {b, b - 0.1 * g[2]}},
                                .mode = "DebugMode",
                                .name = "train"};
  const Function train = function({x, y}, cost, options);
  const Tensor images = noise({5, 1, 8, 8});
  const Tensor labels(std::vector<std::int32_t>{0, 3, 1, 2, 3});
  const float first = train(images, labels).item<float>();
  const float second = train(images, labels).item<float>();
  CHECK(second < first);
}

TEST_CASE("DebugMode of a function with a shared scalar", "[runtime][check]") {
  const Quiet quiet;
  const Variable x = matrix("x");
  SharedVariable s = shared(Tensor(2.f), "s");
  const Function f = function({x}, sum(softmax(x * s)), {.updates = {{s, s + 1}}, .mode = "DebugMode"});
  CHECK(f(Tensor::ones({3, 4})).item<float>() == Approx(3));
  CHECK(s.get_value().item<float>() == 3);
}

TEST_CASE("what a user does wrong is the same error in DebugMode", "[runtime][check]") {
  const Variable x = matrix("x"), y = matrix("y");
  const Function f = function({x, y}, dot(x, y), {.mode = "DebugMode"});
  CHECK_THROWS_AS(f(Tensor::ones({2, 3}), Tensor::ones({2, 3})), ShapeError);
}

TEST_CASE("DebugMode lets a stable form be finite where the written one overflows", "[runtime][check]") {
  const Quiet quiet;
  const Variable x = matrix("x"), y = ivector("y");
  const Function f =
      function({x, y}, mean(categorical_crossentropy(softmax(x), y)), {.mode = "DebugMode", .name = "f"});
  const Tensor far(std::vector<float>{-1e8f, 1e8f}, Shape{1, 2});
  CHECK(f(far, Tensor(std::vector<std::int32_t>{0})).item<float>() == 2e8f);
}

TEST_CASE("a report is a file that can be run again", "[runtime][check]") {
  const std::filesystem::path folder = croton::test::writable_folder() / "reports";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const ConfigScope scope({{"DebugMode.report_dir", folder.string()}});
  const Variable x = vector("x");
  SharedVariable s = shared(Tensor{0.5f, -4.f}, "s");
  const Function f =
      function({x}, sum(x), {.updates = {{s, log(x + s)}}, .mode = "NanGuardMode", .name = "guarded"});
  std::string text;
  try {
    f(Tensor{1.f, 2.f});
  } catch (const NanGuardError& e) {
    text = e.what();
  }
  const std::size_t at = text.find("croton replay ");
  REQUIRE(at != std::string::npos);
  const std::string path = text.substr(at + 14, text.find(' ', at + 14) - at - 14);
  const Replay replay = load_replay(path);
  CHECK_THAT(replay.report, StartsWith("NaN detected"));
  CHECK(replay.function.name() == "guarded");
  CHECK_THROWS_AS(replay.function.call_all(replay.arguments), NanGuardError);
  const Replay plain = load_replay(path, "FAST_RUN");
  CHECK(plain.function.call_all(plain.arguments).item<float>() == 3);
  CHECK(plain.function.updated().size() == 1);
  CHECK(equal(s.get_value(), Tensor{0.5f, -4.f}));
}

TEST_CASE("bisect has nothing to say of a graph that is right", "[runtime][check]") {
  const Variable x = matrix("x");
  CHECK_FALSE(bisect({"f", {x}, {softmax(x) * 2}}, {Tensor::ones({3, 4})}));
  CHECK_THROWS_AS(bisect({"f", {x}, {softmax(x)}}, {}), ValueError);
}

TEST_CASE("comparing values", "[runtime][check]") {
  const Tensor a{1.f, 2.f, NAN, INFINITY};
  CHECK_FALSE(compare_values(a, a.copy(), tolerance_of(DType::float32)));
  const auto difference = compare_values(a, Tensor{1.f, 2.5f, NAN, 3.f}, tolerance_of(DType::float32));
  REQUIRE(difference);
  CHECK(difference->wrong == 2);
  CHECK(difference->text() == "2 of 4 elements differ; the worst is [3]: expected inf, got 3");
  Tolerance finite = tolerance_of(DType::float32);
  finite.only_finite = true;
  CHECK(compare_values(a, Tensor{1.f, 2.5f, 7.f, 3.f}, finite)->text() ==
        "1 of 4 elements differ; the worst is [1]: expected 2, got 2.5 (allowed to differ by 0.00011)");
  CHECK(compare_values(Tensor{1, 2}, Tensor{1, 3}, {})->wrong == 1);
  CHECK(compare_values(a, Tensor{1.f}, {})->text() == "expected float32[4], got float32[1]");
  const Tensor huge = Tensor(std::vector<std::int64_t>{9007199254740993}),
               near = Tensor(std::vector<std::int64_t>{9007199254740992});
  CHECK(compare_values(huge, near, {}));
}
