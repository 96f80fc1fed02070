#include "croton/codegen/iteration_space.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace croton {

std::int64_t IterationSpace::count() const {
  return std::accumulate(extents.begin(), extents.end(), std::int64_t{1}, std::multiplies<>());
}

IterationSpace IterationSpace::only(std::span<const std::size_t> chosen) const {
  IterationSpace space;
  space.strides.resize(strides.size());
  for (std::size_t loop : chosen) {
    space.extents.push_back(extents[loop]);
    for (std::size_t operand = 0; operand < strides.size(); ++operand) {
      space.strides[operand].push_back(strides[operand][loop]);
    }
  }
  return space;
}

void IterationSpace::simplify(bool reorder, std::size_t leader) {
  std::vector<std::size_t> order;
  for (std::size_t loop = 0; loop < loops(); ++loop) {
    if (extents[loop] != 1) order.push_back(loop);
  }
  if (reorder) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::abs(strides[leader][a]) > std::abs(strides[leader][b]);
    });
  }
  IterationSpace sorted = only(order);
  IterationSpace merged;
  merged.strides.resize(strides.size());
  for (std::size_t loop = 0; loop < sorted.loops(); ++loop) {
    const std::int64_t extent = sorted.extents[loop];
    const bool joins = merged.loops() > 0 && std::ranges::all_of(merged.strides, [&](const auto& s) {
                         const std::size_t operand = static_cast<std::size_t>(&s - merged.strides.data());
                         return s.back() == sorted.strides[operand][loop] * extent;
                       });
    if (joins) {
      merged.extents.back() *= extent;
    } else {
      merged.extents.push_back(extent);
    }
    for (std::size_t operand = 0; operand < strides.size(); ++operand) {
      if (joins) {
        merged.strides[operand].back() = sorted.strides[operand][loop];
      } else {
        merged.strides[operand].push_back(sorted.strides[operand][loop]);
      }
    }
  }
  *this = std::move(merged);
}

IterationSpace iterate(const Shape& shape, std::span<const Layout> operands) {
  IterationSpace space;
  space.extents.assign(shape.begin(), shape.end());
  for (const Layout& operand : operands) {
    std::vector<std::int64_t> strides;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      strides.push_back(operand.shape[axis] == 1 ? 0 : operand.strides[axis]);
    }
    space.strides.push_back(std::move(strides));
  }
  return space;
}

Index offset_of(const IterationSpace& space, std::size_t operand, std::span<const Index> indices) {
  Index offset = 0;
  for (std::size_t loop = 0; loop < indices.size(); ++loop) {
    offset += indices[loop] * Index(space.strides[operand][loop]);
  }
  return offset;
}

void for_each_element(KernelBuilder& b, const IterationSpace& space,
                      const std::function<void(std::span<const Index>)>& body) {
  if (space.loops() == 0) {
    b.once([&] { body({}); });
    return;
  }
  if (b.is_for_gpu() || space.loops() == 1 || space.extents.back() < shortest_vector_row) {
    // Rows too short for vectors: lanes go across rows, what is not contiguous is gathered.
    b.parallel("i", space.count(), [&](Index i) { body(split_index(i, space.extents)); }, vectorize);
    return;
  }
  const std::vector<std::int64_t> outer(space.extents.begin(), space.extents.end() - 1);
  const std::int64_t rows = std::accumulate(outer.begin(), outer.end(), std::int64_t{1}, std::multiplies<>());
  b.parallel("r", rows, [&](Index r) {
    std::vector<Index> indices = split_index(r, outer);
    indices.emplace_back();
    b.loop("i", 0, space.extents.back(), vectorize, [&](Index i) {
      indices.back() = i;
      body(indices);
    });
  });
}

std::vector<Index> split_index(Index flat, std::span<const std::int64_t> extents) {
  std::vector<Index> indices(extents.size());
  for (std::size_t loop = extents.size(); loop-- > 0;) {
    if (loop == 0) {
      indices[loop] = flat;
    } else {
      const std::int64_t extent = std::max<std::int64_t>(extents[loop], 1);  // an empty loop runs no body
      indices[loop] = mod(flat, extent);
      flat = floor_div(flat, extent);
    }
  }
  return indices;
}

}  // namespace croton
