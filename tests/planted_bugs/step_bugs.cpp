// Kernels and library calls that read, write or compute what they must not.

#include <algorithm>
#include <random>

#include "bugs.h"
#include "croton/croton.h"
#include "planted_op.h"

namespace planted {

using namespace croton;

namespace {

constexpr std::int64_t length = 37;

Tensor noise(const Shape& shape, float low = -1, float high = 1) {
  static std::mt19937 random(5);
  std::uniform_real_distribution<float> draw(low, high);
  std::vector<float> values(static_cast<std::size_t>(shape.count()));
  for (float& value : values) value = draw(random);
  return Tensor(values, shape);
}

std::int64_t count(const Memory& memory) { return memory.outputs[0].shape.count(); }

/// An op that maps every element, right by its reference and wrong by its step.
Bug elementwise(const std::string& what, const std::string& error, const std::string& name,
                const std::function<float(float)>& right, const std::function<void(const Memory&)>& step,
                const std::vector<std::pair<int, int>>& inplace = {}, float low = -1, float high = 1) {
  const auto run = [=] {
    const Op& op = planted_op({.name = name,
                               .infer = {},
                               .evaluate = [right](std::span<const Tensor> in) -> std::vector<Tensor> {
                                 return {map(in[0], right)};
                               },
                               .grad = {},
                               .step = step,
                               .lower = {},
                               .inplace_candidates = inplace});
    const Variable x = vector("x");
    const Function f = function({x}, apply_op(op, {tanh(x)}) * 2, {.mode = "DebugMode", .name = "f"});
    f(noise({length}, low, high));
  };
  return {what, error, name, run};
}

float twice(float x) { return 2 * x; }

void write_one_too_many(const Memory& memory) {
  for (std::int64_t i = 0; i <= count(memory); ++i) memory.output()[i] = 2 * memory.input(0)[i];
}

void write_one_before(const Memory& memory) {
  for (std::int64_t i = -1; i < count(memory); ++i) memory.output()[i] = 2 * memory.input(0)[i];
}

void add_to_what_is_there(const Memory& memory) {
  for (std::int64_t i = 0; i < count(memory); ++i) memory.output()[i] += 2 * memory.input(0)[i];
}

void forget_the_tail(const Memory& memory) {
  for (std::int64_t i = 0; i < count(memory) / 4 * 4; ++i) memory.output()[i] = 2 * memory.input(0)[i];
}

void round_to_half(const Memory& memory) {
  for (std::int64_t i = 0; i < count(memory); ++i) memory.output()[i] = float16(2 * memory.input(0)[i]);
}

void negate_input(const Memory& memory) {
  for (std::int64_t i = 0; i < count(memory); ++i) {
    memory.output()[i] = 2 * memory.input(0)[i];
    memory.input(0)[i] = 0;
  }
}

Bug wrong_in_place() {
  const auto run = [] {
    const Op& op = planted_op({.name = "planted_reverse",
                               .infer = {},
                               .evaluate = [](std::span<const Tensor> in) -> std::vector<Tensor> {
                                 std::vector<float> values = floats(in[0]);
                                 std::ranges::reverse(values);
                                 return {Tensor(values)};
                               },
                               .grad = {},
                               .step =
                                   [](const Memory& memory) {
                                     const std::int64_t n = count(memory);
                                     for (std::int64_t i = 0; i < n; ++i)
                                       memory.output()[i] = memory.input(0)[n - 1 - i];
                                   },
                               .lower = {},
                               .inplace_candidates = {{0, 0}}});
    const Variable x = vector("x");
    function({x}, apply_op(op, {tanh(x)}) * 2, {.mode = "DebugMode", .name = "f"})(noise({length}));
  };
  return {"wrong in-place", "BadThunkOutput", "planted_reverse", run};
}

Bug wrong_stride() {
  const auto run = [] {
    const Op& op = planted_op(
        {.name = "planted_wrong_stride",
         .infer = {},
         .evaluate = [](std::span<const Tensor> in) -> std::vector<Tensor> { return {map(in[0], twice)}; },
         .grad = {},
         .step =
             [](const Memory& memory) {
               for (std::int64_t i = 0; i < count(memory); ++i) memory.output()[i] = 2 * memory.input(0)[i];
             },
         .lower = {},
         .inplace_candidates = {}});
    const Variable x = matrix("x");
    function({x}, apply_op(op, {x}) + 1, {.mode = "DebugMode", .name = "f"})(noise({5, 7}));
  };
  return {"wrong stride", "BadThunkOutput", "planted_wrong_stride", run};
}

Bug wrong_identity() {
  const auto run = [] {
    const Op& op = planted_op({.name = "planted_maximum",
                               .infer = [](std::span<const Variable> in) -> std::vector<TensorType> {
                                 return {{in[0].dtype(), {}}};
                               },
                               .evaluate = [](std::span<const Tensor> in) -> std::vector<Tensor> {
                                 return {Tensor(std::ranges::max(floats(in[0])))};
                               },
                               .grad = {},
                               .step =
                                   [](const Memory& memory) {
                                     float largest = 0;
                                     for (std::int64_t i = 0; i < memory.inputs[0].shape.count(); ++i)
                                       largest = std::max(largest, memory.input(0)[i]);
                                     memory.output()[0] = largest;
                                   },
                               .lower = {},
                               .inplace_candidates = {}});
    const Variable x = vector("x");
    function({x}, apply_op(op, {tanh(x)}), {.mode = "DebugMode", .name = "f"})(noise({length}, -2, -1));
  };
  return {"wrong reduction identity", "BadThunkOutput", "planted_maximum", run};
}

Bug wrong_broadcast() {
  const auto run = [] {
    const Op& op = planted_op({.name = "planted_add_row",
                               .infer = {},
                               .evaluate = [](std::span<const Tensor> in) -> std::vector<Tensor> {
                                 const Tensor sum = in[0].copy();
                                 for (std::int64_t i = 0; i < sum.shape()[0]; ++i)
                                   for (std::int64_t j = 0; j < sum.shape()[1]; ++j)
                                     sum.at<float>({i, j}) += in[1].at<float>({j});
                                 return {sum};
                               },
                               .grad = {},
                               .step =
                                   [](const Memory& memory) {
                                     const std::int64_t n = memory.outputs[0].shape[1];
                                     for (std::int64_t i = 0; i < count(memory); ++i)
                                       memory.output()[i] = memory.input(0)[i] + memory.input(1)[i / n];
                                   },
                               .lower = {},
                               .inplace_candidates = {}});
    const Variable x = matrix("x"), b = vector("b");
    function({x, b}, apply_op(op, {tanh(x), tanh(b)}), {.mode = "DebugMode", .name = "f"})(noise({6, 6}),
                                                                                           noise({6}));
  };
  return {"wrong broadcast", "BadThunkOutput", "planted_add_row", run};
}

/// Row-major c = a b of n x n matrices, as a library declares it.
void library_product(bool transpose_b, std::int64_t n, const float* a, const float* b, float* c) {
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (std::int64_t k = 0; k < n; ++k) sum += a[i * n + k] * (transpose_b ? b[j * n + k] : b[k * n + j]);
      c[i * n + j] = sum;
    }
  }
}

Bug wrong_library_call() {
  const auto run = [] {
    const Op& op = planted_op({.name = "planted_product",
                               .infer = {},
                               .evaluate = [](std::span<const Tensor> in) -> std::vector<Tensor> {
                                 const std::int64_t n = in[0].shape()[0];
                                 const Tensor c = Tensor::empty({n, n}, DType::float32);
                                 library_product(false, n, in[0].contiguous().data<float>(),
                                                 in[1].contiguous().data<float>(), c.data<float>());
                                 return {c};
                               },
                               .grad = {},
                               .step =
                                   [](const Memory& memory) {
                                     library_product(true, memory.outputs[0].shape[0], memory.input(0),
                                                     memory.input(1), memory.output());
                                   },
                               .lower = {},
                               .inplace_candidates = {}});
    const Variable x = matrix("x"), y = matrix("y");
    function({x, y}, apply_op(op, {tanh(x), tanh(y)}), {.mode = "DebugMode", .name = "f"})(noise({6, 6}),
                                                                                           noise({6, 6}));
  };
  return {"wrong library call", "BadThunkOutput", "planted_product", run};
}

Bug wrong_view_map() {
  const auto run = [] {
    const Op& op =
        planted_op({.name = "planted_view",
                    .infer = {},
                    .evaluate = [](std::span<const Tensor> in) -> std::vector<Tensor> { return {in[0]}; },
                    .grad = {},
                    .step = {},
                    .lower = {},
                    .inplace_candidates = {}});
    const Variable x = vector("x");
    function({x}, apply_op(op, {tanh(x)}) + 1, {.mode = "DebugMode", .name = "f"})(noise({length}));
  };
  return {"wrong view map", "BadViewMap", "planted_view", run};
}

Bug aliased_results() {
  const auto run = [] {
    const Op& op = planted_op({.name = "planted_twins",
                               .infer = [](std::span<const Variable> in) -> std::vector<TensorType> {
                                 return {in[0].type(), in[0].type()};
                               },
                               .evaluate = [](std::span<const Tensor> in) -> std::vector<Tensor> {
                                 const Tensor both = in[0].copy();
                                 return {both, both};
                               },
                               .grad = {},
                               .step = {},
                               .lower = {},
                               .inplace_candidates = {}});
    const Variable x = vector("x");
    const Ref<Node> node = make_node(op, {tanh(x)});
    function({x}, {Out(node->output(0)), Out(node->output(1))},
             {.mode = "DebugMode", .name = "f"})(noise({length}));
  };
  return {"aliased results", "BadViewMap", "planted_twins", run};
}

}  // namespace

std::vector<Bug> step_bugs() {
  return {
      elementwise("write behind the end", "BadDestroyMap", "planted_behind", twice, write_one_too_many),
      elementwise("write before the beginning", "BadDestroyMap", "planted_before", twice, write_one_before),
      elementwise("uninitialised read", "BadThunkOutput", "planted_uninitialised", twice,
                  add_to_what_is_there),
      elementwise("forgotten tail", "BadThunkOutput", "planted_tail", twice, forget_the_tail),
      elementwise("rounded to another dtype", "BadThunkOutput", "planted_rounding", twice, round_to_half),
      elementwise("wrong destroy map", "BadDestroyMap", "planted_destroyer", twice, negate_input),
      wrong_in_place(),
      wrong_stride(),
      wrong_identity(),
      wrong_broadcast(),
      wrong_library_call(),
      wrong_view_map(),
      aliased_results()};
}

}  // namespace planted
