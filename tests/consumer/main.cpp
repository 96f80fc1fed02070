#include <croton/croton.h>

#include <cmath>
#include <iostream>

// What a user's first program does: an expression, its gradient, a compiled function, a shared variable.
int main() {
  using namespace croton;
  const Variable x = vector("x");
  const SharedVariable w = shared(Tensor{1.0f, 2.0f, 3.0f}, "w");
  const Variable cost = sum(sqr(x * w));
  const Function step = function({x}, cost, {.updates = {{w, w - 0.5 * grad(cost, w)}}});
  const float before = step(Tensor{1.0f, 1.0f, 1.0f}).item<float>();
  const Tensor after = w.get_value();
  if (before != 14.0f || std::abs(after.at<float>({2})) > 1e-6f) {
    std::cerr << "the function computed " << before << " and left w = " << after << '\n';
    return 1;
  }
  std::cout << "croton " << version() << '\n';
  return 0;
}
