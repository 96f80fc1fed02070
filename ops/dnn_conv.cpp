#include "croton/ops/dnn_conv.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/ops/conv3d.h"
#include "croton/ops/conv_arguments.h"
#include "croton/ops/cudnn_algorithm.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/indexing.h"

namespace croton {

namespace {

void check_word(const std::string& word, std::initializer_list<std::string_view> known, const char* name) {
  if (std::ranges::find(known, word) != known.end()) return;
  throw ValueError(fmt::format("dnn_conv: {} '{}' is not one of {}", name, word, fmt::join(known, ", ")));
}

void check_precision(const std::string& precision, DType dtype) {
  check_word(precision, {"", "as_input_f32", "as_input", "float16", "float32", "float64"}, "precision");
  const bool fits = precision == "float16"   ? dtype == DType::float16
                    : precision == "float64" ? dtype == DType::float64
                    : precision == "float32" ? dtype != DType::float64
                                             : true;
  if (!fits)
    throw ValueError(
        fmt::format("dnn_conv: cuDNN does not add up in {} what is {}", precision, name_of(dtype)));
}

std::string version_of(const DnnConvOptions& o, ConvDirection direction) {
  const std::string algo = o.algo.empty() ? cudnn_algorithm_flag(direction) : o.algo;
  const std::string version = "dnn_" + algo;
  const bool is_known = !cudnn_algorithm_in(version).empty();
  const std::span<const std::string_view> selections = cudnn_selection_names();
  const bool is_selection = std::ranges::find(selections, algo) != selections.end();
  if (is_known && (is_selection || cudnn_algorithm_number(direction, algo))) return version;
  throw ValueError(fmt::format("dnn_conv: algo '{}' is not known for {}; there are {}, {}", algo,
                               to_string(direction), fmt::join(cudnn_algorithm_names(), ", "),
                               fmt::join(selections, ", ")));
}

/// Rows behind rows, channels and filters exchanged.
Variable transposed(const Variable& x) {
  return x.rank() == 4 ? x.dimshuffle({1, 0, 2, 3}) : x.dimshuffle({1, 0, 2, 3, 4});
}

Variable turned_around(const Variable& kerns) {
  const Slice backwards = slice(none, none, -1);
  return kerns.rank() == 4 ? kerns(all, all, backwards, backwards)
                           : kerns(all, all, backwards, backwards, backwards);
}

}  // namespace

Variable dnn_conv(const Operand& img, const Operand& kerns, const DnnConvOptions& o) {
  const LocationScope scope(img.where());
  const auto [x, w] = floating_pair(img, kerns);
  if (x.rank() != w.rank() || (x.rank() != 4 && x.rank() != 5)) {
    throw TypeError(fmt::format("dnn_conv takes two tensors of rank 4 or of rank 5, got {} and {}",
                                to_string(x.type()), to_string(w.type())));
  }
  check_word(o.conv_mode, {"conv", "cross"}, "conv_mode");
  check_word(o.direction_hint, {"", "forward", "forward!", "bprop weights", "bprop inputs"},
             "direction_hint");
  check_precision(o.precision, x.dtype());
  if (o.workspace && *o.workspace < 0)
    throw ValueError(fmt::format("dnn_conv: workspace is {} MiB", *o.workspace));

  const int rank = x.rank() - 2;
  const std::vector<std::int64_t> ones(static_cast<std::size_t>(rank), 1);
  const bool is_flipped = o.conv_mode == "conv";
  const auto or_ones = [&](const std::vector<std::int64_t>& list) { return list.empty() ? ones : list; };
  const auto attributes = [&](ConvDirection direction, const BorderMode& mode, bool flip) {
    Attributes made = {{"border_mode", mode.attribute(rank)},
                       {"subsample", or_ones(o.subsample)},
                       {"dilation", or_ones(o.dilation)},
                       {"num_groups", o.num_groups},
                       {"filter_flip", flip},
                       {"version", version_of(o, direction)}};
    if (!o.precision.empty()) made = made.with("compute_precision", o.precision);
    if (o.workspace) made = made.with("workspace", *o.workspace);
    return made;
  };
  const AttributeValue mode = o.border_mode.attribute(rank);
  const auto* const mode_name = std::get_if<std::string>(&mode);
  const bool is_plain = or_ones(o.subsample) == ones && or_ones(o.dilation) == ones && o.num_groups == 1;
  if (is_plain && mode_name != nullptr && *mode_name == "valid" && o.direction_hint == "bprop weights") {
    // y^T[o, b] = sum over c of x^T[c, b] with w^T[c, o]: the batch is the channels, which are the images.
    const Variable gradient = transposed(is_flipped ? turned_around(w) : w);
    std::vector<Variable> inputs = {transposed(x), gradient};
    for (int axis = 2; axis < x.rank(); ++axis) inputs.push_back(x.shape(axis) - w.shape(axis) + 1);
    return transposed(apply_op(rank == 2 ? conv2d_grad_weights_op() : conv3d_grad_weights_op(),
                               std::move(inputs),
                               attributes(ConvDirection::backward_weights, "valid", false)));
  }
  if (is_plain && mode_name != nullptr && *mode_name == "full" && o.direction_hint != "forward!") {
    std::vector<Variable> inputs = {transposed(w), x};
    for (int axis = 2; axis < x.rank(); ++axis) inputs.push_back(x.shape(axis) + w.shape(axis) - 1);
    return apply_op(rank == 2 ? conv2d_grad_inputs_op() : conv3d_grad_inputs_op(), std::move(inputs),
                    attributes(ConvDirection::backward_inputs, "valid", !is_flipped));
  }
  return apply_op(rank == 2 ? conv2d_op() : conv3d_op(), {x, w},
                  attributes(ConvDirection::forward, o.border_mode, is_flipped));
}

}  // namespace croton
