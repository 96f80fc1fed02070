// Rows of the functions of expressions: softmax and its like, activations, convolution, pooling.

#include "croton/ops/conv.h"
#include "croton/ops/conv3d.h"
#include "croton/ops/conv_forms.h"
#include "croton/ops/dnn_conv.h"
#include "croton/ops/expression_call.h"
#include "croton/ops/nnet.h"
#include "croton/ops/pool.h"

namespace croton::expression {
namespace {

template <Variable (*function)(const Operand&, int)>
Value along_axis(const Call& c) {
  return {function(c.operand("x"), static_cast<int>(c.integer("axis")))};
}
template <Variable (*function)(const Operand&)>
Value of_one(const Call& c) {
  return {function(c.operand("x"))};
}
template <Variable (*function)(const Operand&, const Operand&)>
Value with_alpha(const Call& c) {
  return {function(c.operand("x"), c.operand("alpha"))};
}

/// 'half', 2, (1, 2), ((1, 2), (0, 1)).
BorderMode border_mode(const Call& c) {
  const Value& value = c.value("border_mode");
  if (const auto* text = value.as<std::string>()) return *text;
  static constexpr std::string_view expected =
      "takes 'valid', 'full', 'half', an integer, or for each axis an integer or a pair of integers";
  std::vector<ConvPad> pads;
  if (const auto* both = value.as<std::int64_t>()) {
    if (*both < INT32_MIN || *both > INT32_MAX) c.fail_because("border_mode", "is out of range");
    return static_cast<int>(*both);
  }
  const auto* axes = value.as<Value::List>();
  if (axes == nullptr) c.fail_because("border_mode", expected);
  for (const Value& axis : *axes) {
    if (const auto* both = axis.as<std::int64_t>()) {
      pads.emplace_back(*both);
      continue;
    }
    const auto* pair = axis.as<Value::List>();
    if (pair == nullptr || pair->size() != 2) c.fail_because("border_mode", expected);
    const auto* lo = (*pair)[0].as<std::int64_t>();
    const auto* hi = (*pair)[1].as<std::int64_t>();
    if (lo == nullptr || hi == nullptr) c.fail_because("border_mode", expected);
    pads.emplace_back(*lo, *hi);
  }
  return pads;
}

std::optional<bool> optional_boolean(const Call& c, std::string_view parameter) {
  if (c.is_none(parameter)) return std::nullopt;
  return c.boolean(parameter);
}

/// What the three convolutions have in common.
ConvOptions conv_options(const Call& c) {
  ConvOptions options;
  options.border_mode = border_mode(c);
  options.subsample = c.integers("subsample");
  options.filter_flip = c.boolean("filter_flip");
  options.filter_dilation = c.integers("filter_dilation");
  options.num_groups = c.integer("num_groups");
  options.unshared = c.boolean("unshared");
  options.version = c.text("version");
  options.unroll_batch = c.optional_integer("unroll_batch");
  options.unroll_kern = c.optional_integer("unroll_kern");
  options.unroll_patch = optional_boolean(c, "unroll_patch");
  options.openmp = optional_boolean(c, "openmp");
  return options;
}

#define CROTON_CONV_KEYWORDS                                                                        \
  "border_mode='valid', subsample=(1, 1), filter_flip=true, filter_dilation=(1, 1), num_groups=1, " \
  "unshared=false, version='', unroll_batch=none, unroll_kern=none, unroll_patch=none, openmp=none)"

Value conv2d_of(const Call& c) {
  ConvOptions options = conv_options(c);
  options.input_shape = c.optional_shape("input_shape");
  options.filter_shape = c.optional_shape("filter_shape");
  return {conv2d(c.operand("input"), c.operand("filters"), options)};
}

Value conv2d_transpose_of(const Call& c) {
  return {conv2d_transpose(c.operand("input"), c.operand("filters"), c.operands("output_shape"),
                           conv_options(c))};
}

Value conv3d_of(const Call& c) {
  return {conv3d(c.operand("input"), c.operand("filters"),
                 {.input_shape = c.optional_shape("input_shape"),
                  .filter_shape = c.optional_shape("filter_shape"),
                  .border_mode = border_mode(c),
                  .subsample = c.integers("subsample"),
                  .filter_flip = c.boolean("filter_flip"),
                  .filter_dilation = c.integers("filter_dilation"),
                  .num_groups = c.integer("num_groups"),
                  .version = c.text("version")})};
}

Value dnn_conv_of(const Call& c) {
  const auto list = [&](const char* name) {
    return c.is_none(name) ? std::vector<std::int64_t>() : c.integers(name);
  };
  return {dnn_conv(c.operand("img"), c.operand("kerns"),
                   {.border_mode = border_mode(c),
                    .subsample = list("subsample"),
                    .dilation = list("dilation"),
                    .conv_mode = c.text("conv_mode"),
                    .direction_hint = c.text("direction_hint"),
                    .algo = c.text("algo"),
                    .precision = c.text("precision"),
                    .workspace = c.optional_integer("workspace"),
                    .num_groups = c.integer("num_groups")})};
}

Value conv2d_grad_wrt_inputs_of(const Call& c) {
  return {conv2d_grad_wrt_inputs(c.operand("output_grad"), c.operand("filters"), c.operands("input_shape"),
                                 conv_options(c))};
}

Value conv2d_grad_wrt_weights_of(const Call& c) {
  return {conv2d_grad_wrt_weights(c.operand("input"), c.operand("output_grad"), c.operands("filter_shape"),
                                  conv_options(c))};
}

Value pool_2d_of(const Call& c) {
  PoolOptions options;
  options.ignore_border = c.boolean("ignore_border");
  if (!c.is_none("stride")) options.stride = c.integers("stride");
  options.pad = c.integers("pad");
  options.mode = c.text("mode");
  return {pool_2d(c.operand("input"), c.integers("ws"), options)};
}

}  // namespace

std::vector<FunctionRow> network_functions() {
  return {
      {"softmax(x, axis=-1)", "exp(x) / sum(exp(x)) along an axis, without overflow.", along_axis<softmax>},
      {"log_softmax(x, axis=-1)", "log(softmax(x)), accurate where softmax underflows.",
       along_axis<log_softmax>},
      {"categorical_crossentropy(p, y)", "-log(p[i, y[i]]) for labels y, -sum(y * log(p)) for distributions.",
       [](const Call& c) -> Value { return {categorical_crossentropy(c.operand("p"), c.operand("y"))}; }},
      {"binary_crossentropy(p, t)", "-(t log(p) + (1 - t) log(1 - p)).",
       [](const Call& c) -> Value { return {binary_crossentropy(c.operand("p"), c.operand("t"))}; }},
      {"sigmoid_binary_crossentropy(x, t)", "binary_crossentropy(sigmoid(x), t) without overflow.",
       [](const Call& c) -> Value { return {sigmoid_binary_crossentropy(c.operand("x"), c.operand("t"))}; }},
      {"relu(x, alpha=0)", "x where x > 0, else alpha * x.", with_alpha<relu>},
      {"leaky_relu(x, alpha=0.01)", "relu with a slope below 0.", with_alpha<leaky_relu>},
      {"elu(x, alpha=1)", "x where x > 0, else alpha * (exp(x) - 1).", with_alpha<elu>},
      {"selu(x)", "scale * elu(x, alpha) with the self-normalizing constants.", of_one<selu>},
      {"softsign(x)", "x / (1 + |x|).", of_one<softsign>},
      {"hard_sigmoid(x)", "clip(0.2 * x + 0.5, 0, 1).", of_one<hard_sigmoid>},
      {"conv2d(input, filters, input_shape=none, filter_shape=none, " CROTON_CONV_KEYWORDS,
       "input [batch, channels, rows, columns] convolved with filters [filters, channels / num_groups, rows, "
       "columns].",
       conv2d_of},
      {"conv2d_fft(input, filters, image_shape=none, filter_shape=none, border_mode='valid', "
       "pad_last_dim=false)",
       "conv2d by Fourier transforms and nothing else.",
       [](const Call& c) -> Value {
         return {conv2d_fft(c.operand("input"), c.operand("filters"), c.optional_shape("image_shape"),
                            c.optional_shape("filter_shape"), border_mode(c), c.boolean("pad_last_dim"))};
       }},
      {"corr_mm(input, filters, border_mode='valid', subsample=(1, 1), filter_dilation=(1, 1), num_groups=1)",
       "Correlation by products of matrices and nothing else.",
       [](const Call& c) -> Value {
         return {corr_mm(c.operand("input"), c.operand("filters"),
                         {.border_mode = border_mode(c),
                          .subsample = c.integers("subsample"),
                          .filter_dilation = c.integers("filter_dilation"),
                          .num_groups = c.integer("num_groups")})};
       }},
      {"dnn_conv(img, kerns, border_mode='valid', subsample=none, dilation=none, conv_mode='conv', "
       "direction_hint='', algo='', precision='', workspace=none, num_groups=1)",
       "Convolution by the vendor's library and nothing else.", dnn_conv_of},
      {"conv2d_grad_wrt_inputs(output_grad, filters, input_shape, " CROTON_CONV_KEYWORDS,
       "The gradient of conv2d with respect to its input.", conv2d_grad_wrt_inputs_of},
      {"conv2d_grad_wrt_weights(input, output_grad, filter_shape, " CROTON_CONV_KEYWORDS,
       "The gradient of conv2d with respect to its filters.", conv2d_grad_wrt_weights_of},
      {"conv2d_transpose(input, filters, output_shape, " CROTON_CONV_KEYWORDS,
       "The gradient of the conv2d with these options with respect to its input, as a layer: filters "
       "[input's "
       "channels, output's channels / num_groups, rows, columns].",
       conv2d_transpose_of},
      {"conv3d(input, filters, input_shape=none, filter_shape=none, border_mode='valid', subsample=(1, 1, "
       "1), "
       "filter_flip=true, filter_dilation=(1, 1, 1), num_groups=1, version='')",
       "input [batch, channels, time, rows, columns] convolved with filters [filters, channels / num_groups, "
       "time, rows, columns].",
       conv3d_of},
      {"pool_2d(input, ws, ignore_border=true, stride=none, pad=(0, 0), mode='max')",
       "Maximum, sum or mean over windows of the last two axes.", pool_2d_of},
  };
}

}  // namespace croton::expression
