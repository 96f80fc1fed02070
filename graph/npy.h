#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "croton/graph/export.h"
#include "croton/graph/tensor.h"

namespace croton {

/// Tensors with names, in order: what a .npz file holds.
class CROTON_API NamedTensors {
 public:
  using value_type = std::pair<std::string, Tensor>;

  NamedTensors() = default;
  NamedTensors(std::initializer_list<value_type> entries) : entries_(entries) {}

  void add(std::string name, Tensor tensor) { entries_.emplace_back(std::move(name), std::move(tensor)); }
  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  /// The tensor of that name, or null.
  const Tensor* find(std::string_view name) const;
  /// The tensor of that name. Throws ValueError, which offers near names.
  const Tensor& at(std::string_view name) const;

 private:
  std::vector<value_type> entries_;
};

/// Writes a tensor as NumPy's .npy, version 1.0, to exactly this path: first under another name beside it,
/// then renamed. bfloat16, which NumPy has not, becomes '<V2' as ml_dtypes writes it: load it there with
/// np.load(path).view(ml_dtypes.bfloat16). Throws FileError.
CROTON_API void save_npy(const std::string& path, const Tensor& tensor);
/// Reads a .npy file of version 1, 2 or 3: bool, integers, float16, float32, float64 and V2 (as bfloat16) of
/// either byte order, C or Fortran order; the result is contiguous. Throws FileError.
CROTON_API Tensor load_npy(const std::string& path);
/// The same out of memory; `name` stands for the file in errors. Allocates no more than `bytes` has.
CROTON_API Tensor parse_npy(std::span<const std::byte> bytes, std::string_view name);

/// Writes tensors as NumPy's .npz, an archive of one .npy each; to exactly this path, under another name
/// first. The bytes depend on the tensors only. Throws ValueError for an empty or repeated name, FileError.
CROTON_API void save_npz(const std::string& path, const NamedTensors& tensors, bool compressed = false);
/// Reads a .npz file, compressed or not. Throws FileError.
CROTON_API NamedTensors load_npz(const std::string& path);
/// The same out of memory; `name` stands for the file in errors.
CROTON_API NamedTensors parse_npz(std::span<const std::byte> bytes, std::string_view name);

}  // namespace croton
