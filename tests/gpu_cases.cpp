#include "gpu_cases.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>

#include "concrete_conv.h"
#include "croton/graph/op.h"
#include "croton/graph/subgraph.h"
#include "croton/ops/blas.h"
#include "croton/ops/composite.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/indexing.h"
#include "croton/ops/nnet.h"
#include "croton/ops/pool.h"
#include "croton/ops/random.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "lowered.h"
#include "nodes.h"

namespace croton::test {

namespace {

class Cases {
 public:
  std::vector<GpuCase> all() {
    elementwise();
    reductions();
    rows();
    copies();
    pooling();
    assembling();
    draws();
    products();
    convolutions();
    return std::move(cases_);
  }

 private:
  void add(const Op& op, std::vector<Tensor> inputs, const Attributes& attributes = {}, double rtol = 1e-5,
           double atol = 1e-6) {
    cases_.push_back({Variable(make_node(op, inputs_like(inputs), attributes)), inputs, rtol, atol});
  }
  std::int64_t below(std::int64_t most) {
    return static_cast<std::int64_t>(random_() % static_cast<unsigned>(most));
  }
  Tensor tensor(const Shape& shape, DType dtype = DType::float32) {
    return laid_out(random_tensor(shape, dtype, random_()), random_() % 3);
  }
  Shape shape(int rank, std::int64_t most) {
    Shape s;
    for (int i = 0; i < rank; ++i) s.push_back(below(most + 1));
    return s;
  }

  void elementwise() {
    for (int i = 0; i < 24; ++i) {
      const Shape full = shape(static_cast<int>(random_() % 5), i % 3 == 0 ? 3 : 24);
      std::vector<Tensor> tensors;
      for (int operand = 0; operand < 3; ++operand) {
        Shape own = full;
        for (std::int64_t& extent : own) {
          if (operand > 0 && random_() % 3 == 0) extent = 1;
        }
        tensors.push_back(tensor(own, i % 4 == 3 ? DType::float16 : DType::float32));
      }
      add(*find_elementwise("add"), tensors, {}, i % 4 == 3 ? 1e-3 : 1e-5, i % 4 == 3 ? 4e-3 : 1e-6);
    }
    const auto scalar = [] { return Variable(Node::make_input({DType::float32, {}}, "", {})); };
    const Variable a = scalar(), b = scalar();
    const Variable t = apply_elementwise("tanh", {a}), p = apply_elementwise("mul", {t, b});
    const auto body =
        std::make_shared<const Subgraph>(std::vector{a, b}, std::vector{p, apply_elementwise("add", {p, t})});
    for (const Shape& s : {Shape{5, 33}, Shape{64, 128}, Shape{3, 1}}) {
      const std::vector<Tensor> tensors{tensor(s), tensor({1, s[1]})};
      cases_.push_back({Variable(make_composite(body, inputs_like(tensors))), tensors, 1e-5, 1e-6});
    }
  }

  void reductions() {
    const auto reduce = [&](const char* name, const Tensor& x, const std::vector<std::int64_t>& axes) {
      const bool is_half = x.dtype() == DType::float16;
      add(*find_reduce(name), {x}, Attributes{{"axes", axes}}, is_half ? 1e-2 : 2e-4, is_half ? 1e-1 : 1e-3);
    };
    for (int i = 0; i < 60; ++i) {
      const ReduceOp& op = *reduce_ops()[random_() % reduce_ops().size()];
      const std::string_view name = op.row().name;
      const Shape s = shape(1 + static_cast<int>(random_() % 4), i % 5 == 0 ? 70 : 9);
      std::vector<std::int64_t> axes;
      bool is_empty = false;
      for (std::size_t axis = 0; axis < s.size(); ++axis) {
        if (random_() % 2 == 0) continue;
        axes.push_back(static_cast<std::int64_t>(axis));
        is_empty = is_empty || s[axis] == 0;
      }
      if (is_empty && !op.row().has_identity) continue;
      const DType dtype = name == "all" || name == "any" ? DType::bool_
                          : i % 4 == 0                   ? DType::int32
                          : i % 7 == 0 && name != "prod" ? DType::float16
                                                         : DType::float32;
      add(op, {tensor(s, dtype)}, Attributes{{"axes", axes}}, dtype == DType::float16 ? 1e-2 : 2e-4,
          dtype == DType::float16 ? 1e-1 : 2e-4);
    }
    struct Large {
      Shape shape;
      std::vector<std::int64_t> axes;
    };
    for (const Large& c : std::vector<Large>{{{100003}, {0}},
                                             {{65536}, {0}},
                                             {{700, 300}, {0}},
                                             {{700, 300}, {1}},
                                             {{700, 300}, {0, 1}},
                                             {{40, 20, 8, 8}, {0, 2, 3}},
                                             {{3, 5000, 7}, {1}},
                                             {{9000, 3}, {0}},
                                             {{64, 5000}, {0}},
                                             {{1000, 320}, {0}},
                                             {{1003, 301}, {0}},
                                             {{3, 100, 250}, {1}}}) {
      reduce("sum", random_tensor(c.shape, DType::float32, 7), c.axes);
      reduce("max", random_tensor(c.shape, DType::float32, 7), c.axes);
    }
    Tensor x = random_tensor({50}, DType::float32, 1);
    x.data<float>()[31] = std::numeric_limits<float>::quiet_NaN();
    for (const char* name : {"max", "min", "sum"}) reduce(name, x, {0});
    for (int i = 0; i < 20; ++i) {
      const Shape s = shape(3, 20);
      if (s.count() == 0) continue;
      std::vector<std::int64_t> axes;
      for (int axis = 0; axis < 3; ++axis) {
        if (random_() % 2 == 0) axes.push_back(axis);
      }
      add(i % 2 == 0 ? argmax_op() : argmin_op(), {tensor(s, i % 2 == 0 ? DType::int8 : DType::float32)},
          Attributes{{"axes", axes}}, 0, 0);
    }
    const auto scalar = [] { return Variable(Node::make_input({DType::float32, {}}, "", {})); };
    const Variable a = scalar(), b = scalar(), s = scalar(), w = scalar();
    CompositeReduce parts;
    parts.body =
        std::make_shared<const Subgraph>(std::vector{a, b}, std::vector{apply_elementwise("mul", {a, b})});
    parts.op = "sum";
    parts.epilogue = std::make_shared<const Subgraph>(
        std::vector{s, w}, std::vector{apply_elementwise("sub", {w, apply_elementwise("mul", {s, 0.5})})});
    for (const auto& [m, n] :
         {std::pair{40, 30}, std::pair{900, 33}, std::pair{3, 2000}, std::pair{1100, 270}}) {
      for (std::int64_t axis : {0, 1}) {
        parts.axes = {axis};
        const std::vector<Tensor> tensors{tensor({m, n}), tensor({m, 1}), tensor({axis == 0 ? n : m})};
        cases_.push_back({Variable(make_composite_reduce(parts, inputs_like(tensors))), tensors, 1e-4, 1e-4});
      }
    }
    // Several values at once, without an epilogue.
    parts.body = std::make_shared<const Subgraph>(
        std::vector{a, b}, std::vector{apply_elementwise("mul", {a, b}), a, apply_elementwise("sqr", {a})});
    parts.epilogue = nullptr;
    for (const auto& [m, n] : {std::pair{40, 30}, std::pair{1100, 270}}) {
      parts.axes = {0};
      const std::vector<Tensor> tensors{tensor({m, n}), tensor({m, 1})};
      cases_.push_back({Variable(make_composite_reduce(parts, inputs_like(tensors))), tensors, 1e-4, 1e-4});
    }
  }

  void rows() {
    const auto softmaxes = [&](const Shape& s, std::int64_t axis) {
      const Attributes attributes{{"axis", axis}};
      const Tensor x = tensor(s), g = tensor(s);
      add(softmax_op(), {x}, attributes);
      add(log_softmax_op(), {x}, attributes, 1e-5, 1e-5);
      add(softmax_grad_op(), {g, x}, attributes, 1e-4, 1e-4);
    };
    for (int i = 0; i < 14; ++i) {
      Shape s = shape(1 + static_cast<int>(random_() % 3), 50);
      for (std::int64_t& extent : s) extent += 1;
      softmaxes(s, below(static_cast<std::int64_t>(s.size())));
    }
    softmaxes({3, 1000}, 1);
    softmaxes({2, 4096}, 1);
    for (const auto& [m, n] : {std::pair{1, 1}, std::pair{17, 2}, std::pair{50, 10}, std::pair{9, 100}}) {
      Tensor labels = Tensor::empty({m}, DType::int32);
      for (int i = 0; i < m; ++i) labels.data<std::int32_t>()[i] = i % n;
      const Tensor x = tensor({m, n}), b = tensor({n}), g = tensor({m});
      add(softmax_with_bias_op(), {x, b});
      add(crossentropy_softmax_1hot_with_bias_op(), {x, b, labels});
      const Variable node = cases_.back().node;
      const Tensor p = node.node()->op().evaluate(*node.node(), cases_.back().inputs)[1];
      add(crossentropy_softmax_1hot_with_bias_dx_op(), {g, p, labels});
      add(crossentropy_categorical_1hot_grad_op(), {g, p, labels});
      add(crossentropy_categorical_1hot_op(), {p, labels});
    }
  }

  void copies() {
    for (int i = 0; i < 20; ++i) {
      const int rank = 1 + static_cast<int>(random_() % 4);
      const DType dtype = i % 3 == 0 ? DType::float64 : i % 3 == 1 ? DType::int8 : DType::float32;
      Shape axes;
      for (int axis = 0; axis < rank; ++axis) axes.push_back(axis);
      std::shuffle(axes.begin(), axes.end(), random_);
      add(contiguous_op(), {random_tensor(shape(rank, 40), dtype, random_()).transpose(axes)}, {}, 0, 0);
    }
    add(contiguous_op(), {random_tensor({64, 96}, DType::float32, 1).transpose()}, {}, 0, 0);
    // Enough large tiles for a tiny GPU.
    add(contiguous_op(), {random_tensor({256, 192}, DType::float32, 1).transpose()}, {}, 0, 0);
    add(contiguous_op(), {random_tensor({192, 320}, DType::int8, 1).transpose()}, {}, 0, 0);
  }

  void pooling() {
    const char* modes[] = {"max", "sum", "average_inc_pad", "average_exc_pad"};
    for (int i = 0; i < 50; ++i) {
      PoolOptions options;
      options.mode = modes[random_() % 4];
      options.ignore_border = random_() % 2 == 0;
      const std::vector<std::int64_t> ws{1 + below(4), 1 + below(4)};
      options.stride = {1 + below(4), 1 + below(4)};
      if (options.ignore_border) options.pad = {below(ws[0]), below(ws[1])};
      // Ties too, and windows of nothing but -inf.
      Tensor x = random_tensor({1 + below(3), 2, 1 + below(20), 1 + below(30)},
                               i % 5 == 0 ? DType::int8 : DType::float32, random_())
                     .astype(DType::float32);
      if (i % 7 == 0) x = Tensor::full(x.shape(), -std::numeric_limits<float>::infinity());
      x = laid_out(x, random_() % 3);
      if (i % 7 == 0 && options.mode != std::string("max")) continue;
      pool(x, ws, options);
    }
    // Several windows a thread on a tiny GPU; planes that are cut into tiles below and beside each other.
    for (const char* mode : {"max", "average_exc_pad"}) {
      pool(tensor({4, 3, 50, 70}), {3, 3}, {.stride = {2, 2}, .mode = mode});
      pool(tensor({4, 3, 49, 71}), {2, 2}, {.ignore_border = false, .mode = mode});
      pool(tensor({1, 1, 9, 1800}), {3, 3}, {.stride = {2, 2}, .pad = {1, 1}, .mode = mode});
    }
    for (const DType dtype : {DType::float32, DType::float64, DType::float16}) {
      for (const std::int64_t columns : {2, 3, 7}) {
        // Ties, NaN and windows of nothing but -inf among them.
        Tensor x = random_tensor({2, 3, 12, 4 * columns}, DType::int8, random_()).astype(DType::float32);
        x.data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
        for (int i = 40; i < 80; ++i) x.data<float>()[i] = -std::numeric_limits<float>::infinity();
        pool(laid_out(x.astype(dtype), random_() % 3), {3, columns}, {});
      }
    }
  }
  void pool(const Tensor& x, const std::vector<std::int64_t>& ws, const PoolOptions& options) {
    const Variable pooled = pool_2d(input_like(x), ws, options);
    const Tensor y = pooled.node()->op().evaluate(*pooled.node(), std::vector{x})[0];
    cases_.push_back({pooled, {x}, 1e-5, 1e-5});
    add(pool_2d_grad_op(), {x, y, tensor(y.shape(), x.dtype())}, pooled.node()->attributes(), 1e-5, 1e-5);
    const bool has_places = PoolWindows(pooled.node()->attributes()).have_places();
    if (has_places) pool_places(x, pooled.node()->attributes());
  }
  void pool_places(const Tensor& x, const Attributes& attributes) {
    const Ref<Node> node = make_node(max_pool_places_op(), {input_like(x)}, attributes);
    const Tensor places = node->op().evaluate(*node, std::vector{x})[1];
    cases_.push_back({Variable(node), {x}, 0, 0});
    const std::vector<std::int64_t> extents(x.shape().end() - 2, x.shape().end());
    add(max_pool_places_grad_op(), {places, tensor(places.shape(), x.dtype())},
        attributes.with("extents", extents), 1e-5, 1e-5);
  }

  void assembling() {
    for (int i = 0; i < 6; ++i) {
      std::vector<Tensor> parts;
      const std::int64_t axis = below(3);
      Shape s = shape(3, 12);
      for (int part = 0; part < 3; ++part) {
        s[static_cast<std::size_t>(axis)] = below(9);
        parts.push_back(tensor(s));
      }
      add(join_op(), parts, Attributes{{"axis", axis}}, 0, 0);
    }
    cases_.push_back({alloc(input_like(Tensor::zeros({3, 1})), Shape{2, 3, 20}),
                      {tensor({3, 1}), Tensor(2), Tensor(3), Tensor(20)}});
    cases_.push_back({arange(3, 50, 4), {Tensor(3), Tensor(50), Tensor(4)}});
    const Tensor x = random_tensor({9, 30}, DType::float32, 3);
    for (const bool set : {false, true}) {
      const Variable v = input_like(x);
      for (const Variable& part :
           {v(slice(2, 7)), v(croton::all, slice(1, 30, 3)), v(4), v(slice(8, 2, -2), 3)}) {
        const Tensor y = tensor(part.type().shape);
        const Variable changed =
            set ? set_subtensor(part, input_like(y)) : inc_subtensor(part, input_like(y));
        cases_.push_back({changed, {x, y}});
      }
    }
  }

  void draws() {
    const Tensor state(std::vector<std::uint64_t>{0x0123456789abcdefull, 7, 0xfffffffffffffff0ull});
    const auto draw = [&](const Op& op, std::int64_t count, DType dtype, double rtol) {
      const std::vector<Variable> variables{input_like(state), constant(Tensor(count))};
      cases_.push_back({Variable(make_node(op, variables, Attributes{{"dtype", dtype}})),
                        {state, Tensor(count)},
                        rtol,
                        1e-5});
    };
    for (const std::int64_t count : {1, 64, 1001}) {
      for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
        draw(random_uniform_op(), count, dtype, 0);
        draw(random_normal_op(), count, dtype, dtype == DType::bfloat16 ? 1e-2 : 2e-3);
      }
      draw(random_bits_op(), count, DType::uint32, 0);
      draw(random_bits_op(), count, DType::uint64, 0);
    }
  }

  void products() {
    for (int i = 0; i < 16; ++i) {
      const std::int64_t m = below(40), n = below(70), k = i % 4 == 0 ? 300 : below(40);
      const DType dtype = i % 5 == 4 ? DType::float64 : DType::float32;
      add(dot22_op(), {tensor({m, k}, dtype), tensor({k, n}, dtype)}, {}, 1e-4, 1e-4);
    }
    add(dot_op(), {tensor({50}), tensor({50, 20})}, {}, 1e-4, 1e-4);
    add(dot_op(), {tensor({20, 50}), tensor({50})}, {}, 1e-4, 1e-4);
    add(dot_op(), {tensor({2000}), tensor({2000})}, {}, 1e-3, 1e-3);
  }

  void conv_of_maxima(const Shape& image, const Shape& filters, const Shape& windows, std::int64_t groups,
                      std::int64_t stride = 1, DType dtype = DType::float32) {
    const ConcreteConvCase c =
        concrete_conv(ConvDirection::backward_weights, image, filters, 0, stride, 1, groups, true, dtype);
    Shape pooled = c.second.shape();
    for (std::size_t i = 0; i < 2; ++i) pooled[2 + i] /= windows[i];
    Tensor places = Tensor::zeros(pooled, DType::uint8);
    for (std::int64_t i = 0; i < places.size(); ++i)
      places.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(below(windows[0] * windows[1]));
    const Attributes attributes =
        c.node(direct_conv_op())
            .node()
            ->attributes()
            .with("maxima", std::vector<std::int64_t>(windows.begin(), windows.end()));
    add(direct_conv_op(), {c.first, uniform_tensor(pooled, dtype, random_), places}, attributes, 1e-4, 1e-4);
  }

  void convolutions() {
    for (int i = 0; i < 40; ++i) {
      const ConcreteConvCase c = random_concrete_conv(random_);
      if (c.problem.rank != 2) continue;
      cases_.push_back({c.node(direct_conv_op()), {c.first, c.second}, 1e-4, 1e-4});
    }
    // Filters' gradients behind a pooling: windows that fit a thread's rows, and others; groups; a stride.
    conv_of_maxima({5, 1, 28, 28}, {20, 1, 5, 5}, {2, 2}, 1);
    conv_of_maxima({2, 3, 17, 14}, {7, 3, 3, 3}, {5, 2}, 1);
    conv_of_maxima({2, 4, 9, 12}, {6, 2, 2, 3}, {4, 5}, 2);
    conv_of_maxima({3, 2, 13, 13}, {4, 2, 3, 3}, {1, 3}, 1, 2);
    conv_of_maxima({2, 1, 6, 6}, {3, 1, 3, 3}, {2, 2}, 1, 1, DType::float64);
    conv_of_maxima({0, 1, 6, 6}, {3, 1, 3, 3}, {2, 2}, 1);
    for (int i = 0; i < 6; ++i) {
      ConcreteConvCase c = random_concrete_conv(random_);
      const bool has_dilation = c.problem.dilation != Shape{1, 1};
      if (!has_dilation) {
        const auto to_c01b = [](const Tensor& x) { return x.transpose({1, 2, 3, 0}).contiguous(); };
        c.first = to_c01b(c.first);
        c.second = to_c01b(c.second);
        cases_.push_back({c.node(c01b_conv_op()), {c.first, c.second}, 1e-4, 1e-4});
        continue;
      }
      c.problem.unshared = true;
      c.attributes = c.attributes.with("unshared", true);
      const Shape filters = c.problem.filter_shape();
      if (c.problem.direction == ConvDirection::forward)
        c.second = uniform_tensor(filters, c.problem.dtype, random_);
      if (c.problem.direction == ConvDirection::backward_inputs)
        c.first = uniform_tensor(filters, c.problem.dtype, random_);
      cases_.push_back({c.node(direct_conv_op()), {c.first, c.second}, 1e-4, 1e-4});
    }
    // Products that gather their operands, in every arithmetic.
    const auto add_product = [&](ConcreteConvCase c, const char* arithmetic, std::int64_t cut,
                                 double tolerance) {
      c.attributes = c.attributes.with("arithmetic", std::string(arithmetic)).with("cut", cut);
      cases_.push_back({c.node(corr_mm_op()), {c.first, c.second}, tolerance, tolerance});
    };
    for (std::int64_t i = 0; i < 6; ++i) {
      add_product(random_concrete_conv(random_), "tf32x3", i % 3, 1e-4);
      add_product(random_concrete_conv(random_), "fp16x3", i % 3, 1e-4);
      if (i % 3 != 0) continue;
      add_product(random_concrete_conv(random_), "fp32", i % 2, 1e-4);
      add_product(random_concrete_conv(random_), "tf32", i % 2, 3e-2);
      add_product(random_concrete_conv(random_), "bf16", i % 2, 2e-1);
      add_product(random_concrete_conv(random_, DType::float64), "fp64", i % 2, 1e-10);
      add_product(random_concrete_conv(random_, DType::float16), "fp16", i % 2, 2e-2);
      add_product(random_concrete_conv(random_, DType::bfloat16), "bf16", i % 2, 2e-1);
    }
    for (const ConvDirection direction :
         {ConvDirection::forward, ConvDirection::backward_inputs, ConvDirection::backward_weights}) {
      const auto add_tiled = [&](const Op& op, ConcreteConvCase c, std::int64_t tile) {
        c.attributes = c.attributes.with("tile", std::vector<std::int64_t>{tile, tile});
        cases_.push_back({c.node(op), {c.first, c.second}, 1e-4, 3e-4});
      };
      add_tiled(winograd_conv_op(), concrete_conv(direction, {2, 35, 9, 8}, {6, 35, 3, 3}, 1), 2);
      add_tiled(winograd_conv_op(), concrete_conv(direction, {1, 6, 9, 8}, {10, 3, 3, 3}, 2, 1, 2, 2), 4);
      add_tiled(fft_conv_op(), concrete_conv(direction, {2, 3, 9, 11}, {5, 3, 5, 4}, 2), 8);
      add_tiled(fft_conv_op(), concrete_conv(direction, {1, 4, 20, 17}, {6, 2, 3, 3}, 1, 1, 2, 2), 16);
    }
  }

  std::mt19937 random_{11};
  std::vector<GpuCase> cases_;
};

Layout layout_of(const Tensor& t) { return {t.dtype(), t.shape(), t.strides()}; }

}  // namespace

std::vector<GpuCase> gpu_cases() { return Cases().all(); }

std::vector<GpuCase> gpu_elementwise_cases() {
  constexpr DType dtypes[] = {DType::bool_,    DType::int8,    DType::int16,  DType::int32,  DType::int64,
                              DType::uint8,    DType::uint16,  DType::uint32, DType::uint64, DType::float16,
                              DType::bfloat16, DType::float32, DType::float64};
  std::vector<GpuCase> cases;
  for (const ElementwiseOp* op : elementwise_ops()) {
    const ElementwiseRow& row = op->row();
    if (row.rule == DTypeRule::cast) continue;
    for (const DType dtype : dtypes) {
      std::vector<Tensor> tensors;
      for (int i = 0; i < row.arity; ++i) {
        const bool is_condition = row.rule == DTypeRule::select && i == 0;
        const Domain domain =
            row.domain[std::min<std::size_t>(static_cast<std::size_t>(i), row.domain.size() - 1)];
        Tensor values = Tensor::empty({37}, DType::float64);
        std::mt19937 engine(static_cast<unsigned>(17 * i + 5));
        for (std::int64_t k = 0; k < 37; ++k) {
          double value = std::uniform_real_distribution<double>(domain.low, domain.high)(engine);
          if (is_discrete(dtype)) value = std::round(value);
          if (is_unsigned_integer(dtype)) value = std::abs(value);
          values.data<double>()[k] = value;
        }
        tensors.push_back(values.astype(is_condition ? DType::bool_ : dtype));
      }
      Ref<Node> node;
      try {
        node = make_node(*op, inputs_like(tensors));
      } catch (const std::exception&) {
        continue;  // the row does not take the dtype
      }
      const DType out = node->type().dtype;
      const double rtol = out == DType::bfloat16  ? 1e-2
                          : out == DType::float16 ? 2e-3
                          : out == DType::float64 ? 1e-9
                                                  : 3e-5;
      cases.push_back({Variable(node), tensors, rtol, out == DType::float64 ? 1e-12 : rtol});
    }
  }
  return cases;
}

GpuRun::GpuRun(const GpuCase& c, int multiprocessors) : inputs(c.inputs) {
  const Node& node = *c.node.node();
  std::vector<Layout> in, out;
  for (const Tensor& t : c.inputs) in.push_back(layout_of(t));
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    outputs.push_back(Tensor::zeros(node.type(i).shape, node.type(i).dtype));
    out.push_back(layout_of(outputs.back()));
  }
  std::optional<NodeCode> lowered = lower_for_gpu(node, in, out, {.multiprocessors = multiprocessors});
  if (!lowered) throw std::runtime_error("codegen does not know " + node.op().label(node));
  code = std::move(*lowered);
  for (const std::int64_t bytes : code.scratch_bytes) {
    scratch.push_back(Tensor::full({bytes}, std::uint8_t{0xff}));  // NaN of every floating dtype
  }
}

std::vector<void*> GpuRun::buffers(const LoweredKernel& kernel) {
  std::vector<void*> pointers;
  for (const StepBuffer& buffer : kernel.buffers) {
    switch (buffer.kind) {
      case StepBuffer::Kind::input:
        pointers.push_back(inputs[buffer.index].raw_data());
        break;
      case StepBuffer::Kind::output:
        pointers.push_back(outputs[buffer.index].raw_data());
        break;
      case StepBuffer::Kind::scratch:
        pointers.push_back(scratch[buffer.index].raw_data());
        break;
      case StepBuffer::Kind::fault:
        pointers.push_back(&fault);
        break;
    }
  }
  return pointers;
}

void GpuRun::check(const GpuCase& c) const {
  const Node& node = *c.node.node();
  CAPTURE(node.op().label(node));
  for (const Tensor& input : inputs)
    UNSCOPED_INFO("input " << name_of(input.dtype()) << to_string(input.shape()));
  CHECK(fault == 0);
  const std::vector<Tensor> expected = node.op().evaluate(node, c.inputs);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const bool close = allclose(outputs[i], expected[i], c.rtol, c.atol, /*equal_nan=*/true);
    if (!close) UNSCOPED_INFO("got\n" << to_string(outputs[i]) << "\nexpected\n" << to_string(expected[i]));
    CHECK(close);
  }
}

}  // namespace croton::test
