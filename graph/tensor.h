#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "croton/graph/dtype.h"
#include "croton/graph/export.h"
#include "croton/graph/flags.h"
#include "croton/graph/shape.h"
#include "croton/graph/tensor_storage.h"
#include "croton/graph/tensor_view.h"

namespace croton {

/// The C++ types that tensors hold: those of the real dtypes.
template <class T>
concept Element = requires { DTypeOf<T>::value; } && !is_complex(dtype_of<T>);

/// What a C++ scalar becomes when it is written as a literal: int and long long are int64 (as a Python int is
/// in NumPy), unsigned long long is uint64, every other element type stays what it is.
template <class T>
struct LiteralType : std::type_identity<T> {};
template <>
struct LiteralType<int> : std::type_identity<std::int64_t> {};
template <>
struct LiteralType<long long> : std::type_identity<std::int64_t> {};
template <>
struct LiteralType<unsigned long long> : std::type_identity<std::uint64_t> {};

template <class T>
concept Literal = Element<typename LiteralType<T>::type>;

/// An n-dimensional array: a cheap handle that shares its storage. Copying one copies no elements (copy()
/// does), so writing through one handle is seen through all. Elements lie `strides()` apart, which may be 0
/// (broadcast) or negative. A default-constructed tensor is undefined.
class CROTON_API Tensor {
 public:
  Tensor() = default;
  /// A tensor over existing storage; `offset` (elements) is where its first element lies. Allocates nothing
  /// and does not check that the elements lie inside.
  Tensor(StorageRef storage, DType dtype, const Shape& shape, const Shape& strides, std::int64_t offset = 0)
      : storage_(std::move(storage)), shape_(shape), strides_(strides), dtype_(dtype) {
    data_ = static_cast<std::byte*>(storage_->data()) + offset * static_cast<std::int64_t>(size_of(dtype));
  }

  /// A 0-d tensor: float gives float32, double float64, bool bool, int int64 (see LiteralType).
  template <Literal T>
  Tensor(T value) : Tensor(uninitialized(dtype_of<typename LiteralType<T>::type>, {})) {
    *reinterpret_cast<typename LiteralType<T>::type*>(data_) = value;
  }
  /// Nested lists, up to four deep: `Tensor{{1.f, 2.f}, {3.f, 4.f}}`. Throws ShapeError for ragged ones.
  template <Literal T>
  Tensor(std::initializer_list<T> list) : Tensor(from_lists(list)) {}
  template <Literal T>
  Tensor(std::initializer_list<std::initializer_list<T>> list) : Tensor(from_lists(list)) {}
  template <Literal T>
  Tensor(std::initializer_list<std::initializer_list<std::initializer_list<T>>> list)
      : Tensor(from_lists(list)) {}
  template <Literal T>
  Tensor(std::initializer_list<std::initializer_list<std::initializer_list<std::initializer_list<T>>>> list)
      : Tensor(from_lists(list)) {}
  /// Copies of contiguous host elements, one axis or `shape`; the dtype is exactly T's (int is int32).
  template <Element T>
  explicit Tensor(const std::vector<T>& values)
      : Tensor(values, Shape{static_cast<std::int64_t>(values.size())}) {}
  template <Element T>
  Tensor(const std::vector<T>& values, const Shape& shape) : Tensor(uninitialized(dtype_of<T>, shape)) {
    require_count(values.size());
    std::copy(values.begin(), values.end(), reinterpret_cast<T*>(data_));
  }
  template <class T, std::size_t n>
    requires Element<std::remove_const_t<T>>
  explicit Tensor(std::span<T, n> values) : Tensor(values, Shape{static_cast<std::int64_t>(values.size())}) {}
  template <class T, std::size_t n>
    requires Element<std::remove_const_t<T>>
  Tensor(std::span<T, n> values, const Shape& shape)
      : Tensor(uninitialized(dtype_of<std::remove_const_t<T>>, shape)) {
    require_count(values.size());
    std::copy(values.begin(), values.end(), reinterpret_cast<std::remove_const_t<T>*>(data_));
  }

  /// The elements are whatever the memory held.
  static Tensor empty(const Shape& shape, DType dtype = float_x()) { return uninitialized(dtype, shape); }
  static Tensor zeros(const Shape& shape, DType dtype = float_x());
  static Tensor ones(const Shape& shape, DType dtype = float_x());
  /// `value` has one element; it is converted to `dtype`.
  static Tensor full(const Shape& shape, const Tensor& value, DType dtype = float_x());
  /// start, start + step, … as long as they lie before stop.
  static Tensor arange(double stop, DType dtype = float_x()) { return arange(0, stop, 1, dtype); }
  static Tensor arange(double start, double stop, double step = 1, DType dtype = float_x());
  /// Ones on the k-th diagonal (k > 0 lies above the main one). `columns` is `rows` unless given.
  static Tensor eye(std::int64_t rows, std::optional<std::int64_t> columns = {}, std::int64_t k = 0,
                    DType dtype = float_x());
  /// Looks at memory of the caller, who keeps it alive unless `owner` does. Strides are in elements.
  template <Element T>
  static Tensor view(T* data, const Shape& shape, const Shape& strides,
                     std::shared_ptr<void> owner = nullptr) {
    return view(data, dtype_of<T>, shape, strides, std::move(owner));
  }
  template <Element T>
  static Tensor view(T* data, const Shape& shape) {
    return view(data, dtype_of<T>, shape, contiguous_strides(shape), nullptr);
  }
  template <Element T, class Owner>
  static Tensor view(T* data, const Shape& shape, std::shared_ptr<Owner> owner) {
    return view(data, dtype_of<T>, shape, contiguous_strides(shape), std::move(owner));
  }
  static Tensor view(void* data, DType dtype, const Shape& shape, const Shape& strides,
                     std::shared_ptr<void> owner);

  bool defined() const { return static_cast<bool>(storage_); }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  /// In elements, one an axis.
  const Shape& strides() const { return strides_; }
  int rank() const { return shape_.rank(); }
  /// The number of elements.
  std::int64_t size() const { return shape_.count(); }
  /// size() elements, in bytes.
  std::size_t bytes() const { return static_cast<std::size_t>(size()) * size_of(dtype_); }
  const StorageRef& storage() const { return storage_; }
  bool on_host() const { return !storage_ || storage_->on_host(); }
  Device device() const { return storage_ ? storage_->device() : Device(); }

  /// The first element, unchecked: on the host or on a device.
  void* raw_data() const { return data_; }
  /// The first element. Throws TypeError when T is not the dtype, DeviceError when the memory is not the
  /// host's. `data<const float>()` is for readers.
  template <class T>
    requires Element<std::remove_const_t<T>>
  T* data() const {
    require_dtype(dtype_of<std::remove_const_t<T>>);
    return reinterpret_cast<T*>(data_);
  }
  /// The element at an index an axis; negative ones count from the end. Throws TypeError, IndexError.
  template <class T>
    requires Element<std::remove_const_t<T>>
  T& at(const Shape& index) const {
    return data<T>()[offset_of(index)];
  }
  /// The only element, converted to T (see convert_element). Throws ShapeError when there is not exactly one.
  template <Element T>
  T item() const {
    T value;
    item_as(dtype_of<T>, &value);
    return value;
  }
  /// All elements in C order. Throws TypeError when T is not the dtype.
  template <Element T>
  std::vector<T> to_vector() const {
    std::vector<T> values;
    values.reserve(static_cast<std::size_t>(size()));
    for_each_element(elements<const T>(), [&](T x) { values.push_back(x); });
    return values;
  }
  /// Typed access in C order whatever the strides; see StridedView.
  template <class T>
    requires Element<std::remove_const_t<T>>
  StridedView<T> elements() const {
    return StridedView<T>(data<T>(), shape_, strides_);
  }

  /// Elements lie in C order without gaps.
  bool is_contiguous() const;
  /// This, or a contiguous copy.
  Tensor contiguous() const { return is_contiguous() ? *this : copy(); }
  /// A contiguous tensor of its own storage, on the host.
  Tensor copy() const;
  /// This, or a copy in host memory.
  Tensor to_host() const { return on_host() ? *this : copy(); }
  /// A copy with every element converted (see convert_element); this itself when the dtype is the same.
  Tensor astype(DType dtype) const;
  /// As many elements under another shape, in C order; one extent may be -1. A view when contiguous.
  Tensor reshape(const Shape& shape) const;
  /// Axis i of the result is axis axes[i] of this; reverses the axes when none are given. A view.
  Tensor transpose(const Shape& axes) const;
  Tensor transpose() const;
  /// A view of start, start + step, … before stop along one axis, clipped as Python's slices are.
  Tensor slice(int axis, std::optional<std::int64_t> start, std::optional<std::int64_t> stop = {},
               std::int64_t step = 1) const;
  /// A view without that axis.
  Tensor select(int axis, std::int64_t index) const;
  /// select(0, index).
  Tensor operator[](std::int64_t index) const { return select(0, index); }
  /// A view with stride 0 where an extent of 1 (or a missing leading axis) grows. Throws ShapeError.
  Tensor broadcast_to(const Shape& shape) const;

  /// Every element becomes `value`, a tensor of one element, converted to this dtype.
  void fill(const Tensor& value) const;
  /// Copies `source`, broadcast to this shape and converted to this dtype. The two may overlap.
  void assign(const Tensor& source) const;
  /// Copies contiguous host elements. Throws TypeError or ShapeError when they do not fit.
  template <class T, std::size_t n>
    requires Element<std::remove_const_t<T>>
  void set(std::span<T, n> values) const {
    assign(view(const_cast<std::remove_const_t<T>*>(values.data()),
                set_shape(values.size(), dtype_of<std::remove_const_t<T>>)));
  }
  template <Element T>
  void set(const std::vector<T>& values) const {
    assign(Tensor(values, set_shape(values.size(), dtype_of<T>)));
  }

  /// Writes a .npy file. Throws FileError.
  void save(const std::string& path) const;
  /// Reads a .npy file. Throws FileError.
  static Tensor load(const std::string& path);

 private:
  static Tensor uninitialized(DType dtype, const Shape& shape);
  template <class List>
  static Tensor from_lists(const List& list);
  void require_count(std::size_t count) const;
  void require_dtype(DType wanted) const {
    if (dtype_ != wanted || !storage_ || !storage_->on_host()) throw_not_readable(wanted);
  }
  [[noreturn]] void throw_not_readable(DType wanted) const;
  Shape set_shape(std::size_t count, DType dtype) const;
  std::int64_t offset_of(const Shape& index) const;
  void item_as(DType wanted, void* value) const;
  int normalized_axis(int axis) const;

  StorageRef storage_;
  std::byte* data_ = nullptr;
  Shape shape_;
  Shape strides_;
  DType dtype_ = DType::float32;
};

/// Same dtype, shape and values; NaN equals nothing, -0 equals 0.
CROTON_API bool equal(const Tensor& a, const Tensor& b);
/// Same shape, and |a - b| <= atol + rtol * |b| for every element (NumPy's rule), computed in double;
/// infinities must be equal. Integers compare exactly when both are integers and the tolerances are 0.
CROTON_API bool allclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8,
                         bool equal_nan = false);

/// As NumPy's str() prints an array: 8 digits, at most 1000 elements before it is summarised, lines of 75.
CROTON_API std::string to_string(const Tensor& tensor);
CROTON_API std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

[[noreturn]] CROTON_API void throw_ragged_list(std::size_t depth, std::int64_t expected, std::size_t got);

namespace detail {

template <class T>
struct ListElement : std::type_identity<T> {};
template <class T>
struct ListElement<std::initializer_list<T>> : ListElement<T> {};

template <class T>
void list_shape(const std::initializer_list<T>& list, Shape& shape) {
  shape.push_back(static_cast<std::int64_t>(list.size()));
  if constexpr (!std::is_same_v<T, typename ListElement<T>::type>) {
    if (list.size()) list_shape(*list.begin(), shape);
  }
}

template <class To, class T>
To* copy_list(const std::initializer_list<T>& list, const Shape& shape, std::size_t depth, To* out) {
  if (static_cast<std::int64_t>(list.size()) != shape[depth])
    throw_ragged_list(depth, shape[depth], list.size());
  for (const T& item : list) {
    if constexpr (std::is_same_v<T, typename ListElement<T>::type>)
      *out++ = static_cast<To>(item);
    else
      out = copy_list<To>(item, shape, depth + 1, out);
  }
  return out;
}

}  // namespace detail

template <class List>
Tensor Tensor::from_lists(const List& list) {
  using To = typename LiteralType<typename detail::ListElement<List>::type>::type;
  Shape shape;
  detail::list_shape(list, shape);
  Tensor tensor = uninitialized(dtype_of<To>, shape);
  detail::copy_list<To>(list, shape, 0, reinterpret_cast<To*>(tensor.data_));
  return tensor;
}

}  // namespace croton
