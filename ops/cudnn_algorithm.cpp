#include "croton/ops/cudnn_algorithm.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include "croton/graph/flags.h"

namespace croton {

namespace {

constexpr std::string_view prefix = "dnn_";

/// cudnnConvolutionFwdAlgo_t, …BwdDataAlgo_t, …BwdFilterAlgo_t; -1 where a direction lacks it.
struct Row {
  std::string_view name;
  int forward, inputs, weights;
};
constexpr Row rows[] = {
    {"small", 1, -1, 3}, {"none", 0, 0, 0},       {"large", 2, -1, -1},   {"deterministic", -1, 1, 1},
    {"fft", 4, 2, 2},    {"fft_tiling", 5, 3, 6}, {"winograd", 6, 4, -1}, {"winograd_non_fused", 7, 5, 5},
};
constexpr auto algorithm_names = [] {
  std::array<std::string_view, std::size(rows)> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = rows[i].name;
  return names;
}();
constexpr std::string_view selection_names[] = {"guess_once", "guess_on_shape_change", "time_once",
                                                "time_on_shape_change"};

// The transforms of whole images.
constexpr std::int64_t most_fft_extent = 256;
// The transforms of tiles.
constexpr std::int64_t most_fft_tile = 32;

bool is_among(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

/// A property that every axis has.
template <class F>
bool all_axes(const ConvProblem& p, const F& holds) {
  for (int axis = 0; axis < p.rank; ++axis) {
    if (!holds(static_cast<std::size_t>(axis))) return false;
  }
  return true;
}

std::string refusal_of_transforms(const ConvProblem& p, std::string_view name) {
  if (!all_axes(p, [&](std::size_t a) { return p.stride[a] == 1 && p.dilation[a] == 1; }))
    return fmt::format("{} has no strides and no dilation", name);
  if (p.dtype == DType::float64) return fmt::format("{} has no float64", name);
  if (is_among(name, {"fft", "fft_tiling"})) {
    if (!all_axes(p, [&](std::size_t a) { return p.kernel[a] > p.pad_lo[a]; }))
      return fmt::format("{} needs less padding than the kernel", name);
    if (name == "fft" &&
        !all_axes(p, [&](std::size_t a) { return p.image[a] + 2 * p.pad_lo[a] <= most_fft_extent; })) {
      return fmt::format("fft has images of up to {} with their padding", most_fft_extent);
    }
    if (name == "fft_tiling" && !all_axes(p, [&](std::size_t a) { return p.kernel[a] <= most_fft_tile; }))
      return fmt::format("fft_tiling has kernels of up to {}", most_fft_tile);
    return {};
  }
  const bool is_square = all_axes(p, [&](std::size_t a) { return p.kernel[a] == p.kernel[0]; });
  const bool has_size = p.kernel[0] == 3 || (p.kernel[0] == 5 && name == "winograd_non_fused");
  if (!is_square || !has_size)
    return name == "winograd" ? "winograd has kernels of 3 x 3"
                              : "winograd_non_fused has kernels of 3 x 3 and 5 x 5";
  return {};
}

}  // namespace

std::span<const std::string_view> cudnn_algorithm_names() { return algorithm_names; }
std::span<const std::string_view> cudnn_selection_names() { return selection_names; }

std::optional<int> cudnn_algorithm_number(ConvDirection direction, std::string_view name) {
  const auto* row = std::ranges::find(rows, name, &Row::name);
  if (row == std::end(rows)) return std::nullopt;
  const int number = direction == ConvDirection::forward           ? row->forward
                     : direction == ConvDirection::backward_inputs ? row->inputs
                                                                   : row->weights;
  return number < 0 ? std::nullopt : std::optional(number);
}

bool cudnn_may_differ(ConvDirection direction, std::string_view name) {
  return direction != ConvDirection::forward && is_among(name, {"none", "small"});
}

std::string cudnn_algorithm_refusal(const ConvProblem& p, std::string_view name) {
  if (!cudnn_algorithm_number(p.direction, name))
    return fmt::format("cuDNN has no {} for {}", name, to_string(p.direction));
  const bool is_in_3d = p.direction == ConvDirection::forward
                            ? is_among(name, {"none", "small", "fft_tiling"})
                        : p.direction == ConvDirection::backward_inputs
                            ? is_among(name, {"none", "deterministic", "fft_tiling"})
                            : is_among(name, {"none", "small"});
  if (p.rank == 3 && !is_in_3d) return fmt::format("cuDNN has no {} for three axes", name);
  if (cudnn_may_differ(p.direction, name) && config().deterministic())
    return fmt::format("the results of {} may differ between runs (deterministic=true)", name);
  const bool is_transform = is_among(name, {"fft", "fft_tiling", "winograd", "winograd_non_fused"});
  return is_transform ? refusal_of_transforms(p, name) : std::string();
}

std::string_view cudnn_algorithm_in(std::string_view version) {
  if (!version.starts_with(prefix)) return {};
  const std::string_view name = version.substr(prefix.size());
  const auto is_known = [&](std::span<const std::string_view> names) {
    return std::ranges::find(names, name) != names.end();
  };
  return is_known(algorithm_names) || is_known(selection_names) ? name : std::string_view();
}

std::string cudnn_algorithm_flag(ConvDirection direction) {
  return config().get(direction == ConvDirection::forward           ? "dnn.conv.algo_fwd"
                      : direction == ConvDirection::backward_inputs ? "dnn.conv.algo_bwd_data"
                                                                    : "dnn.conv.algo_bwd_filter");
}

}  // namespace croton
