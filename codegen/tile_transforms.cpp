#include "croton/codegen/tile_transforms.h"

namespace croton {

Index TileTransforms::plane_at(const Planes& planes, Index at, Index row, std::int64_t frequency) const {
  return at + (row * Index(t_.spectrum(1) * t_.components()) + Index(frequency)) * Index(planes.pitch);
}

void TileTransforms::analyse(TilePart part, const Load& load, const Planes& to, Index at) {
  const std::int64_t rows = algebra_.extent(part, 0), columns = algebra_.extent(part, 1);
  const auto row_of = [&](Index y) {
    std::vector<Term> elements;
    for (std::int64_t x = 0; x < columns; ++x) elements.push_back(load(y, x));
    return algebra_.analyse(part, 1, elements);
  };
  if (!t_.is_complex()) {
    std::vector<std::vector<Term>> table;
    for (std::int64_t y = 0; y < rows; ++y) table.push_back(row_of(y));
    for (std::size_t x = 0; x < table[0].size(); ++x) {
      std::vector<Term> column;
      for (const std::vector<Term>& row : table) column.push_back(row[x]);
      const std::vector<Term> numbers = algebra_.analyse(part, 0, column);
      for (std::size_t y = 0; y < numbers.size(); ++y) {
        b_.store(to.buffer, plane_at(to, at, static_cast<std::int64_t>(y), static_cast<std::int64_t>(x)),
                 algebra_.value(numbers[y]));
      }
    }
    return;
  }
  // Too much for registers: the spectra of rows wait where the result will lie.
  b_.loop("y", 0, rows, [&](Index y) {
    const std::vector<Term> numbers = row_of(y);
    for (std::size_t f = 0; f < numbers.size(); ++f)
      b_.store(to.buffer, plane_at(to, at, y, static_cast<std::int64_t>(f)), algebra_.value(numbers[f]));
  });
  for_each_column([&](Index x) {
    std::vector<Term> column;
    for (std::int64_t y = 0; y < rows; ++y) load_pair(column, to, at, y, x);
    store_pairs(algebra_.analyse(part, 0, column), to, at, x);
  });
}

void TileTransforms::synthesise(TilePart part, const Planes& from, Index at, const Store& store) {
  const std::int64_t rows = algebra_.extent(part, 0), columns = algebra_.extent(part, 1);
  if (!t_.is_complex()) {
    std::vector<std::vector<Term>> table(static_cast<std::size_t>(rows));
    for (std::int64_t x = 0; x < t_.side[1]; ++x) {
      std::vector<Term> column;
      for (std::int64_t y = 0; y < t_.side[0]; ++y)
        column.push_back(b_.load(from.buffer, plane_at(from, at, y, x)));
      const std::vector<Term> elements = algebra_.synthesise(part, 0, column);
      for (std::size_t y = 0; y < elements.size(); ++y) table[y].push_back(elements[y]);
    }
    for (std::int64_t y = 0; y < rows; ++y) {
      const std::vector<Term> elements = algebra_.synthesise(part, 1, table[static_cast<std::size_t>(y)]);
      for (std::int64_t x = 0; x < columns; ++x)
        store(y, x, algebra_.value(elements[static_cast<std::size_t>(x)]));
    }
    return;
  }
  for_each_column([&](Index x) {
    std::vector<Term> column;
    for (std::int64_t y = 0; y < t_.side[0]; ++y) load_pair(column, from, at, y, x);
    store_pairs(algebra_.synthesise(part, 0, column), from, at, x);
  });
  b_.loop("y", 0, rows, [&](Index y) {
    std::vector<Term> numbers;
    for (std::int64_t f = 0; f < t_.spectrum(1) * 2; ++f)
      numbers.push_back(b_.load(from.buffer, plane_at(from, at, y, f)));
    const std::vector<Term> elements = algebra_.synthesise(part, 1, numbers);
    for (std::int64_t x = 0; x < columns; ++x)
      store(y, x, algebra_.value(elements[static_cast<std::size_t>(x)]));
  });
}

void TileTransforms::for_each_column(const KernelBuilder::Body& body) {
  b_.loop("x", 0, t_.spectrum(1), body);
}
void TileTransforms::load_pair(std::vector<Term>& column, const Planes& from, Index at, std::int64_t y,
                               Index x) {
  const Index real = plane_at(from, at, y, 0) + x * Index(2 * from.pitch);
  column.push_back(b_.load(from.buffer, real));
  column.push_back(b_.load(from.buffer, real + Index(from.pitch)));
}
void TileTransforms::store_pairs(const std::vector<Term>& column, const Planes& to, Index at, Index x) {
  for (std::size_t y = 0; 2 * y < column.size(); ++y) {
    const Index real = plane_at(to, at, static_cast<std::int64_t>(y), 0) + x * Index(2 * to.pitch);
    b_.store(to.buffer, real, algebra_.value(column[2 * y]));
    b_.store(to.buffer, real + Index(to.pitch), algebra_.value(column[2 * y + 1]));
  }
}

}  // namespace croton
