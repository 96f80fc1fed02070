#include "random_graphs.h"

#include "croton/ops/blas.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/indexing.h"
#include "croton/ops/nnet.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"

namespace croton::test {

namespace {

class Maker {
 public:
  Maker(std::mt19937_64& random, bool known) : random_(random) {
    const std::int64_t n = known ? 3 : unknown;
    for (const Shape& shape : {Shape{n, n}, Shape{n, n}, Shape{1, n}, Shape{n, 1}, Shape{n}, Shape{}}) {
      inputs.push_back(tensor(DType::float64, shape, "x" + std::to_string(inputs.size())));
    }
    made = inputs;
  }

  void add() {
    const Variable result = node();
    if (result) made.push_back(result);
  }

  std::vector<Variable> inputs;
  std::vector<Variable> made;

 private:
  Variable any() {
    // Recent ones more often: deep graphs.
    const std::size_t n = made.size();
    return random_() % 2 == 0 ? made[random_() % n] : made[n - 1 - random_() % std::min<std::size_t>(n, 5)];
  }
  Variable of_rank(int rank) {
    for (int attempt = 0; attempt < 20; ++attempt) {
      Variable v = any();
      if (v.rank() == rank) return v;
    }
    return inputs[rank == 2 ? 0 : rank == 1 ? 4 : 5];
  }
  /// A matrix whose extents are not 1.
  Variable matrix() {
    for (int attempt = 0; attempt < 20; ++attempt) {
      Variable v = of_rank(2);
      if (!v.type().broadcastable(0) && !v.type().broadcastable(1)) return v;
    }
    return inputs[0];
  }

  Variable unary() {
    const Variable x = any();
    switch (random_() % 22) {
      case 0:
        return tanh(x);
      case 1:
        return sigmoid(x);
      case 2:
        return -x;
      case 3:
        return sqr(tanh(x));
      case 4:
        return exp(-sqr(x));
      case 5:
        return log(1 + exp(tanh(x)));
      case 6:
        return abs(x);
      case 7:
        return x * 2;
      case 8:
        return x + 1;
      case 9:
        return x * 1;
      case 10:
        return x - 0.5;
      case 11:
        return 1 - sigmoid(x);
      case 12:
        return x / 4;
      case 13:
        return sin(x);
      case 14:
        return softplus(x);
      case 15:
        return log(sigmoid(x));
      case 16:
        return pow(tanh(x), 3);
      case 17:
        return zeros_like(x) + x;
      case 18:
        return 1 / (1 + exp(-x));
      case 19:
        return x * 0;
      case 20:
        return cast(cast(x, DType::float64), DType::float64);
      default:
        return sqrt(1 + sqr(x));
    }
  }

  Variable binary() {
    const Variable x = any(), y = random_() % 4 == 0 ? x : any();
    switch (random_() % 10) {
      case 0:
        return x + y;
      case 1:
        return x - y;
      case 2:
        return tanh(x) * tanh(y);
      case 3:
        return x / (1 + sqr(y));
      case 4:
        return maximum(x, y);
      case 5:
        return switch_(x < y, x, y);
      case 6:
        return croton::add(x, y, x);
      case 7:
        return tanh(x) * (y + 1) - y;
      case 8:
        return minimum(-x, y);
      default:
        return second(x, y) * 0.5;
    }
  }

  Variable structural() {
    switch (random_() % 16) {
      case 0:
        return sum(any()) * 0.1;
      case 1:
        return mean(matrix(), static_cast<int>(random_() % 2));
      case 2:
        return max(matrix(), static_cast<int>(random_() % 2), true);
      case 3:
        return dot(matrix(), matrix()) * 0.2;
      case 4:
        return dot(matrix(), inputs[4]) * 0.2;
      case 5:
        return matrix().T();
      case 6:
        return softmax(matrix());
      case 7:
        return log(softmax(matrix()));
      case 8:
        return matrix() - 0.1 * dot(matrix().T(), tanh(matrix()));
      case 9:
        return matrix()(1);
      case 10:
        return set_subtensor(matrix()(slice(0, 2)), of_rank(0));
      case 11:
        return sum(2 * matrix(), 0);
      case 12:
        return join(0, {matrix(), matrix()})(slice(0, 3));
      case 13:
        return reshape(matrix(), {Operand(inputs[0].shape(0)), Operand(-1)});
      case 14:
        return log(sum(exp(tanh(matrix())), 1));
      default:
        return sum(second(matrix(), inputs[5]), 0) * 0.1;
    }
  }

  Variable node() {
    const std::uint64_t kind = random_() % 10;
    Variable result = kind < 4 ? unary() : kind < 7 ? binary() : structural();
    if (result.rank() > 2) return {};
    return result;
  }

  std::mt19937_64& random_;
};

}  // namespace

RandomGraph random_graph(std::mt19937_64& random, int nodes, bool known) {
  Maker maker(random, known);
  for (int i = 0; i < nodes; ++i) maker.add();
  RandomGraph graph{maker.inputs, {}};
  const std::size_t n = maker.made.size();
  for (int i = 0; i < 3; ++i)
    graph.outputs.push_back(maker.made[n - 1 - random() % std::min<std::size_t>(n, 6)]);
  return graph;
}

}  // namespace croton::test
