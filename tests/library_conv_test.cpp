#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "concrete_conv.h"
#include "croton/graph/flags.h"
#include "croton/ops/conv_implementations.h"
#include "croton/optimizer/conv_candidate.h"
#include "croton/runtime/library_step.h"
#include "lowered.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

/// Runs a case through a library; false where the library does not take it.
bool check_library(const ConcreteConvCase& c, const Op& op) {
  const Variable node = c.node(op);
  if (config().device() != "cpu") {
    INFO(op.name() << ": " << to_string(c.problem));
    check_conv(c, run_lowered(*node.node(), {c.first, c.second}).at(0));
    return true;
  }
  const auto layout = [](const TensorType& t) {
    return Layout{t.dtype, t.shape, contiguous_strides(t.shape)};
  };
  const std::vector<Layout> in{layout(node.node()->input(0).type()), layout(node.node()->input(1).type())};
  const std::vector<Layout> out{layout(node.type())};
  const std::unique_ptr<LibraryStep> step = make_library_step(*node.node(), in, out);
  if (step == nullptr) return false;
  INFO(op.name() << ": " << to_string(c.problem));
  const Tensor result = Tensor::empty(node.type().shape);
  // Scratch memory starts as NaN, and what lies behind it must stay.
  const std::size_t floats = step->scratch_bytes() / sizeof(float);
  const Tensor scratch = Tensor::empty({static_cast<std::int64_t>(floats) + 64});
  std::memset(scratch.raw_data(), 0xff, scratch.bytes());
  auto* const begin = static_cast<std::byte*>(scratch.raw_data());
  const std::size_t shift = (64 - reinterpret_cast<std::uintptr_t>(begin) % 64) % 64;
  void* const buffers[] = {c.first.raw_data(), c.second.raw_data(), result.raw_data(), begin + shift};
  for (int run = 0; run < 2; ++run) {
    step->run(buffers);
    check_conv(c, result);
  }
  for (std::size_t i = shift + step->scratch_bytes(); i < scratch.bytes(); ++i) {
    if (begin[i] != std::byte{0xff}) FAIL("wrote behind its scratch memory");
  }
  return true;
}

}  // namespace

TEST_CASE("convolutions by im2col agree with the reference", "[runtime][conv]") {
  std::mt19937 random(40);
  for (int i = 0; i < compiled_cases(1200); ++i)
    REQUIRE(check_library(random_concrete_conv(random), corr_mm_op()));
}

TEST_CASE("oneDNN's convolutions agree with the reference", "[runtime][conv]") {
  std::mt19937 random(41);
  for (int i = 0; i < compiled_cases(1200); ++i) {
    const ConcreteConvCase c = random_concrete_conv(random);
    const bool is_supported = conv_dnn.support(c.problem).kind != Support::Kind::refuse;
    INFO(to_string(c.problem));
    // What the candidate takes the library must be able to do.
    if (is_supported) REQUIRE(check_library(c, dnn_conv_op()));
  }
}
