#include "numbers.h"
#include "workload.h"

using namespace croton;

namespace {

constexpr double float_bytes = 4;

Workload chain(Sizes sizes) {
  const Shape shape = {sizes[0]};
  const std::vector<Tensor> values = {uniform(shape, 1), uniform(shape, 2), uniform(shape, 3),
                                      uniform(shape, 4)};
  const auto begin = Clock::now();
  const Variable a = fvector("a"), b = fvector("b"), c = fvector("c"), d = fvector("d");
  const Variable result = tanh(a * b + c) * sigmoid(d) + log1p(exp(-abs(a)));
  Workload work = workload_of(begin, function({a, b, c, d}, result, {.name = "chain"}), values);
  work.bytes = 5 * float_bytes * static_cast<double>(sizes[0]);
  return work;
}

/// A function of one tensor of the sizes' shape, and of what rank.
template <Variable make(const Variable& x)>
Workload unary(Sizes sizes) {
  Shape shape;
  for (const std::int64_t extent : sizes) shape.push_back(extent);
  const Tensor value = uniform(shape, 1);
  const auto begin = Clock::now();
  const Variable x = shape.rank() == 1 ? fvector("x") : fmatrix("x");
  const Function f = function({x}, make(x));
  Workload work = workload_of(begin, f, {value});
  const Tensor result = f(value);
  work.bytes = static_cast<double>(value.bytes() + result.bytes());
  return work;
}

Variable exp_of(const Variable& x) { return exp(x); }
Variable scaled(const Variable& x) { return 2 * x; }
Variable softmax_of(const Variable& x) { return softmax(x); }
Variable logsumexp_of(const Variable& x) { return log(sum(exp(x), 1)); }
Variable sum_0(const Variable& x) { return x.sum(0); }
Variable sum_1(const Variable& x) { return x.sum(1); }
Variable sum_all(const Variable& x) { return x.sum(); }
Variable transposed(const Variable& x) { return x.T(); }

struct Pooling {
  Tensor image;
  Variable x, y;

  explicit Pooling(Sizes sizes) : image(uniform({sizes[0], sizes[1], sizes[2], sizes[2]}, 1)) {
    begin = Clock::now();
    x = ftensor4("x");
    y = pool_2d(x, {sizes[3], sizes[3]}, {.stride = {sizes[4], sizes[4]}});
  }
  Clock::time_point begin;
};

/// Max-pooling. Sizes: batch, channels, side of the image, side of the window, stride.
Workload pool_forward(Sizes sizes) {
  const Pooling pooling(sizes);
  const Function f = function({pooling.x}, pooling.y, {.name = "pool"});
  Workload work = workload_of(pooling.begin, f, {pooling.image});
  work.bytes = static_cast<double>(pooling.image.bytes()) + static_cast<double>(f(pooling.image).size()) * 4;
  return work;
}

/// Its gradient, the pooled image being known.
Workload pool_backward(Sizes sizes) {
  const Pooling pooling(sizes);
  const Tensor pooled = eval(pooling.y, {{pooling.x, pooling.image}});
  const Tensor gradient = uniform(pooled.shape(), 2);
  const auto begin = Clock::now();
  const Variable gy = ftensor4("gy");
  const Variable gx = grad(none, pooling.x, {.known_grads = {{pooling.y, gy}}});
  const Function f = function({pooling.x, pooling.y, gy}, gx, {.name = "pool_grad"});
  Workload work = workload_of(begin, f, {pooling.image, pooled, gradient});
  work.bytes = 2 * static_cast<double>(pooling.image.bytes()) + 2 * static_cast<double>(pooled.bytes());
  return work;
}

constexpr Kind kinds[] = {{"chain", 1, chain},
                          {"exp", 1, unary<exp_of>},
                          {"scale", 1, unary<scaled>},
                          {"softmax", 2, unary<softmax_of>},
                          {"logsumexp", 2, unary<logsumexp_of>},
                          {"sum_0", 2, unary<sum_0>},
                          {"sum_1", 2, unary<sum_1>},
                          {"sum_all", 2, unary<sum_all>},
                          {"transpose", 2, unary<transposed>},
                          {"pool_forward", 5, pool_forward},
                          {"pool_backward", 5, pool_backward}};

}  // namespace

std::span<const Kind> kernel_kinds() { return kinds; }
