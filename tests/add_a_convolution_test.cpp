// Follows docs/add_a_convolution.md: every line of C++ on that page stands here.
#include <catch2/catch.hpp>

#include "croton/croton.h"
#include "croton/optimizer/conv_choice.h"
#include "lowered.h"
#include "page_code.h"

namespace croton {
namespace {

using Catch::Matchers::Contains;

// clang-format off
Support pointwise_support(const ConvProblem& p) {
  if (p.direction != ConvDirection::forward) return refuse("only the forward pass is made of one product");
  if (p.rank != 2) return refuse("only two spatial axes");
  if (!is_matrix_product(p)) return refuse("only filters of one element, with stride 1 and no padding");
  return accept();
}

Variable build_pointwise(const ConvProblem& p, const Variable& image, const Variable& filters, const Attributes&) {
  const std::int64_t positions = p.batch * p.image.count();
  const Variable columns = image.dimshuffle({1, 0, 2, 3}).reshape({p.channels, positions});
  const Variable rows = dot(filters.reshape({p.filters, p.channels}), columns);
  return rows.reshape({p.filters, p.batch, p.image[0], p.image[1]}).dimshuffle({1, 0, 2, 3});
}

const ConvCandidate conv_pointwise = {
    .name = "pointwise",
    .tag = "conv_pointwise",
    .opt_in = true,
    .support = pointwise_support,
    .workspace = [](const ConvProblem& p) { return 2 * static_cast<std::size_t>(p.image_shape().count()) * size_of(p.dtype); },
    .error = plain_sum_error,
    .build = build_pointwise,
};

[[maybe_unused]] const bool is_registered = [] {
register_conv_candidate(conv_pointwise);
  return true;
}();
// clang-format on

}  // namespace

TEST_CASE("the page about adding a convolution says what this file does", "[docs][conv]") {
  test::check_code_of_page("docs/add_a_convolution.md", "tests/add_a_convolution_test.cpp", 20);
}

TEST_CASE("an implementation of one's own is chosen by its tag and computes", "[optimizer][conv]") {
  const Variable x = ftensor4("x"), w = ftensor4("w");
  const Tensor image = test::random_tensor({3, 5, 7, 6}, DType::float32, 1),
               filters = test::random_tensor({4, 5, 1, 1}, DType::float32, 2);
  const Function with = function({x, w}, conv2d(x, w), {.mode = default_mode().including("conv_pointwise")});
  const Tensor y = with(image, filters), expected = function({x, w}, conv2d(x, w))(image, filters);
  CHECK(allclose(y, expected, 1e-5, 1e-5));
  CHECK_THAT(debugprint_text(*with.plan_graph()), Contains("dot ["));

  const Attributes attributes = conv2d(x, w).node()->attributes();
  const auto choose = [&](std::int64_t kernel) {
    const ConvProblem p =
        conv_problem(ConvDirection::forward, attributes, {3, 5, 7, 6}, {4, 5, kernel, 1}, {}, DType::float32);
    return choose_convolution(p, Query().including("conv_pointwise"));
  };
  CHECK(choose(1).chosen == &conv_pointwise);
  CHECK_THAT(choose(2).text(), Contains("pointwise: refuses: only filters of one element"));
  CHECK_THROWS_WITH(register_conv_candidate(conv_pointwise), Contains("registered too late"));
}

}  // namespace croton
