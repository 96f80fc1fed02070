#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "croton/graph/export.h"
#include "croton/graph/ref.h"
#include "croton/graph/tensor.h"

namespace croton {

class OutputRecord;

/// What a call of a function returns: its results, each a C-contiguous tensor of its own memory. Converts to
/// a Tensor when there is exactly one, else is indexed by position or by name. A handle, cheap to copy. The
/// memory goes back to the function when the last handle of a result is gone; a result that is kept is never
/// overwritten.
class CROTON_API Outputs {
 public:
  Outputs();
  explicit Outputs(Ref<OutputRecord> record);
  Outputs(const Outputs&);
  Outputs(Outputs&&) noexcept;
  Outputs& operator=(const Outputs&);
  Outputs& operator=(Outputs&&) noexcept;
  ~Outputs();

  std::size_t size() const;
  const Tensor* begin() const;
  const Tensor* end() const;
  /// IndexError when there is no such result.
  const Tensor& operator[](std::size_t position) const;
  const Tensor& operator[](int position) const;
  /// By the name of the output; ValueError, with the nearest names, when there is none.
  const Tensor& operator[](std::string_view name) const;
  const Tensor& operator[](const char* name) const { return (*this)[std::string_view(name)]; }

  /// The only result. ValueError when there are none or several.
  const Tensor& tensor() const;
  operator Tensor() const { return tensor(); }

  // A single result is used as a tensor.
  const Shape& shape() const { return tensor().shape(); }
  DType dtype() const { return tensor().dtype(); }
  template <Element T>
  T item() const {
    return tensor().item<T>();
  }
  template <class T>
  T* data() const {
    return tensor().data<T>();
  }
  template <Element T>
  std::vector<T> to_vector() const {
    return tensor().to_vector<T>();
  }

 private:
  Ref<OutputRecord> record_;
};

}  // namespace croton
