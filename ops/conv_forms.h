#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "croton/ops/conv3d.h"

namespace croton {

// Convolutions by other conventions, made of conv2d and conv3d.

namespace signal {

/// Plain two-dimensional convolution without channels: input [rows, columns] or [batch, rows, columns],
/// filters [rows, columns] or [filters, rows, columns]. The result has the batch axis where the input has
/// one, then the filter axis where the filters have one.
CROTON_API Variable conv2d(const Operand& input, const Operand& filters,
                           const BorderMode& border_mode = "valid",
                           const std::vector<std::int64_t>& subsample = {1, 1});

}  // namespace signal

/// Channels last, with a bias, strides `d` and without turning the filters around: V [batch, row, column,
/// time, channel], W [filter, row, column, time, channel], b [filter], result [batch, row, column, time,
/// filter].
CROTON_API Variable conv3D(const Operand& V, const Operand& W, const Operand& b,
                           const std::array<std::int64_t, 3>& d = {1, 1, 1});
/// Its gradient with respect to W of the shape `W_shape` (5 entries), given that of its result.
CROTON_API Variable convGrad3D(const Operand& V, const std::array<std::int64_t, 3>& d,
                               const std::vector<Operand>& W_shape, const Operand& dCdH);
/// Its transpose: the gradient with respect to V, whose rows, columns and times are R_shape, with a bias b
/// [channel].
CROTON_API Variable convTransp3D(const Operand& W, const Operand& b, const std::array<std::int64_t, 3>& d,
                                 const Operand& H, const std::vector<Operand>& R_shape);

/// conv2d by Fourier transforms and nothing else: stride 1, images and padding up to 64 or filters that cover
/// up to
/// 64. `pad_last_dim` adds a column of zeros to the images, and takes its results away, where even extents
/// are wanted.
CROTON_API Variable conv2d_fft(const Operand& input, const Operand& filters,
                               const std::optional<Shape>& image_shape = std::nullopt,
                               const std::optional<Shape>& filter_shape = std::nullopt,
                               const BorderMode& border_mode = "valid", bool pad_last_dim = false);
/// Correlations (the filters are not turned around) by products of matrices and nothing else, as are their
/// gradients. `options.filter_flip` and `options.version` do not count.
CROTON_API Variable corr_mm(const Operand& input, const Operand& filters, ConvOptions options = {});
CROTON_API Variable corr3d_mm(const Operand& input, const Operand& filters, Conv3dOptions options = {});

namespace conv3d2d {

/// signals [batch, time, channel, row, column] convolved with filters [filter, time, channel, row, column]:
/// [batch, time, filter, row, column].
CROTON_API Variable conv3d(const Operand& signals, const Operand& filters,
                           const BorderMode& border_mode = "valid");

}  // namespace conv3d2d

}  // namespace croton
