#include <catch2/catch.hpp>
#include <random>

#include "croton/codegen/thread_pool.h"
#include "croton/graph/op.h"
#include "croton/ops/blas.h"
#include "croton/runtime/library_step.h"
#include "lowered.h"
#include "nodes.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

struct Case {
  Variable node;
  std::vector<Tensor> operands;
};

/// A random product of that op.
Case random_product(std::mt19937& random, const Op& op, DType dtype, std::int64_t most) {
  const auto extent = [&] {
    const std::int64_t choices[] = {0, 1, 2, 3, 5, 16, 17};
    return random() % 3 == 0 ? choices[random() % 7] : static_cast<std::int64_t>(random() % most) + 1;
  };
  const auto operand = [&](const Shape& shape) {
    return laid_out(random_tensor(shape, dtype, static_cast<unsigned>(random())),
                    static_cast<unsigned>(random()));
  };
  const auto scalar = [&] { return random_tensor({}, dtype, static_cast<unsigned>(random())); };
  const auto addend = [&](Shape shape) {
    if (random() % 3 == 0) shape[random() % shape.size()] = 1;
    return operand(shape);
  };
  const std::int64_t m = extent(), n = extent(), k = extent();
  Case c;
  if (&op == &dot_op()) {
    const bool is_row = random() % 3 == 0, is_column = random() % 3 == 0;
    c.operands = {operand(is_row ? Shape{k} : Shape{m, k}), operand(is_column ? Shape{k} : Shape{k, n})};
  } else if (&op == &dot22_op()) {
    c.operands = {operand({m, k}), operand({k, n})};
  } else if (&op == &dot22_scalar_op()) {
    c.operands = {operand({m, k}), operand({k, n}), scalar()};
  } else if (&op == &gemm_op()) {
    c.operands = {addend({m, n}), scalar(), operand({m, k}), operand({k, n}), scalar()};
  } else if (&op == &gemv_op()) {
    c.operands = {addend({m}), scalar(), operand({m, k}), operand({k}), scalar()};
  } else {
    c.operands = {addend({m, n}), scalar(), operand({m}), operand({n})};
  }
  std::vector<Variable> inputs;
  for (const Tensor& t : c.operands) inputs.push_back(input_like(t));
  const bool may_be_activated = &op == &dot22_op() || &op == &dot22_scalar_op() || &op == &gemm_op();
  Attributes attributes;
  if (may_be_activated && random() % 4 == 0) attributes = attributes.with("activation", std::string("relu"));
  c.node = apply_op(op, inputs, attributes);
  return c;
}

const std::vector<const Op*> products = {&dot_op(),  &dot22_op(), &dot22_scalar_op(),
                                         &gemm_op(), &gemv_op(),  &ger_op()};

double tolerance(DType dtype) {
  return dtype == DType::float16    ? 4e-3
         : dtype == DType::bfloat16 ? 4e-2
         : dtype == DType::float32  ? 2e-5
                                    : 1e-12;
}

}  // namespace

TEST_CASE("generated products agree with the reference on every dtype", "[codegen][matmul]") {
  std::mt19937 random(30);
  const DType dtypes[] = {DType::float32,  DType::float32, DType::float64, DType::float16,
                          DType::bfloat16, DType::int32,   DType::uint8,   DType::bool_};
  for (int i = 0; i < random_cases(600); ++i) {
    const DType dtype = dtypes[random() % 8];
    const Op& op = is_floating(dtype) ? *products[random() % products.size()] : dot_op();
    const Case c = random_product(random, op, dtype, i % 10 == 0 ? 300 : 40);
    check_lowered(*c.node.node(), c.operands, tolerance(dtype), 40 * tolerance(dtype));
  }
}

TEST_CASE("long and thin generated products", "[codegen][matmul]") {
  const Shape sizes[] = {{200, 3, 2},     {3, 2, 200},     {2, 3, 200},     {1, 1, 100000},
                         {2, 1000, 5000}, {1000, 2, 3000}, {3000, 2, 1000}, {4000, 7, 40},
                         {1, 5000, 64},   {5000, 1, 64},   {1, 2000, 300},  {2000, 1, 300}};
  unsigned seed = 0;
  for (const Shape& s : sizes) {
    for (unsigned kind = 0; kind < 4; ++kind) {
      const std::vector<Tensor> operands = {
          laid_out(random_tensor({s[0], s[2]}, DType::float32, ++seed), kind / 2),
          laid_out(random_tensor({s[2], s[1]}, DType::float32, ++seed), kind % 2)};
      const Variable node = apply_op(dot22_op(), {input_like(operands[0]), input_like(operands[1])});
      check_lowered(*node.node(), operands, 2e-5, 2e-3);
    }
  }
}

TEST_CASE("products through the library agree with the reference", "[runtime][matmul]") {
  std::mt19937 random(31);
  int taken = 0;
  for (int i = 0; i < random_cases(600) || taken <= random_cases(600) / 8; ++i) {
    REQUIRE(i < 600);
    const Op& op = *products[random() % products.size()];
    Case c = random_product(random, op, DType::float32, i % 10 == 0 ? 300 : 60);
    if (config().device() != "cpu") {
      check_lowered(*c.node.node(), c.operands, 2e-5, 1e-3);
      ++taken;
      continue;
    }
    std::vector<Layout> in;
    for (const Tensor& t : c.operands) in.push_back({t.dtype(), t.shape(), t.strides()});
    const TensorType& type = c.node.type();
    std::vector<Layout> out{{type.dtype, type.shape, contiguous_strides(type.shape)}};
    const bool in_place = &op == &gemm_op() && c.operands[0].shape() == type.shape && random() % 2 == 0;
    if (in_place) out[0] = in[0];
    const std::unique_ptr<LibraryStep> step = make_library_step(*c.node.node(), in, out);
    if (step == nullptr) continue;
    ++taken;
    const Tensor expected = c.node.node()->op().evaluate(*c.node.node(), c.operands)[0];
    Tensor result = in_place ? c.operands[0] : Tensor::empty(type.shape);
    std::vector<float> scratch(step->scratch_bytes() / sizeof(float) + 1);
    std::vector<void*> buffers;
    for (const Tensor& t : c.operands) buffers.push_back(t.raw_data());
    buffers.push_back(result.raw_data());
    buffers.push_back(scratch.data());
    step->run(buffers.data());
    INFO(op.name() << " " << to_string(type.shape));
    CHECK(allclose(result, expected, 2e-5, 1e-3));
  }
}
