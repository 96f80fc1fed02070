#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "croton/codegen/kernel_builder.h"
#include "croton/codegen/tile_algebra.h"
#include "croton/codegen/tile_products.h"
#include "croton/ops/conv_tiles.h"

namespace croton {

/// Code for the two-dimensional transforms of one tile, between its elements and a number in each of the
/// planes. Winograd's are in registers; of Fourier's the spectra of rows wait in the planes.
class TileTransforms {
 public:
  TileTransforms(const ConvTiles& tiles, const ConvProblem& problem, KernelBuilder& builder, DType dtype)
      : t_(tiles), b_(builder), algebra_(tiles, problem, builder, dtype) {}

  using Load = std::function<Term(Index y, std::int64_t x)>;
  using Store = std::function<void(Index y, std::int64_t x, ScalarValue value)>;

  /// Elements of a part to numbers at `at` of every plane.
  void analyse(TilePart part, const Load& load, const Planes& to, Index at);
  /// The way back.
  void synthesise(TilePart part, const Planes& from, Index at, const Store& store);

 private:
  Index plane_at(const Planes& planes, Index at, Index row, std::int64_t frequency) const;
  void for_each_column(const KernelBuilder::Body& body);
  void load_pair(std::vector<Term>& column, const Planes& from, Index at, std::int64_t y, Index x);
  void store_pairs(const std::vector<Term>& column, const Planes& to, Index at, Index x);

  const ConvTiles t_;
  KernelBuilder& b_;
  TileAlgebra algebra_;
};

}  // namespace croton
