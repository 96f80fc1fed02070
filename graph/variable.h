#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <vector>

#include "croton/graph/ref.h"
#include "croton/graph/source_location.h"
#include "croton/graph/type.h"

namespace croton {

class Node;
class Tensor;
class Operand;
class Subscript;

struct NoneType {};
inline constexpr NoneType none{};

/// Axes to reduce: one, several or (none) all. Negative ones count from the last.
class CROTON_API Axes {
 public:
  Axes() = default;
  Axes(NoneType) {}
  Axes(int axis) : all_(false), list_{axis} {}
  Axes(std::initializer_list<int> axes) : all_(false), list_(axes) {}
  Axes(std::vector<int> axes) : all_(false), list_(std::move(axes)) {}
  bool all() const { return all_; }
  const std::vector<int>& list() const { return list_; }

 private:
  bool all_ = true;
  std::vector<int> list_;
};

/// A symbolic tensor: one output of a node. A handle, cheap to copy; `==` compares identity (the elementwise
/// comparison is eq()). A default-constructed one is empty.
class CROTON_API Variable {
 public:
  Variable() = default;
  Variable(Ref<Node> node, std::uint32_t output = 0);
  Variable(const Variable&);
  Variable(Variable&&) noexcept;
  Variable& operator=(const Variable&);
  Variable& operator=(Variable&&) noexcept;
  ~Variable();

  explicit operator bool() const { return static_cast<bool>(node_); }
  Node* node() const { return node_.get(); }
  std::uint32_t output_index() const { return output_; }
  const TensorType& type() const;
  DType dtype() const { return type().dtype; }
  int rank() const { return type().rank(); }
  const std::string& name() const;
  /// Names the variable, in errors and printed graphs, and returns it.
  Variable& set_name(std::string name);
  /// A value to try expressions with while they are built: with the flag compute_test_value every node made
  /// of variables that have one is computed at once, so that a mistake shows at its line. Returns the
  /// variable. TypeError or ShapeError for a value that is not of the variable's type.
  Variable& set_test_value(const Tensor& value);
  /// The one that was set or computed, the value of a constant, a copy of that of a shared variable;
  /// undefined where there is none.
  Tensor test_value() const;
  bool is_constant() const;
  bool is_shared() const;
  bool is_input() const;
  /// The value of a constant.
  const Tensor& constant_value() const;

  friend bool operator==(const Variable& a, const Variable& b) {
    return a.node_.get() == b.node_.get() && a.output_ == b.output_;
  }

  // What follows is defined by ops/: graph operations in the order of their documentation there.

  /// Basic indexing, NumPy's semantics: x(1), x(slice(1, 5), all, -1), x(i, newaxis, ellipsis). Integers may
  /// be symbolic scalars.
  Variable operator()(const Subscript& i, std::source_location where = std::source_location::current()) const;
  Variable operator()(const Subscript& i, const Subscript& j,
                      std::source_location where = std::source_location::current()) const;
  Variable operator()(const Subscript& i, const Subscript& j, const Subscript& k,
                      std::source_location where = std::source_location::current()) const;
  Variable operator()(const Subscript& i, const Subscript& j, const Subscript& k, const Subscript& l,
                      std::source_location where = std::source_location::current()) const;
  Variable operator()(const Subscript& i, const Subscript& j, const Subscript& k, const Subscript& l,
                      const Subscript& m, std::source_location where = std::source_location::current()) const;
  Variable index(const std::vector<Subscript>& indices,
                 std::source_location where = std::source_location::current()) const;
  /// x.dimshuffle({1, 0}), x.dimshuffle({'x', 0}): permutes, drops (extent 1) and adds axes ('x').
  Variable dimshuffle(const std::vector<int>& pattern,
                      std::source_location where = std::source_location::current()) const;
  /// The transpose: axes reversed.
  Variable T(std::source_location where = std::source_location::current()) const;
  Variable reshape(std::initializer_list<std::int64_t> shape,
                   std::source_location where = std::source_location::current()) const;
  Variable reshape(const Shape& shape, std::source_location where = std::source_location::current()) const;
  /// To the rank `ndim`, the last axes merged into one.
  Variable flatten(int ndim = 1, std::source_location where = std::source_location::current()) const;
  Variable sum(const Axes& axes = {}, bool keepdims = false,
               std::source_location where = std::source_location::current()) const;
  Variable mean(const Axes& axes = {}, bool keepdims = false,
                std::source_location where = std::source_location::current()) const;
  Variable max(const Axes& axes = {}, bool keepdims = false,
               std::source_location where = std::source_location::current()) const;
  Variable min(const Axes& axes = {}, bool keepdims = false,
               std::source_location where = std::source_location::current()) const;
  Variable astype(DType dtype, std::source_location where = std::source_location::current()) const;
  /// The shape as an int64 vector.
  Variable shape(std::source_location where = std::source_location::current()) const;
  /// One extent as an int64 scalar.
  Variable shape(int axis, std::source_location where = std::source_location::current()) const;

 private:
  Ref<Node> node_;
  std::uint32_t output_ = 0;
};

/// What an op takes: a variable, a tensor (a constant) or a C++ number (a weak constant, which takes on the
/// dtype of its partners). Made implicitly at the call, so that it knows the user's line.
class CROTON_API Operand {
 public:
  Operand(const Variable& variable, std::source_location where = std::source_location::current());
  Operand(const Tensor& value, std::source_location where = std::source_location::current());
  Operand(double value, std::source_location where = std::source_location::current());
  Operand(float value, std::source_location where = std::source_location::current());
  Operand(bool value, std::source_location where = std::source_location::current());
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  Operand(T value, std::source_location where = std::source_location::current())
      : Operand(IntegerTag{}, static_cast<std::int64_t>(value), where) {}

  /// The variable; for a C++ number a constant of bool, int64 or float64 that says it is weak.
  const Variable& variable() const { return variable_; }
  bool is_weak() const { return weak_; }
  const SourceLocation& where() const { return where_; }

 private:
  struct IntegerTag {};
  Operand(IntegerTag, std::int64_t value, std::source_location where);
  Variable variable_;
  bool weak_ = false;
  SourceLocation where_;
};

/// start:stop:step with NumPy's meaning; an absent bound is `none`.
struct Slice {
  std::optional<Operand> start, stop, step;
};
struct CROTON_API AllType {
  /// The reduction: whether all elements along the axes are true. Defined by ops/.
  Variable operator()(const Operand& x, const Axes& axes = {}, bool keepdims = false) const;
};
/// A whole axis: Python's `:`. And, called, the reduction `all(x)`.
inline constexpr AllType all{};
struct NewAxisType {};
inline constexpr NewAxisType newaxis{};
struct EllipsisType {};
inline constexpr EllipsisType ellipsis{};

/// A slice bound: an integer, a symbolic scalar or `none`.
class CROTON_API Bound {
 public:
  Bound(NoneType) {}
  Bound(const Operand& operand) : operand_(operand) {}
  Bound(const Variable& v, std::source_location where = std::source_location::current())
      : operand_(Operand(v, where)) {}
  template <std::integral T>
  Bound(T value, std::source_location where = std::source_location::current())
      : operand_(Operand(value, where)) {}
  const std::optional<Operand>& operand() const { return operand_; }

 private:
  std::optional<Operand> operand_;
};
inline Slice slice(const Bound& stop) { return {std::nullopt, stop.operand(), std::nullopt}; }
inline Slice slice(const Bound& start, const Bound& stop, const Bound& step = none) {
  return {start.operand(), stop.operand(), step.operand()};
}

/// One entry of an index.
class CROTON_API Subscript {
 public:
  enum class Kind : std::uint8_t { integer, slice, newaxis, ellipsis };
  Subscript(const Slice& s) : kind_(Kind::slice), slice_(s) {}
  Subscript(AllType) : kind_(Kind::slice) {}
  Subscript(NewAxisType) : kind_(Kind::newaxis) {}
  Subscript(EllipsisType) : kind_(Kind::ellipsis) {}
  Subscript(const Operand& i) : kind_(Kind::integer), integer_(i) {}
  Subscript(const Variable& i) : kind_(Kind::integer), integer_(Operand(i)) {}
  template <std::integral T>
  Subscript(T i) : kind_(Kind::integer), integer_(Operand(i)) {}

  Kind kind() const { return kind_; }
  const Operand& integer() const { return *integer_; }
  const Slice& slice() const { return slice_; }

 private:
  Kind kind_;
  std::optional<Operand> integer_;
  Slice slice_;
};

}  // namespace croton

template <>
struct std::hash<croton::Variable> {
  std::size_t operator()(const croton::Variable& v) const {
    return std::hash<const void*>()(v.node()) * 31 + v.output_index();
  }
};
