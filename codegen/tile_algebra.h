#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "croton/codegen/fourier.h"
#include "croton/ops/conv_tiles.h"

namespace croton {

/// What is transformed: `side` samples of the source, the taps of the filter, `step` elements of the result.
enum class TilePart : std::uint8_t { source, filter, result };

/// The transforms of ConvTiles as code, one axis after the other. Complex numbers are two terms, real and
/// imaginary part.
///
/// With S, F and R the transforms of the three parts, a result tile is R'(S(source) * conj(F(filter))),
/// summed over channels, and the gradient of the filter F'(S(source) * conj(R(gradient))), summed over tiles;
/// F' and R' are synthesise.
class TileAlgebra {
 public:
  TileAlgebra(const ConvTiles& tiles, const ConvProblem& problem, ScalarBuilder& builder, DType dtype);

  /// Elements of a part along an axis.
  std::int64_t extent(TilePart part, std::size_t axis) const;
  /// Columns first: a row of elements gives spectrum(1) numbers; then rows: as many numbers as the part has
  /// elements give spectrum(0).
  std::vector<Term> analyse(TilePart part, std::size_t axis, const std::vector<Term>& elements);
  /// Rows first: spectrum(0) numbers give as many as the part has elements; then columns.
  std::vector<Term> synthesise(TilePart part, std::size_t axis, const std::vector<Term>& numbers);
  ScalarValue value(Term x) { return a_.value(x); }

 private:
  std::vector<Term> multiply(const std::vector<std::vector<double>>& matrix, const std::vector<Term>& x,
                             bool is_transposed);
  const std::vector<std::vector<double>>& matrix(TilePart part) const;

  ConvTiles tiles_;
  std::array<std::int64_t, 2> taps_;
  TermArithmetic a_;
  FourierCode fourier_;
};

}  // namespace croton
