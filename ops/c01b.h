#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "croton/graph/variable.h"
#include "croton/ops/conv.h"
#include "croton/ops/random.h"

namespace croton {

// The family of cuda-convnet (A. Krizhevsky): images lie as c01b, [channels, rows, columns, batch], filters
// as [channels, rows, columns, filters]. The functions are made of conv2d, pool_2d and elementwise
// operations, whose gradients are theirs, and have the original's limits on channels, filters, squares and
// batch only where the flag strict_cuda_convnet asks for them.

/// What FilterActs, ImageActs and WeightActs are made with: `pad` zeros on every side; `partial_sum`: how
/// many output positions one block of the original sums for the gradient of the filters, which must divide
/// their number (ValueError where both are known; sums here are partial sums anyway); `stride`.
class CROTON_API C01bActs {
 public:
  explicit C01bActs(std::int64_t pad = 0, std::optional<std::int64_t> partial_sum = std::nullopt,
                    std::int64_t stride = 1);

 protected:
  void check_partial_sum(const Shape& output) const;
  /// ValueError where the flag strict_cuda_convnet is set and the convolution of that node (a conv2d or one
  /// of its gradients) exceeds a limit of the original.
  void check_limits(const Variable& convolution) const;
  ConvOptions options() const;

 private:
  std::int64_t pad_, stride_;
  std::optional<std::int64_t> partial_sum_;
};

/// Correlation (filters are not turned around). Output extents round up: (extent + 2 pad - filter) / stride,
/// plus 1 where there is a remainder, plus 1; the last windows see zeros.
class CROTON_API FilterActs : public C01bActs {
 public:
  using C01bActs::C01bActs;
  /// [filters, rows, columns, batch].
  Variable operator()(const Operand& images, const Operand& filters) const;
};

/// The gradient of FilterActs with respect to images of `shape` = {rows, columns}.
class CROTON_API ImageActs : public C01bActs {
 public:
  using C01bActs::C01bActs;
  Variable operator()(const Operand& hidden, const Operand& filters,
                      const std::array<std::int64_t, 2>& shape) const;
};

/// The gradient of FilterActs with respect to filters of `shape` = {rows, columns}.
class CROTON_API WeightActs : public C01bActs {
 public:
  using C01bActs::C01bActs;
  Variable operator()(const Operand& images, const Operand& hidden,
                      const std::array<std::int64_t, 2>& shape) const;
};

/// The largest element, or the mean, of windows of ds x ds, `stride` (at most ds) apart; windows at the end
/// are cut off: (extent - ds) / stride rounded up, plus 1.
CROTON_API Variable max_pool_c01b(const Operand& images, std::int64_t ds, std::int64_t stride);
CROTON_API Variable avg_pool_c01b(const Operand& images, std::int64_t ds, std::int64_t stride);
/// The sum of x^2 over the sum of x of the same windows, for x >= 0: what StochasticMaxPool draws on average.
/// 0 for a window of zeros. (Zeiler & Fergus 2013.)
CROTON_API Variable weighted_max_pool_c01b(const Operand& images, std::int64_t ds, std::int64_t stride);
/// One element x_i of each window, drawn with probability x_i / sum of x, for x >= 0; 0 for a window of
/// zeros. The gradient goes to the elements that were drawn.
CROTON_API Variable stochastic_max_pool_c01b(const Operand& images, std::int64_t ds, std::int64_t stride,
                                             RandomStreams& random);
/// Probabilistic max-pooling (Lee et al. 2009) of squares of `pool` x `pool` that do not overlap, which must
/// divide rows and columns: the softmax of a square and of -top_down (0 without). Returns the probability p
/// that a unit of the square is on, [channels, rows / pool, columns / pool, batch], and h that each one is,
/// of z's shape.
CROTON_API std::pair<Variable, Variable> prob_max_pool_c01b(const Operand& z, std::int64_t pool,
                                                            const Variable& top_down = {});
/// Local response normalization across maps: y = x * d^-pow_scale with d = 1 + add_scale * sum of x^2 over
/// `size` channels around each, [f - size / 2, f - size / 2 + size) cut off at the ends, or with `blocked`
/// over its block of `size` channels. Returns y and d.
CROTON_API std::pair<Variable, Variable> cross_map_norm(const Operand& images, std::int64_t size,
                                                        double add_scale = 1e-4, double pow_scale = 0.75,
                                                        bool blocked = true);

}  // namespace croton
