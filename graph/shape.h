#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "croton/graph/export.h"

namespace croton {

/// The most axes a tensor may have.
inline constexpr int max_rank = 8;
/// A static extent that is not known.
inline constexpr std::int64_t unknown = -1;

[[noreturn]] CROTON_API void throw_too_many_axes(std::size_t rank);

/// Extents (or strides, or axes): up to max_rank integers, kept in place so that copying one allocates
/// nothing.
class Shape {
 public:
  using value_type = std::int64_t;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents) : Shape(std::span(extents.begin(), extents.size())) {}
  Shape(std::span<const std::int64_t> extents) {
    if (extents.size() > max_rank) throw_too_many_axes(extents.size());
    std::copy(extents.begin(), extents.end(), extents_.begin());
    rank_ = extents.size();
  }
  Shape(const std::vector<std::int64_t>& extents) : Shape(std::span(extents.data(), extents.size())) {}
  static Shape filled(std::size_t rank, std::int64_t extent) {
    if (rank > max_rank) throw_too_many_axes(rank);
    Shape s;
    s.rank_ = rank;
    std::fill_n(s.extents_.begin(), rank, extent);
    return s;
  }

  std::size_t size() const { return rank_; }
  int rank() const { return static_cast<int>(rank_); }
  bool empty() const { return rank_ == 0; }
  std::int64_t* begin() { return extents_.data(); }
  std::int64_t* end() { return extents_.data() + rank_; }
  const std::int64_t* begin() const { return extents_.data(); }
  const std::int64_t* end() const { return extents_.data() + rank_; }
  std::int64_t& operator[](std::size_t i) { return extents_[i]; }
  std::int64_t operator[](std::size_t i) const { return extents_[i]; }
  std::int64_t front() const { return extents_[0]; }
  std::int64_t back() const { return extents_[rank_ - 1]; }
  void push_back(std::int64_t extent) {
    if (rank_ == max_rank) throw_too_many_axes(rank_ + 1);
    extents_[rank_++] = extent;
  }
  void insert(std::size_t position, std::int64_t extent) {
    push_back(extent);
    std::rotate(begin() + position, end() - 1, end());
  }
  void erase(std::size_t position) {
    std::copy(begin() + position + 1, end(), begin() + position);
    --rank_;
  }

  /// No entry is unknown.
  bool is_known() const { return std::find(begin(), end(), unknown) == end(); }
  /// The product of the extents; 1 for a scalar. Only for known shapes.
  std::int64_t count() const {
    std::int64_t n = 1;
    for (std::int64_t extent : *this) n *= extent;
    return n;
  }

  friend bool operator==(const Shape& a, const Shape& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::array<std::int64_t, max_rank> extents_{};
  std::size_t rank_ = 0;
};

/// "(2, 3)", "(5,)", "()": as NumPy prints a shape; unknown entries as "?".
CROTON_API std::string to_string(const Shape& shape);

/// The strides, in elements, of a C-contiguous tensor of that (known) shape.
CROTON_API Shape contiguous_strides(const Shape& shape);

}  // namespace croton
