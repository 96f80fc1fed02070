#include "croton/codegen/tile_algebra.h"

namespace croton {

namespace {

using Matrix = std::vector<std::vector<double>>;

// Winograd's transforms by the Toom-Cook construction on the points 0, 1, -1 and infinity, or 0, 1, -1, 1/2,
// -2 and infinity: of the choices of small fractions for F(4 x 4, 3 x 3) these round best (0, 1, -1, 2, -2
// has three times their error).
const Matrix source_2 = {{-1, 0, 1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}};
const Matrix filter_2 = {{-1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
const Matrix result_2 = {{1, 0}, {1, 1}, {1, -1}, {0, 1}};
const Matrix source_4 = {{1, -1.5, -2, 1.5, 1, 0}, {0, -1, 0.5, 2.5, 1, 0},  {0, 1, -2.5, 0.5, 1, 0},
                         {0, -2, -1, 2, 1, 0},     {0, 0.5, -1, -0.5, 1, 0}, {0, 1, -1.5, -2, 1.5, 1}};
const Matrix filter_4 = {{1, 0, 0},
                         {1. / 3, 1. / 3, 1. / 3},
                         {-1. / 3, 1. / 3, -1. / 3},
                         {-16. / 15, -8. / 15, -4. / 15},
                         {1. / 15, -2. / 15, 4. / 15},
                         {0, 0, 1}};
const Matrix result_4 = {{1, 0, 0, 0},          {1, 1, 1, 1},   {1, -1, 1, -1},
                         {1, 0.5, 0.25, 0.125}, {1, -2, 4, -8}, {0, 0, 0, 1}};

std::vector<ComplexTerm> paired(const std::vector<Term>& numbers) {
  std::vector<ComplexTerm> pairs;
  for (std::size_t i = 0; i + 1 < numbers.size(); i += 2) pairs.push_back({numbers[i], numbers[i + 1]});
  return pairs;
}

std::vector<Term> flat(const std::vector<ComplexTerm>& pairs) {
  std::vector<Term> numbers;
  for (const ComplexTerm& pair : pairs) {
    numbers.push_back(pair.re);
    numbers.push_back(pair.im);
  }
  return numbers;
}

}  // namespace

TileAlgebra::TileAlgebra(const ConvTiles& tiles, const ConvProblem& problem, ScalarBuilder& builder,
                         DType dtype)
    : tiles_(tiles),
      taps_{problem.kernel[0], problem.kernel[1]},
      a_(builder, dtype),
      fourier_(builder, dtype) {}

std::int64_t TileAlgebra::extent(TilePart part, std::size_t axis) const {
  switch (part) {
    case TilePart::source:
      return tiles_.side[axis];
    case TilePart::filter:
      return taps_[axis];
    case TilePart::result:
      break;
  }
  return tiles_.step[axis];
}

const Matrix& TileAlgebra::matrix(TilePart part) const {
  const bool is_small = tiles_.step[0] == 2;
  switch (part) {
    case TilePart::source:
      return is_small ? source_2 : source_4;
    case TilePart::filter:
      return is_small ? filter_2 : filter_4;
    case TilePart::result:
      break;
  }
  return is_small ? result_2 : result_4;
}

std::vector<Term> TileAlgebra::multiply(const Matrix& m, const std::vector<Term>& x, bool is_transposed) {
  std::vector<Term> y(is_transposed ? m[0].size() : m.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    for (std::size_t j = 0; j < x.size(); ++j) {
      const double factor = is_transposed ? m[j][i] : m[i][j];
      y[i] = factor == -1 ? a_.sub(y[i], x[j]) : a_.add(y[i], a_.scale(x[j], factor));
    }
  }
  return y;
}

std::vector<Term> TileAlgebra::analyse(TilePart part, std::size_t axis, const std::vector<Term>& elements) {
  if (!tiles_.is_complex()) return multiply(matrix(part), elements, false);
  // Where the elements lie among the samples.
  const auto spread =
      static_cast<std::size_t>(part == TilePart::filter ? tiles_.spread[axis] : std::int64_t{1});
  const auto side = static_cast<std::size_t>(tiles_.side[axis]);
  if (axis == 1) {
    std::vector<Term> samples(side);
    for (std::size_t i = 0; i < elements.size(); ++i) samples[i * spread] = elements[i];
    return flat(fourier_.of_real(samples));
  }
  std::vector<ComplexTerm> samples(side);
  const std::vector<ComplexTerm> given = paired(elements);
  for (std::size_t i = 0; i < given.size(); ++i) samples[i * spread] = given[i];
  return flat(fourier_.transform(samples, false));
}

std::vector<Term> TileAlgebra::synthesise(TilePart part, std::size_t axis, const std::vector<Term>& numbers) {
  if (!tiles_.is_complex()) return multiply(matrix(part), numbers, true);
  const auto spread =
      static_cast<std::size_t>(part == TilePart::filter ? tiles_.spread[axis] : std::int64_t{1});
  const auto count = static_cast<std::size_t>(extent(part, axis));
  if (axis == 0) {
    const std::vector<ComplexTerm> samples = fourier_.transform(paired(numbers), true);
    std::vector<ComplexTerm> kept;
    for (std::size_t i = 0; i < count; ++i) kept.push_back(samples[i * spread]);
    return flat(kept);
  }
  const std::vector<Term> samples = fourier_.to_real(paired(numbers), tiles_.side[1]);
  // The transforms back have no factor; here is that of both axes.
  const double factor = 1 / static_cast<double>(tiles_.side[0] * tiles_.side[1]);
  std::vector<Term> kept;
  for (std::size_t i = 0; i < count; ++i) kept.push_back(a_.scale(samples[i * spread], factor));
  return kept;
}

}  // namespace croton
