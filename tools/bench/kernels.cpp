#include <croton/ops/pool.h>

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
  Workload work = workload_of(begin, {{a, b, c, d}, result, {}, "chain", values});
  work.bytes = 5 * float_bytes * static_cast<double>(sizes[0]);
  return work;
}

double all_elements(Sizes sizes) {
  double count = 1;
  for (const std::int64_t extent : sizes) count *= static_cast<double>(extent);
  return count;
}
double rows(Sizes sizes) { return static_cast<double>(sizes[0]); }
double columns(Sizes sizes) { return static_cast<double>(sizes[1]); }
double one(Sizes) { return 1; }

/// A function of one tensor of the sizes' shape. `results`: how many elements it gives.
template <Variable make(const Variable& x), double results(Sizes) = all_elements>
Workload unary(Sizes sizes) {
  Shape shape;
  for (const std::int64_t extent : sizes) shape.push_back(extent);
  const Tensor value = uniform(shape, 1);
  const auto begin = Clock::now();
  const Variable x = shape.rank() == 1 ? fvector("x") : fmatrix("x");
  Workload work = workload_of(begin, {{x}, make(x), {}, "unary", {value}});
  work.bytes = float_bytes * (all_elements(sizes) + results(sizes));
  return work;
}

Variable exp_of(const Variable& x) { return exp(x); }
Variable scaled(const Variable& x) { return 2 * x; }
Variable copied(const Variable& x) { return x; }
Variable softmax_of(const Variable& x) { return softmax(x); }
Variable logsumexp_of(const Variable& x) { return log(sum(exp(x), 1)); }
Variable sum_0(const Variable& x) { return x.sum(0); }
Variable sum_1(const Variable& x) { return x.sum(1); }
Variable sum_all(const Variable& x) { return x.sum(); }
Variable transposed(const Variable& x) { return x.T(); }

struct Pooling {
  Tensor image;
  Shape pooled;
  Variable x, y;
  Clock::time_point begin;

  explicit Pooling(Sizes sizes) : image(uniform({sizes[0], sizes[1], sizes[2], sizes[2]}, 1)) {
    const std::int64_t side = (sizes[2] - sizes[3]) / sizes[4] + 1;
    pooled = {sizes[0], sizes[1], side, side};
    begin = Clock::now();
    x = ftensor4("x");
    y = pool_2d(x, {sizes[3], sizes[3]}, {.stride = {sizes[4], sizes[4]}});
  }
  double bytes() const {
    return static_cast<double>(image.bytes()) + float_bytes * static_cast<double>(pooled.count());
  }
};

/// Max-pooling. Sizes: batch, channels, side of the image, side of the window, stride.
Workload pool_forward(Sizes sizes) {
  const Pooling pooling(sizes);
  Workload work = workload_of(pooling.begin, {{pooling.x}, pooling.y, {}, "pool", {pooling.image}});
  work.bytes = pooling.bytes();
  return work;
}

/// Its gradient, what the forward pass keeps of it being known, as it is in a training step: on a GPU the
/// places of the maxima, on the CPU the image and the maxima.
Workload pool_backward(Sizes sizes) {
  const Pooling pooling(sizes);
  const bool has_places = on_gpu();
  const Variable gy = ftensor4("gy");
  const Attributes& windows = pooling.y.node()->attributes();
  const Ref<Node> places = make_node(max_pool_places_op(), {pooling.x}, windows);
  const Variable kept = has_places ? places->output(1) : pooling.y;
  const Tensor gradient = uniform(pooling.pooled, 2), value = eval(kept, {{pooling.x, pooling.image}});
  const auto begin = Clock::now();
  if (!has_places) {
    const Variable gx = grad(none, pooling.x, {.known_grads = {{pooling.y, gy}}});
    Workload work = workload_of(
        begin, {{pooling.x, pooling.y, gy}, gx, {}, "pool_grad", {pooling.image, value, gradient}});
    work.bytes = 2 * pooling.bytes();
    return work;
  }
  const Variable given(Node::make_input({DType::uint8, pooling.pooled}, "places", {}));
  const Variable gx = apply_op(max_pool_places_grad_op(), {given, gy},
                               windows.with("extents", std::vector<std::int64_t>{sizes[2], sizes[2]}));
  Workload work = workload_of(begin, {{given, gy}, gx, {}, "pool_grad", {value, gradient}});
  work.bytes = pooling.bytes() + static_cast<double>(value.bytes());
  return work;
}

/// Local response normalisation across channels, of ordinary operations: x (1 + alpha / size * the sum of x^2
/// over `size` channels around)^-beta. Sizes: batch, channels, side, how many channels.
Workload lrn(Sizes sizes) {
  constexpr double alpha = 1e-4, beta = 0.75;
  const Tensor image = uniform({sizes[0], sizes[1], sizes[2], sizes[2]}, 1);
  const std::int64_t channels = sizes[1], size = sizes[3];
  const auto begin = Clock::now();
  const Variable x = ftensor4("x");
  const Variable border = zeros({sizes[0], size / 2, sizes[2], sizes[2]}, DType::float32);
  const Variable squares = concatenate({border, sqr(x), border}, 1);
  Variable sum = squares(all, slice(0, channels));
  for (std::int64_t i = 1; i < size; ++i) sum = sum + squares(all, slice(i, i + channels));
  const Variable y = x * pow(1 + alpha / static_cast<double>(size) * sum, -beta);
  Workload work = workload_of(begin, {{x}, y, {}, "lrn", {image}});
  work.bytes = 2 * static_cast<double>(image.bytes());
  return work;
}

}  // namespace

std::span<const Kind> kernel_kinds() {
  static constexpr Kind kinds[] = {{"chain", 1, chain},
                                   {"copy", 1, unary<copied>},
                                   {"lrn", 4, lrn},
                                   {"exp", 1, unary<exp_of>},
                                   {"scale", 1, unary<scaled>},
                                   {"softmax", 2, unary<softmax_of>},
                                   {"logsumexp", 2, unary<logsumexp_of, rows>},
                                   {"sum_0", 2, unary<sum_0, columns>},
                                   {"sum_1", 2, unary<sum_1, rows>},
                                   {"sum_all", 2, unary<sum_all, one>},
                                   {"transpose", 2, unary<transposed>},
                                   {"pool_forward", 5, pool_forward},
                                   {"pool_backward", 5, pool_backward}};
  return kinds;
}
