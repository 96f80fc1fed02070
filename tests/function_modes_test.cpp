#include <catch2/catch.hpp>
#include <random>

#include "croton/croton.h"
#include "random_cases.h"

using namespace croton;

namespace {

/// Random expressions over matrices of a few shapes. Values stay of moderate size, so that the modes may be
/// compared although they round differently.
class RandomFunction {
 public:
  explicit RandomFunction(unsigned seed) : random_(seed) {
    rows_ = pick({1, 2, 3, 5, 8});
    columns_ = pick({1, 2, 4, 7, 9});
    const int leaves = 3;
    for (int i = 0; i < leaves; ++i) {
      Variable x = matrix("x" + std::to_string(i));
      inputs.push_back(x);
      arguments.push_back(random_tensor({rows_, columns_}));
      pool_.push_back(x);
    }
    for (int i = 0; i < 2; ++i) {
      shared_variables.push_back(shared(random_tensor({rows_, columns_}), "s" + std::to_string(i)));
      pool_.push_back(shared_variables.back());
    }
    for (int i = 0; i < 12; ++i) pool_.push_back(step());
    for (int i = 0; i < 3; ++i) outputs.push_back(pool_[below(pool_.size())]);
    outputs.push_back(sum(any()));
    outputs.push_back(any().T());
    for (const SharedVariable& s : shared_variables) {
      if (below(4) > 0) updates.push_back({s, below(2) ? s - 0.1 * any() : any()});
    }
  }

  std::vector<In> inputs;
  std::vector<Tensor> arguments;
  std::vector<SharedVariable> shared_variables;
  std::vector<Out> outputs;
  std::vector<Update> updates;

 private:
  std::size_t below(std::size_t n) { return random_() % n; }
  std::int64_t pick(std::initializer_list<std::int64_t> list) { return list.begin()[below(list.size())]; }
  Variable any() { return pool_[below(pool_.size())]; }

  Tensor random_tensor(const Shape& shape) {
    Tensor tensor = Tensor::empty(shape, DType::float32);
    std::uniform_real_distribution<float> uniform(-2, 2);
    for (float& value : std::span(tensor.data<float>(), static_cast<std::size_t>(tensor.size()))) {
      value = uniform(random_);
    }
    return tensor;
  }

  /// An expression of the common shape.
  Variable step() {
    const Variable a = any(), b = any();
    switch (below(16)) {
      case 0:
        return a + b;
      case 1:
        return a - b;
      case 2:
        return tanh(a * b);
      case 3:
        return maximum(a, b) - 1;
      case 4:
        return tanh(a) * 2;
      case 5:
        return exp(-sqr(a));
      case 6:
        return log(1 + exp(-abs(a)));
      case 7:
        return softmax(a) - mean(b);
      case 8:
        return a / (1 + sqr(b));
      case 9:
        return tanh(dot(a, b.T())).sum(1, true) * 0.1 + dot(tanh(dot(a, b.T())), b) * 0.05;
      case 10:
        return a - a.mean(0, true);
      case 11:
        return switch_(gt(a, b), a, 0.5 * b);
      case 12:
        return (a.T() * 0.5).T() + b.reshape({columns_, rows_}).reshape({rows_, columns_});
      case 13:
        return set_subtensor(a(slice(0, 1)), b(slice(0, 1)) * 0.5);
      case 14:
        return concatenate({a(slice(1, none)), b(slice(none, 1))}) * 0.7;
      default:
        return a(slice(none, none, -1), all) + b(all, slice(none, none, -1));
    }
  }

  std::mt19937 random_;
  std::int64_t rows_, columns_;
  std::vector<Variable> pool_;
};

struct Results {
  std::vector<Tensor> outputs;
  std::vector<Tensor> shared;
};

Results run(const RandomFunction& graph, const char* mode, int calls) {
  std::vector<Tensor> before;
  for (const SharedVariable& s : graph.shared_variables) before.push_back(s.get_value());
  const Function f =
      function(graph.inputs, graph.outputs,
               {.updates = graph.updates, .mode = Mode(mode), .on_unused_input = OnUnusedInput::ignore});
  Results results;
  for (int i = 0; i < calls; ++i) {
    const Outputs outputs = f.call_all(graph.arguments);
    results.outputs.assign(outputs.begin(), outputs.end());
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    SharedVariable s = graph.shared_variables[i];
    results.shared.push_back(s.get_value());
    s.set_value(before[i]);
  }
  return results;
}

void compare(const std::vector<Tensor>& got, const std::vector<Tensor>& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO("value " << i << "\n" << got[i] << "\nexpected\n" << expected[i]);
    CHECK(allclose(got[i], expected[i], 2e-4, 2e-4, true));
  }
}

}  // namespace

TEST_CASE("optimized functions compute what unoptimized ones do", "[runtime][random]") {
  for (int seed = 0; seed < test::random_cases(200); ++seed) {
    const RandomFunction graph(static_cast<unsigned>(seed));
    INFO("seed " << seed);
    const Results expected = run(graph, "None", 2);
    for (const char* mode : {"FAST_RUN", "FAST_COMPILE"}) {
      INFO(mode);
      const Results got = run(graph, mode, 2);
      compare(got.outputs, expected.outputs);
      compare(got.shared, expected.shared);
    }
  }
}
