// Values that no step computes wrongly and nobody wants.

#include "bugs.h"
#include "croton/croton.h"

namespace planted {

using namespace croton;

namespace {

void run(const Variable& x, const Variable& y, const Tensor& value) {
  function({x}, y, {.mode = "NanGuardMode", .name = "f"})(value);
}

void nan_source() {
  const Variable x = vector("x");
  run(x, tanh(sqrt(x) * 2) + 1, Tensor{4.f, 1.f, -1.f});
}

void infinity_source() {
  const Variable x = vector("x");
  run(x, tanh(1.0 / x), Tensor{4.f, 0.f, -1.f});
}

void big_source() {
  const Variable x = vector("x");
  run(x, tanh(exp(x)), Tensor{4.f, 40.f, -1.f});
}

}  // namespace

std::vector<Bug> value_bugs() {
  return {{"NaN source", "NanGuardError", "sqrt", nan_source},
          {"infinity source", "NanGuardError", "reciprocal", infinity_source},
          {"big value", "NanGuardError", "exp", big_source}};
}

}  // namespace planted
