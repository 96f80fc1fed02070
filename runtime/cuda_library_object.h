#pragma once

#include <utility>

namespace croton {

/// What a library of NVIDIA's has made, destroyed with its owner: `library()` has the library's functions,
/// `destroy` is the one of them for objects of this type. Passed to the library as it is.
template <auto library, auto destroy>
class CudaLibraryObject;

template <class Library, const Library& (*library)(), class Object, int (*Library::*destroy)(Object)>
class CudaLibraryObject<library, destroy> {
 public:
  CudaLibraryObject() = default;
  ~CudaLibraryObject() {
    if (object_ != nullptr) (library().*destroy)(object_);
  }
  CudaLibraryObject(CudaLibraryObject&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  CudaLibraryObject& operator=(CudaLibraryObject&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }

  /// Where the library puts what it makes.
  Object* place() { return &object_; }
  operator Object() const { return object_; }

 private:
  Object object_ = nullptr;
};

}  // namespace croton
