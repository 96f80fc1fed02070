#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "croton/graph/shape.h"

namespace croton {

/// Calls f(index) for every index of a shape, in C order. `index` is one Shape that changes in place.
template <class F>
void for_each_index(const Shape& shape, F&& f) {
  for (std::int64_t extent : shape) {
    if (extent == 0) return;
  }
  Shape index = Shape::filled(shape.size(), 0);
  while (true) {
    f(static_cast<const Shape&>(index));
    std::size_t axis = shape.size();
    while (axis > 0 && ++index[axis - 1] == shape[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

/// The elements of a strided tensor, typed. Reference evaluators and tests read through it; it checks
/// nothing.
template <class T>
class StridedView {
 public:
  StridedView(T* data, const Shape& shape, const Shape& strides)
      : data_(data), shape_(shape), strides_(strides) {}

  T* data() const { return data_; }
  const Shape& shape() const { return shape_; }
  const Shape& strides() const { return strides_; }
  std::int64_t size() const { return shape_.count(); }

  /// By one index an axis.
  T& operator[](const Shape& index) const {
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < shape_.size(); ++i) offset += index[i] * strides_[i];
    return data_[offset];
  }
  /// By the position in C order.
  T& operator[](std::int64_t position) const {
    std::int64_t offset = 0;
    for (std::size_t i = shape_.size(); i-- > 0;) {
      offset += position % shape_[i] * strides_[i];
      position /= shape_[i];
    }
    return data_[offset];
  }

  /// Visits the elements in C order.
  class iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = T*;
    using reference = T&;

    iterator() = default;
    iterator(const StridedView* view, std::int64_t left)
        : view_(view), at_(view->data_), index_(Shape::filled(view->shape_.size(), 0)), left_(left) {}

    T& operator*() const { return *at_; }
    T* operator->() const { return at_; }
    iterator& operator++() {
      --left_;
      for (std::size_t axis = index_.size(); axis-- > 0;) {
        at_ += view_->strides_[axis];
        if (++index_[axis] < view_->shape_[axis]) return *this;
        at_ -= view_->strides_[axis] * view_->shape_[axis];
        index_[axis] = 0;
      }
      return *this;
    }
    iterator operator++(int) {
      iterator before = *this;
      ++*this;
      return before;
    }
    /// Where the iterator stands.
    const Shape& index() const { return index_; }
    friend bool operator==(const iterator& a, const iterator& b) { return a.left_ == b.left_; }

   private:
    const StridedView* view_ = nullptr;
    T* at_ = nullptr;
    Shape index_;
    std::int64_t left_ = 0;
  };
  iterator begin() const { return iterator(this, size()); }
  iterator end() const { return iterator(this, 0); }

 private:
  T* data_;
  Shape shape_;
  Shape strides_;
};

/// Calls f(element) for every element in C order: faster than the iterators.
template <class T, class F>
void for_each_element(const StridedView<T>& view, F&& f) {
  const Shape& shape = view.shape();
  const std::size_t rank = shape.size();
  if (rank == 0) {
    f(*view.data());
    return;
  }
  const std::int64_t inner = shape[rank - 1], step = view.strides()[rank - 1];
  Shape outer = shape;
  outer.erase(rank - 1);
  for_each_index(outer, [&](const Shape& index) {
    T* at = view.data();
    for (std::size_t i = 0; i + 1 < rank; ++i) at += index[i] * view.strides()[i];
    for (std::int64_t i = 0; i < inner; ++i) f(at[i * step]);
  });
}

}  // namespace croton
