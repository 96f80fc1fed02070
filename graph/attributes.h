#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "croton/graph/dtype.h"
#include "croton/graph/error.h"
#include "croton/graph/export.h"

namespace croton {

class Subgraph;

using AttributeValue = std::variant<bool, std::int64_t, double, std::string, DType, std::vector<std::int64_t>,
                                    std::shared_ptr<const Subgraph>>;

/// An op asked for an attribute that its node lacks, or that is of another type: a bug in whoever made the
/// node, unless it was read from text.
class CROTON_API MissingAttributeError : public InternalError {
 public:
  explicit MissingAttributeError(std::string attribute);
  const std::string& attribute() const { return attribute_; }

 private:
  std::string attribute_;
};

/// The parameters of an op in one node: an immutable map from names to values, ordered by name, cheap to copy
/// and to compare. Equal attributes on an equal op with equal inputs make equal nodes.
class CROTON_API Attributes {
 public:
  using Entry = std::pair<std::string, AttributeValue>;

  Attributes() = default;
  Attributes(std::initializer_list<Entry> entries);
  explicit Attributes(std::vector<Entry> entries);

  bool empty() const { return data_ == nullptr; }
  const Entry* begin() const;
  const Entry* end() const;
  const AttributeValue* find(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }

  /// The value of that name and type; absent or of another type is an InternalError.
  template <class T>
  const T& get(std::string_view name) const {
    const AttributeValue* value = find(name);
    if (value == nullptr || !std::holds_alternative<T>(*value)) throw_missing(name);
    return std::get<T>(*value);
  }
  template <class T>
  T get_or(std::string_view name, T otherwise) const {
    return contains(name) ? get<T>(name) : otherwise;
  }

  /// A copy with that entry added or replaced; one without it.
  Attributes with(std::string_view name, AttributeValue value) const;
  Attributes without(std::string_view name) const;

  std::size_t hash() const;
  friend CROTON_API bool operator==(const Attributes& a, const Attributes& b);

 private:
  struct Data;
  [[noreturn]] static void throw_missing(std::string_view name);
  std::shared_ptr<const Data> data_;
};

}  // namespace croton
