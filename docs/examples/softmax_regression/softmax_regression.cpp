// The program of the README: logistic regression on the MNIST digits.

#include <croton/croton.h>
#include <fmt/core.h>

#include "../training/digits.h"
#include "../training/example_data.h"

using namespace croton;

int main() {
  const DigitSet digits = load_digits(example_data("mnist")).train;
  Variable X = matrix("X"), y = ivector("y");
  SharedVariable W = shared(Tensor::zeros({784, 10}), "W"), b = shared(Tensor::zeros({10}), "b");
  Variable p = softmax(dot(X, W) + b);
  Variable cost = mean(categorical_crossentropy(p, y));
  auto [gW, gb] = grad(cost, {W, b});
  Function train =
      function({X, y}, cost, {.updates = {{W, W - 0.1 * gW}, {b, b - 0.1 * gb}}, .name = "train"});
  for (const Batch& batch : digits.batches(500))
    fmt::print("{:.4f}\n", train(batch.images, batch.labels).item<float>());
  debugprint(train);
  W.get_value().save("W.npy");
}
