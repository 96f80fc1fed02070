#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "croton/graph/op.h"
#include "croton/graph/subgraph.h"
#include "croton/ops/composite.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/indexing.h"
#include "croton/ops/nnet.h"
#include "croton/ops/pool.h"
#include "croton/ops/random.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "lowered.h"
#include "nodes.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

Shape random_shape(std::mt19937& engine, int rank, std::int64_t most) {
  Shape shape;
  for (int i = 0; i < rank; ++i)
    shape.push_back(static_cast<std::int64_t>(engine() % static_cast<unsigned>(most + 1)));
  return shape;
}

}  // namespace

TEST_CASE("every elementwise row on every dtype it takes, compiled", "[codegen][lower][elementwise]") {
  constexpr DType dtypes[] = {DType::bool_,   DType::int8,     DType::int64,   DType::uint8,  DType::uint32,
                              DType::float16, DType::bfloat16, DType::float32, DType::float64};
  for (const ElementwiseOp* op : elementwise_ops()) {
    const ElementwiseRow& row = op->row();
    if (row.rule == DTypeRule::cast) continue;
    for (DType dtype : dtypes) {
      std::vector<Tensor> tensors;
      for (int i = 0; i < row.arity; ++i) {
        const bool is_condition = row.rule == DTypeRule::select && i == 0;
        const Domain domain =
            row.domain[std::min<std::size_t>(static_cast<std::size_t>(i), row.domain.size() - 1)];
        Tensor values = Tensor::empty({37}, DType::float64);
        std::mt19937 engine(static_cast<unsigned>(17 * i + 5));
        for (std::int64_t k = 0; k < 37; ++k) {
          values.data<double>()[k] = std::uniform_real_distribution<double>(domain.low, domain.high)(engine);
          if (is_unsigned_integer(dtype)) values.data<double>()[k] = std::abs(values.data<double>()[k]);
        }
        tensors.push_back(values.astype(is_condition ? DType::bool_ : dtype));
      }
      Ref<Node> node;
      try {
        node = make_node(*op, inputs_like(tensors));
      } catch (const Error&) {
        continue;  // the row does not take this dtype
      }
      // Half formats round results of slightly different arithmetic apart by one unit.
      const double rtol = dtype == DType::float16 ? 2e-3 : dtype == DType::bfloat16 ? 1.6e-2 : 1e-5;
      check_lowered(*node, tensors, rtol, 1e-6);
    }
  }
}

TEST_CASE("casts between all dtypes", "[codegen][lower][elementwise]") {
  for (int from = 0; from < 13; ++from) {
    for (int to = 0; to < 13; ++to) {
      Tensor values = random_tensor({21}, static_cast<DType>(from), 3);
      if (is_floating(values.dtype())) {
        Tensor special{1e30, -1e30, std::numeric_limits<double>::quiet_NaN(), 0.5, -0.5, 255.7, -0.0};
        values = special.astype(values.dtype());
      }
      const auto node = make_node(*find_elementwise("cast"), {input_like(values)},
                                  Attributes{{"dtype", static_cast<DType>(to)}});
      check_lowered(*node, {values}, 0, 0);
    }
  }
}

TEST_CASE("elementwise nodes broadcast over any strides", "[codegen][lower][elementwise]") {
  std::mt19937 engine(1);
  for (int i = 0; i < random_cases(150); ++i) {
    const int rank = static_cast<int>(engine() % 5);
    const Shape shape = random_shape(engine, rank, i % 3 == 0 ? 3 : 19);
    std::vector<Tensor> tensors;
    for (int operand = 0; operand < 3; ++operand) {
      Shape own = shape;
      for (std::int64_t& extent : own) {
        if (operand > 0 && engine() % 3 == 0) extent = 1;
      }
      tensors.push_back(laid_out(random_tensor(own, DType::float32, engine()), engine()));
    }
    const auto node = make_node(*find_elementwise("add"), inputs_like(tensors));
    check_lowered(*node, tensors);
  }
}

TEST_CASE("composites with several outputs", "[codegen][lower][composite]") {
  const auto scalar = [](const char* name) {
    return Variable(Node::make_input({DType::float32, {}}, name, {}));
  };
  const Variable a = scalar("a"), b = scalar("b");
  const Variable t = apply_elementwise("tanh", {a});
  const Variable p = apply_elementwise("mul", {t, b});
  auto body =
      std::make_shared<const Subgraph>(std::vector{a, b}, std::vector{p, apply_elementwise("add", {p, t})});
  const std::vector<Tensor> tensors{random_tensor({5, 33}, DType::float32, 1),
                                    random_tensor({1, 33}, DType::float32, 2)};
  check_lowered(*make_composite(body, inputs_like(tensors)), tensors);
}

TEST_CASE("reductions over any axes of any layout", "[codegen][lower][reduce]") {
  std::mt19937 engine(2);
  for (int i = 0; i < random_cases(300); ++i) {
    const ReduceOp& op = *reduce_ops()[engine() % reduce_ops().size()];
    const int rank = 1 + static_cast<int>(engine() % 4);
    const Shape shape = random_shape(engine, rank, i % 5 == 0 ? 70 : 9);
    std::vector<std::int64_t> axes;
    for (int axis = 0; axis < rank; ++axis) {
      if (engine() % 2 == 0) axes.push_back(axis);
    }
    const bool is_logic = op.row().name == "all" || op.row().name == "any";
    const DType dtype = is_logic     ? DType::bool_
                        : i % 4 == 0 ? DType::int32
                        : i % 7 == 0 ? DType::float16
                                     : DType::float32;
    if (op.row().name == "prod" && dtype == DType::float16) continue;  // overflows at once
    bool empty = false;
    for (std::int64_t axis : axes) empty = empty || shape[static_cast<std::size_t>(axis)] == 0;
    if (empty && !op.row().has_identity) continue;
    const Tensor x = laid_out(random_tensor(shape, dtype, engine()), engine());
    const auto node = make_node(op, {input_like(x)}, Attributes{{"axes", axes}});
    check_lowered(*node, {x}, dtype == DType::float16 ? 1e-2 : 2e-4, dtype == DType::float16 ? 1e-1 : 2e-4);
  }
}

TEST_CASE("large reductions of every form", "[codegen][lower][reduce]") {
  struct Case {
    Shape shape;
    std::vector<std::int64_t> axes;
  };
  const std::vector<Case> cases = {{{100003}, {0}},
                                   {{700, 300}, {0}},
                                   {{700, 300}, {1}},
                                   {{700, 300}, {0, 1}},
                                   {{40, 20, 8, 8}, {0, 2, 3}},
                                   {{3, 5000, 7}, {1}},
                                   {{2, 60000, 2}, {1}},
                                   {{9000, 3}, {0}},
                                   {{9000, 3}, {1}},
                                   {{64, 5000}, {0}},
                                   {{3, 100, 2500}, {1}}};
  for (const Case& c : cases) {
    for (const char* name : {"sum", "max"}) {
      const Tensor x = random_tensor(c.shape, DType::float32, 7);
      check_lowered(*make_node(*find_reduce(name), {input_like(x)}, Attributes{{"axes", c.axes}}), {x}, 1e-4,
                    1e-3);
    }
  }
}

TEST_CASE("a NaN wins in max and min", "[codegen][lower][reduce]") {
  Tensor x = random_tensor({50}, DType::float32, 1);
  x.data<float>()[31] = std::numeric_limits<float>::quiet_NaN();
  for (const char* name : {"max", "min", "sum"}) {
    check_lowered(
        *make_node(*find_reduce(name), {input_like(x)}, Attributes{{"axes", std::vector<std::int64_t>{0}}}),
        {x});
  }
}

TEST_CASE("fused reductions with an epilogue", "[codegen][lower][reduce]") {
  const auto scalar = [] { return Variable(Node::make_input({DType::float32, {}}, "", {})); };
  const Variable a = scalar(), b = scalar(), s = scalar(), w = scalar();
  CompositeReduce parts;
  parts.body =
      std::make_shared<const Subgraph>(std::vector{a, b}, std::vector{apply_elementwise("mul", {a, b})});
  parts.op = "sum";
  parts.epilogue = std::make_shared<const Subgraph>(
      std::vector{s, w}, std::vector{apply_elementwise("sub", {w, apply_elementwise("mul", {s, 0.5})})});
  for (const auto& [rows, columns] : {std::pair{40, 30}, std::pair{900, 33}, std::pair{3, 2000}}) {
    for (std::int64_t axis : {0, 1}) {
      parts.axes = {axis};
      const std::vector<Tensor> tensors{random_tensor({rows, columns}, DType::float32, 1),
                                        random_tensor({rows, 1}, DType::float32, 2),
                                        random_tensor({axis == 0 ? columns : rows}, DType::float32, 3)};
      check_lowered(*make_composite_reduce(parts, inputs_like(tensors)), tensors, 1e-4, 1e-4);
    }
  }
}

TEST_CASE("argmax and argmin take the first of equals", "[codegen][lower][reduce]") {
  std::mt19937 engine(3);
  for (int i = 0; i < random_cases(60); ++i) {
    const Shape shape = random_shape(engine, 3, 20);
    if (shape.count() == 0) continue;
    const Tensor x = laid_out(random_tensor(shape, i % 2 == 0 ? DType::int8 : DType::float32, engine()),
                              static_cast<unsigned>(i));
    std::vector<std::int64_t> axes;
    for (int axis = 0; axis < 3; ++axis) {
      if (engine() % 2 == 0) axes.push_back(axis);
    }
    const Op& op = i % 2 == 0 ? argmax_op() : argmin_op();
    check_lowered(*make_node(op, {input_like(x)}, Attributes{{"axes", axes}}), {x}, 0, 0);
  }
}

TEST_CASE("copies of transposed and strided tensors", "[codegen][lower][copy]") {
  std::mt19937 engine(4);
  for (int i = 0; i < random_cases(80); ++i) {
    const int rank = 1 + static_cast<int>(engine() % 4);
    const DType dtype = i % 3 == 0 ? DType::float64 : i % 3 == 1 ? DType::int8 : DType::float32;
    Tensor x = random_tensor(random_shape(engine, rank, 40), dtype, engine());
    Shape axes;
    for (int axis = 0; axis < rank; ++axis) axes.push_back(axis);
    std::shuffle(axes.begin(), axes.end(), engine);
    x = x.transpose(axes);
    check_lowered(*make_node(contiguous_op(), {input_like(x)}), {x}, 0, 0);
  }
}

TEST_CASE("softmax and its relatives", "[codegen][lower][nnet]") {
  std::mt19937 engine(5);
  for (int i = 0; i < random_cases(80); ++i) {
    const int rank = 1 + static_cast<int>(engine() % 3);
    Shape shape = random_shape(engine, rank, 50);
    for (std::int64_t& extent : shape) extent += 1;
    const auto axis = static_cast<std::int64_t>(engine() % static_cast<unsigned>(rank));
    const Attributes attributes{{"axis", axis}};
    const Tensor x = laid_out(random_tensor(shape, DType::float32, engine()), engine());
    const Tensor g = random_tensor(shape, DType::float32, engine());
    check_lowered(*make_node(softmax_op(), {input_like(x)}, attributes), {x});
    check_lowered(*make_node(log_softmax_op(), {input_like(x)}, attributes), {x});
    const std::vector<Tensor> pair{g, x};
    check_lowered(*make_node(softmax_grad_op(), inputs_like(pair), attributes), pair, 1e-4, 1e-4);
  }
  for (const auto& [rows, classes] :
       {std::pair{1, 1}, std::pair{17, 2}, std::pair{50, 10}, std::pair{9, 100}}) {
    Tensor labels = Tensor::empty({rows}, DType::int32);
    for (int i = 0; i < rows; ++i) labels.data<std::int32_t>()[i] = i % classes;
    const Tensor x = random_tensor({rows, classes}, DType::float32, 1);
    const Tensor b = random_tensor({classes}, DType::float32, 2);
    const Tensor g = random_tensor({rows}, DType::float32, 3);
    const std::vector<Tensor> biased{x, b};
    check_lowered(*make_node(softmax_with_bias_op(), inputs_like(biased)), biased);
    const std::vector<Tensor> all{x, b, labels};
    const auto node = make_node(crossentropy_softmax_1hot_with_bias_op(), inputs_like(all));
    check_lowered(*node, all);
    const Tensor p = node->op().evaluate(*node, all)[1];
    const std::vector<Tensor> dx{g, p, labels};
    check_lowered(*make_node(crossentropy_softmax_1hot_with_bias_dx_op(), inputs_like(dx)), dx);
    check_lowered(*make_node(crossentropy_categorical_1hot_grad_op(), inputs_like(dx)), dx);
    const std::vector<Tensor> loss{p, labels};
    check_lowered(*make_node(crossentropy_categorical_1hot_op(), inputs_like(loss)), loss);
    labels.data<std::int32_t>()[rows / 2] = classes;
    CHECK(run_lowered(*node, all).empty());  // the fault is raised
  }
}

TEST_CASE("pooling and its gradient", "[codegen][lower][pool]") {
  std::mt19937 engine(6);
  for (int i = 0; i < random_cases(300); ++i) {
    const char* modes[] = {"max", "sum", "average_inc_pad", "average_exc_pad"};
    PoolOptions options;
    options.mode = modes[engine() % 4];
    options.ignore_border = engine() % 2 == 0;
    const auto draw = [&](std::int64_t most) {
      return static_cast<std::int64_t>(engine() % static_cast<unsigned>(most));
    };
    const std::vector<std::int64_t> ws{1 + draw(4), 1 + draw(4)};
    options.stride = {1 + draw(4), 1 + draw(4)};
    if (options.ignore_border) options.pad = {draw(ws[0]), draw(ws[1])};
    const Shape shape{1 + draw(3), 2, 1 + draw(30), 1 + draw(40)};
    Tensor x = random_tensor(shape, i % 5 == 0 ? DType::int8 : DType::float32, engine())
                   .astype(DType::float32);  // ties too
    x = laid_out(x, engine());
    const Variable pooled = pool_2d(input_like(x), ws, options);
    INFO("window " << ws[0] << "x" << ws[1] << " stride " << options.stride[0] << "x" << options.stride[1]
                   << " pad " << options.pad[0] << "x" << options.pad[1] << " " << options.mode
                   << (options.ignore_border ? "" : " with border"));
    check_lowered(*pooled.node(), {x});
    const Tensor y = pooled.node()->op().evaluate(*pooled.node(), std::vector{x})[0];
    const std::vector<Tensor> all{x, y, random_tensor(y.shape(), DType::float32, engine())};
    check_lowered(*make_node(pool_2d_grad_op(), inputs_like(all), pooled.node()->attributes()), all);
  }
}

TEST_CASE("joins, ranges and broadcasts", "[codegen][lower]") {
  std::mt19937 engine(7);
  for (int i = 0; i < random_cases(40); ++i) {
    std::vector<Tensor> parts;
    const auto axis = static_cast<std::int64_t>(engine() % 3);
    Shape shape = random_shape(engine, 3, 12);
    for (int part = 0; part < 3; ++part) {
      shape[static_cast<std::size_t>(axis)] = static_cast<std::int64_t>(engine() % 9);
      parts.push_back(laid_out(random_tensor(shape, DType::float32, engine()), engine()));
    }
    check_lowered(*make_node(join_op(), inputs_like(parts), Attributes{{"axis", axis}}), parts, 0, 0);
  }
  const Variable filled = alloc(input_like(Tensor::zeros({3, 1})), Shape{2, 3, 20});
  check_lowered(*filled.node(), {random_tensor({3, 1}, DType::float32, 1), Tensor(2), Tensor(3), Tensor(20)});
  const Variable range = arange(3, 50, 4);
  check_lowered(*range.node(), {Tensor(3), Tensor(50), Tensor(4)}, 0, 0);
}

TEST_CASE("random draws are the reference's bits", "[codegen][lower][random]") {
  const Tensor state(std::vector<std::uint64_t>{0x0123456789abcdefull, 7, 0xfffffffffffffff0ull});
  for (std::int64_t count : {0, 1, 3, 64, 1001}) {
    for (DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
      const std::vector<Tensor> inputs{state, Tensor(count)};
      const std::vector<Variable> variables{input_like(state), constant(Tensor(count))};
      check_lowered(*make_node(random_uniform_op(), variables, Attributes{{"dtype", dtype}}), inputs, 0, 0);
      check_lowered(*make_node(random_normal_op(), variables, Attributes{{"dtype", dtype}}), inputs,
                    dtype == DType::bfloat16 ? 1e-2 : 2e-3, 1e-5);
    }
    for (DType dtype : {DType::uint32, DType::uint64}) {
      check_lowered(*make_node(random_bits_op(), {input_like(state), constant(Tensor(count))},
                               Attributes{{"dtype", dtype}}),
                    {state, Tensor(count)}, 0, 0);
    }
  }
}
