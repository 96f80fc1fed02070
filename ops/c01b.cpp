#include "croton/ops/c01b.h"

#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/ops/c01b_limits.h"
#include "croton/ops/conv.h"
#include "croton/ops/conv_shapes.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/indexing.h"
#include "croton/ops/nnet.h"
#include "croton/ops/pool.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

Variable tensor_of_rank_4(const Operand& x, const char* function) {
  if (x.variable().rank() != 4) {
    throw TypeError(
        fmt::format("{} takes a tensor of rank 4 (c01b), got {}", function, to_string(x.variable().type())));
  }
  return x.variable();
}

Variable to_bc01(const Variable& x) { return x.dimshuffle({3, 0, 1, 2}); }
Variable to_c01b(const Variable& x) { return x.dimshuffle({1, 2, 3, 0}); }

void check_window(std::int64_t ds, std::int64_t stride, const char* function) {
  if (ds < 1 || stride < 1 || stride > ds) {
    throw ValueError(
        fmt::format("{}: windows of {} that are {} apart; the stride is at least 1 and at most the window",
                    function, ds, stride));
  }
}

Variable images_to_pool(const Operand& images, const char* function) {
  const Variable x = tensor_of_rank_4(images, function);
  if (const std::string limit = strict_cuda_convnet_pool_limit(x.type().shape); !limit.empty())
    throw ValueError(std::string(function) + ": " + limit);
  return x;
}

/// Over windows that are cut off at the end.
Variable pooled(const Variable& x, std::int64_t ds, std::int64_t stride, const char* mode) {
  return to_c01b(
      pool_2d(to_bc01(x), {ds, ds}, {.ignore_border = false, .stride = {stride, stride}, .mode = mode}));
}

/// x with zeros behind its rows and columns, so that all windows are whole.
Variable padded_for_windows(const Variable& x, std::int64_t ds) {
  const Variable rows = zeros(SymbolicShape{x.shape(0), ds - 1, x.shape(2), x.shape(3)}, x.dtype());
  const Variable longer = join(1, {x, rows});
  return join(2, {longer, zeros(SymbolicShape{x.shape(0), longer.shape(1), ds - 1, x.shape(3)}, x.dtype())});
}

}  // namespace

C01bActs::C01bActs(std::int64_t pad, std::optional<std::int64_t> partial_sum, std::int64_t stride)
    : pad_(pad), stride_(stride), partial_sum_(partial_sum) {
  if (pad < 0) throw ValueError(fmt::format("FilterActs: pad is {}; it must not be negative", pad));
  if (stride < 1) throw ValueError(fmt::format("FilterActs: stride is {}; it must be at least 1", stride));
  if (partial_sum && *partial_sum < 0)
    throw ValueError(fmt::format("FilterActs: partial_sum is {}; it must not be negative", *partial_sum));
}

void C01bActs::check_partial_sum(const Shape& output) const {
  if (!partial_sum_ || *partial_sum_ == 0 || output[1] == unknown || output[2] == unknown) return;
  if (output[1] * output[2] % *partial_sum_ != 0) {
    throw ValueError(fmt::format("partial_sum is {}; it must divide the {} x {} output positions",
                                 *partial_sum_, output[1], output[2]));
  }
}

void C01bActs::check_limits(const Variable& convolution) const {
  const Node& node = *convolution.node();
  Shape extents;
  for (std::size_t axis = 2; axis < node.input_count(); ++axis) extents.push_back(node.type().shape[axis]);
  const ConvProblem problem =
      resolve_conv(*conv_direction(node.op()), node.attributes(), node.input(0).type().shape,
                   node.input(1).type().shape, extents, node.type().dtype);
  if (const std::string limit = strict_cuda_convnet_limit(problem); !limit.empty()) throw ValueError(limit);
}

ConvOptions C01bActs::options() const {
  // stride - 1 zeros more behind make the extents round up.
  return {.border_mode = {{pad_, pad_ + stride_ - 1}, {pad_, pad_ + stride_ - 1}},
          .subsample = {stride_, stride_},
          .filter_flip = false};
}

Variable FilterActs::operator()(const Operand& images, const Operand& filters) const {
  const LocationScope scope(images.where());
  const Variable x = tensor_of_rank_4(images, "FilterActs"), w = tensor_of_rank_4(filters, "FilterActs");
  const Variable y = conv2d(to_bc01(x), to_bc01(w), options());
  check_limits(y);
  check_partial_sum(to_c01b(y).type().shape);
  return to_c01b(y);
}

Variable ImageActs::operator()(const Operand& hidden, const Operand& filters,
                               const std::array<std::int64_t, 2>& shape) const {
  const LocationScope scope(hidden.where());
  const Variable gy = tensor_of_rank_4(hidden, "ImageActs"), w = tensor_of_rank_4(filters, "ImageActs");
  check_partial_sum(gy.type().shape);
  const Variable gx = conv2d_grad_wrt_inputs(to_bc01(gy), to_bc01(w),
                                             {gy.shape(3), w.shape(0), shape[0], shape[1]}, options());
  check_limits(gx);
  return to_c01b(gx);
}

Variable WeightActs::operator()(const Operand& images, const Operand& hidden,
                                const std::array<std::int64_t, 2>& shape) const {
  const LocationScope scope(images.where());
  const Variable x = tensor_of_rank_4(images, "WeightActs"), gy = tensor_of_rank_4(hidden, "WeightActs");
  check_partial_sum(gy.type().shape);
  const Variable gw = conv2d_grad_wrt_weights(to_bc01(x), to_bc01(gy),
                                              {gy.shape(0), x.shape(0), shape[0], shape[1]}, options());
  check_limits(gw);
  return to_c01b(gw);
}

Variable max_pool_c01b(const Operand& images, std::int64_t ds, std::int64_t stride) {
  const LocationScope scope(images.where());
  check_window(ds, stride, "max_pool_c01b");
  return pooled(images_to_pool(images, "max_pool_c01b"), ds, stride, "max");
}

Variable avg_pool_c01b(const Operand& images, std::int64_t ds, std::int64_t stride) {
  const LocationScope scope(images.where());
  check_window(ds, stride, "avg_pool_c01b");
  return pooled(images_to_pool(images, "avg_pool_c01b"), ds, stride, "average_exc_pad");
}

Variable weighted_max_pool_c01b(const Operand& images, std::int64_t ds, std::int64_t stride) {
  const LocationScope scope(images.where());
  check_window(ds, stride, "weighted_max_pool_c01b");
  const Variable x = images_to_pool(images, "weighted_max_pool_c01b");
  const Variable total = pooled(x, ds, stride, "sum");
  return pooled(sqr(x), ds, stride, "sum") / switch_(eq(total, 0), ones_like(total), total);
}

Variable stochastic_max_pool_c01b(const Operand& images, std::int64_t ds, std::int64_t stride,
                                  RandomStreams& random) {
  const LocationScope scope(images.where());
  check_window(ds, stride, "stochastic_max_pool_c01b");
  const Variable x = images_to_pool(images, "stochastic_max_pool_c01b");
  const Variable total = pooled(x, ds, stride, "sum");
  const Variable padded = padded_for_windows(x, ds);
  const Variable rows = total.shape(1), columns = total.shape(2);
  const Variable drawn = random.uniform(SymbolicShape{x.shape(0), rows, columns, x.shape(3)}) * total;
  // The first element at which the running sum passes what was drawn.
  Variable before, result;
  for (std::int64_t i = 0; i < ds; ++i) {
    for (std::int64_t j = 0; j < ds; ++j) {
      const Variable element = padded(all, slice(i, (rows - 1) * stride + (i + 1), stride),
                                      slice(j, (columns - 1) * stride + (j + 1), stride));
      const Variable sum = before ? before + element : element;
      const Variable reached = gt(sum, drawn);
      const Variable is_it = before ? and_(reached, le(before, drawn)) : reached;
      const Variable part = switch_(is_it, element, zeros_like(element));
      result = result ? result + part : part;
      before = sum;
    }
  }
  return result;
}

std::pair<Variable, Variable> prob_max_pool_c01b(const Operand& images, std::int64_t pool,
                                                 const Variable& top_down) {
  const LocationScope scope(images.where());
  const Variable z = images_to_pool(images, "prob_max_pool_c01b");
  if (pool < 1) throw ValueError(fmt::format("prob_max_pool_c01b: squares of {}", pool));
  const Variable channels = z.shape(0), batch = z.shape(3);
  const Variable rows = floor_div(z.shape(1), pool), columns = floor_div(z.shape(2), pool);
  // [channels, rows, columns, batch, square]
  const Variable squares =
      reshape(reshape(z, {channels, rows, pool, columns, pool, batch}).dimshuffle({0, 1, 3, 5, 2, 4}),
              {channels, rows, columns, batch, pool * pool});
  const Variable off = top_down ? -top_down : zeros_like(squares(all, all, all, all, 0));
  const Variable probabilities = softmax(join(4, {squares, off.dimshuffle({0, 1, 2, 3, 'x'})}), 4);
  const Variable on = probabilities(all, all, all, all, slice(0, pool * pool));
  const Variable h =
      reshape(reshape(on, {channels, rows, columns, batch, pool, pool}).dimshuffle({0, 1, 4, 2, 5, 3}),
              {channels, z.shape(1), z.shape(2), batch});
  return {sum(on, 4), h};
}

std::pair<Variable, Variable> cross_map_norm(const Operand& images, std::int64_t size, double add_scale,
                                             double pow_scale, bool blocked) {
  const LocationScope scope(images.where());
  const Variable x = images_to_pool(images, "cross_map_norm");
  const std::int64_t channels = x.type().shape[0];
  if (channels == unknown)
    throw ShapeError(fmt::format(
        "cross_map_norm: the number of channels (axis 0) of {} must be known to its type: give it with "
        "tensor(DType::float32, {{96, unknown, unknown, unknown}}) or specify_shape",
        describe(images.variable())));
  if (size < 1 || size > channels)
    throw ValueError(fmt::format("cross_map_norm: {} maps around each; there are {}", size, channels));
  const Variable squares = sqr(x);
  std::vector<Operand> sums;
  if (blocked) {
    for (std::int64_t begin = 0; begin < channels; begin += size) {
      const std::int64_t end = std::min(channels, begin + size);
      const Variable total = sum(squares(slice(begin, end)), 0, true);
      for (std::int64_t f = begin; f < end; ++f) sums.emplace_back(total);
    }
  } else {
    for (std::int64_t f = 0; f < channels; ++f) {
      const std::int64_t begin = std::max<std::int64_t>(0, f - size / 2);
      const std::int64_t end = std::min(channels, f - size / 2 + size);
      sums.emplace_back(sum(squares(slice(begin, end)), 0, true));
    }
  }
  const Variable denominator = 1 + add_scale * join(0, sums);
  return {x * pow(denominator, -pow_scale), denominator};
}

}  // namespace croton
