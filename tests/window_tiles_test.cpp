#include "croton/codegen/window_tiles.h"

#include <catch2/catch.hpp>
#include <vector>

#include "croton/ops/creation.h"
#include "croton/ops/indexing.h"
#include "croton/optimizer/expressions.h"

using namespace croton;

namespace {

/// The sum of `count` windows of an image shifted along axis 1, and where the result and the windows lie.
struct ShiftedWindows {
  Variable sum;
  Shape shape;
  std::vector<Layout> operands;

  ShiftedWindows(const Shape& image, std::int64_t count) : shape(image) {
    const Variable x = tensor(DType::float32, image);
    shape[1] -= count - 1;
    operands = {{DType::float32, shape, contiguous_strides(shape)}};
    std::vector<Variable> windows;
    for (std::int64_t i = 0; i < count; ++i) {
      windows.push_back(x(all, slice(i, i + shape[1])));
      operands.push_back({DType::float32, shape, contiguous_strides(image)});
    }
    sum = elementwise("add", windows);
  }
};

}  // namespace

TEST_CASE("work on shifted windows goes through memory by tiles", "[codegen][cuda][window]") {
  const ShiftedWindows w({3, 96, 110, 140}, 5);
  const auto tiled = tile_windows(*w.sum.node(), w.shape, w.operands);
  REQUIRE(tiled);
  // 92 is 4 times 23; 23 rows of 88 are about 2048 elements.
  CHECK(tiled->extents == std::vector<std::int64_t>{3, 175, 4, 23, 88});
  // Every element once, and every operand's where the element's is.
  const std::int64_t image = 110 * 140;
  std::vector<bool> seen(static_cast<std::size_t>(w.shape.count()));
  std::size_t wrong = 0;
  std::vector<std::int64_t> at(tiled->loops(), 0);
  for (std::int64_t e = 0; e < tiled->count(); ++e) {
    std::int64_t offsets[2] = {0, 0};
    for (std::size_t loop = 0, operand = 0; operand < 2; ++operand) {
      for (loop = 0; loop < at.size(); ++loop) offsets[operand] += at[loop] * tiled->strides[operand][loop];
    }
    const std::int64_t n = offsets[0] / (92 * image), in_plane = offsets[0] % (92 * image);
    wrong += offsets[1] != n * 96 * image + in_plane || seen[static_cast<std::size_t>(offsets[0])];
    seen[static_cast<std::size_t>(offsets[0])] = true;
    for (std::size_t loop = at.size(); loop-- > 0 && ++at[loop] == tiled->extents[loop];) at[loop] = 0;
  }
  CHECK(tiled->count() == w.shape.count());
  CHECK(wrong == 0);
}

TEST_CASE("work that is not on shifted windows is not cut into tiles", "[codegen][cuda][window]") {
  const auto is_tiled = [](const ShiftedWindows& w) {
    return tile_windows(*w.sum.node(), w.shape, w.operands).has_value();
  };
  CHECK_FALSE(is_tiled({{3, 96, 10, 14}, 5}));     // small
  CHECK_FALSE(is_tiled({{3, 96, 110, 140}, 2}));   // every element is read twice only
  CHECK_FALSE(is_tiled({{3, 101, 110, 140}, 5}));  // 97 neighbours
  CHECK_FALSE(is_tiled({{7, 96, 83, 89}, 5}));     // rows of primes
  ShiftedWindows transposed({3, 96, 110, 140}, 5);
  transposed.operands[0].strides = {1, 3, 110 * 276, 276};
  CHECK_FALSE(is_tiled(transposed));
}
