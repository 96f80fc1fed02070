#include <croton/croton.h>
#include <croton/optimizer/conv_candidate.h>

#include <cmath>
#include <iostream>
#include <string>

namespace {

// An implementation of convolutions of the program's own: one product where filters have one element.
const croton::ConvCandidate pointwise = {
    .name = "pointwise",
    .tag = "conv_pointwise",
    .opt_in = true,
    .support =
        [](const croton::ConvProblem& p) {
          return p.direction == croton::ConvDirection::forward && croton::is_matrix_product(p)
                     ? croton::accept()
                     : croton::refuse("not a product");
        },
    .workspace = [](const croton::ConvProblem&) { return std::size_t{0}; },
    .error = croton::plain_sum_error,
    .build =
        [](const croton::ConvProblem& p, const croton::Variable& image, const croton::Variable& filters,
           const croton::Attributes&) {
          const croton::Variable columns =
              image.dimshuffle({1, 0, 2, 3}).reshape({p.channels, p.batch * p.image.count()});
          return dot(filters.reshape({p.filters, p.channels}), columns)
              .reshape({p.filters, p.batch, p.image[0], p.image[1]})
              .dimshuffle({1, 0, 2, 3});
        },
};

bool computes_pointwise() {
  using namespace croton;
  register_conv_candidate(pointwise);
  const Variable x = tensor4("x"), w = tensor4("w");
  const Function f = function({x, w}, conv2d(x, w), {.mode = default_mode().including("conv_pointwise")});
  const Tensor y = f(Tensor::ones({2, 3, 4, 4}), Tensor::ones({5, 3, 1, 1}))[0];
  return y.at<float>({1, 4, 3, 3}) == 3.0f &&
         debugprint_text(*f.plan_graph()).find("Conv") == std::string::npos;
}

}  // namespace

// What a user's first program does: an expression, its gradient, a compiled function, a shared variable.
int main() {
  using namespace croton;
  if (!computes_pointwise()) {
    std::cerr << "the program's own convolution was not taken, or is wrong\n";
    return 1;
  }
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
