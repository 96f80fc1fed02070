#include "croton/runtime/operation_count.h"

#include <string_view>

#include "croton/graph/op.h"
#include "croton/ops/blas.h"
#include "croton/ops/composite.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"

namespace croton {

namespace {

using Layouts = std::span<const Layout>;

double elements(const Layout& layout) { return static_cast<double>(layout.shape.count()); }

double last_extent(const Layout& layout) {
  return layout.shape.empty() ? 1 : static_cast<double>(layout.shape.back());
}

double dot_count(Layouts in, Layouts out) { return 2 * elements(out[0]) * last_extent(in[0]); }

/// Of abstract convolutions; the filters follow from the direction: given, or what is computed.
double convolution_count(const Node& node, Layouts in, Layouts out) {
  const std::string_view op = node.op().name();
  const bool of_inputs = op.ends_with("_grad_inputs"), of_weights = op.ends_with("_grad_weights");
  const Layout& filters = of_inputs ? in[0] : of_weights ? out[0] : in[1];
  const Layout& images = of_inputs || of_weights ? in[1] : out[0];
  const double filter_count = static_cast<double>(filters.shape.front());
  return filter_count == 0 ? 0 : 2 * elements(images) * elements(filters) / filter_count;
}

double concrete_convolution_count(const Node& node, Layouts, Layouts) {
  return concrete_conv_problem(node).flops();
}

struct Counter {
  std::string_view op;
  double (*count)(const Node& node, Layouts in, Layouts out);
};

/// By the names of ops. Elementwise rows, reductions and fused nodes are counted by what they contain.
constexpr Counter counters[] = {
    {"dot", [](const Node&, Layouts in, Layouts out) { return dot_count(in, out); }},
    {"dot22", [](const Node&, Layouts in, Layouts out) { return dot_count(in, out); }},
    {"dot22_scalar", [](const Node&, Layouts in, Layouts out) { return dot_count(in, out); }},
    {"gemm", [](const Node&, Layouts in, Layouts out) { return 2 * elements(out[0]) * last_extent(in[2]); }},
    {"gemv", [](const Node&, Layouts in, Layouts) { return 2 * elements(in[2]); }},
    {"ger", [](const Node&, Layouts, Layouts out) { return 2 * elements(out[0]); }},
    {"conv2d", convolution_count},
    {"conv2d_grad_inputs", convolution_count},
    {"conv2d_grad_weights", convolution_count},
    {"conv3d", convolution_count},
    {"conv3d_grad_inputs", convolution_count},
    {"conv3d_grad_weights", convolution_count},
    {"dnn_conv", concrete_convolution_count},
    {"corr_mm", concrete_convolution_count},
    {"direct_conv", concrete_convolution_count},
    {"winograd_conv", concrete_convolution_count},
    {"fft_conv", concrete_convolution_count},
    {"c01b_conv", concrete_convolution_count},
    {"dnn_b01c_conv", concrete_convolution_count},
    {"pool_2d", [](const Node&, Layouts in, Layouts) { return elements(in[0]); }},
    {"pool_2d_grad", [](const Node&, Layouts in, Layouts) { return elements(in[0]); }},
    {"softmax", [](const Node&, Layouts in, Layouts) { return 5 * elements(in[0]); }},
    {"log_softmax", [](const Node&, Layouts in, Layouts) { return 5 * elements(in[0]); }},
    {"softmax_grad", [](const Node&, Layouts in, Layouts) { return 4 * elements(in[0]); }},
    {"softmax_with_bias", [](const Node&, Layouts in, Layouts) { return 6 * elements(in[0]); }},
    {"crossentropy_softmax_1hot_with_bias",
     [](const Node&, Layouts in, Layouts) { return 6 * elements(in[0]); }},
    {"crossentropy_softmax_1hot_with_bias_dx",
     [](const Node&, Layouts, Layouts out) { return 2 * elements(out[0]); }},
};

}  // namespace

double operation_count(const Node& node, Layouts inputs, Layouts outputs) {
  if (as_elementwise(node.op()) != nullptr) return elements(outputs[0]);
  if (as_reduce(node.op()) != nullptr) return elements(inputs[0]);
  if (&node.op() == &composite_op() || &node.op() == &composite_reduce_op()) {
    const auto& body = node.attributes().get<std::shared_ptr<const Subgraph>>("body");
    double largest = elements(outputs[0]);
    for (const Layout& input : inputs) largest = std::max(largest, elements(input));
    return largest * static_cast<double>(body->nodes().size() + (&node.op() == &composite_reduce_op()));
  }
  for (const Counter& counter : counters) {
    if (counter.op == node.op().name()) return counter.count(node, inputs, outputs);
  }
  return 0;
}

}  // namespace croton
