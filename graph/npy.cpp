#include "croton/graph/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "croton/graph/error.h"
#include "croton/graph/input_file.h"
#include "croton/graph/nearest_names.h"
#include "croton/graph/npy_elements.h"
#include "croton/graph/npy_header.h"
#include "croton/graph/output_file.h"

namespace croton {
NpyElements::NpyElements(const NpyHeader& header) : header_(header) {
  Shape shape = header.shape;
  if (header.fortran_order) std::reverse(shape.begin(), shape.end());
  tensor_ = Tensor::empty(shape, header.dtype);
}

Tensor NpyElements::finish() {
  auto* data = static_cast<std::byte*>(tensor_.raw_data());
  const std::size_t item = size_of(header_.dtype);
  if (header_.big_endian && item > 1) {
    for (std::size_t i = 0; i < header_.data_bytes; i += item) std::reverse(data + i, data + i + item);
  }
  if (is_bool(header_.dtype)) {
    // A C++ bool holds 0 or 1 only; NumPy takes any other byte for true.
    for (std::size_t i = 0; i < header_.data_bytes; ++i) data[i] = std::byte{data[i] != std::byte{0}};
  }
  return header_.fortran_order ? tensor_.transpose().contiguous() : tensor_;
}

const Tensor* NamedTensors::find(std::string_view name) const {
  for (const value_type& entry : entries_) {
    if (entry.first == name) return &entry.second;
  }
  return nullptr;
}

const Tensor& NamedTensors::at(std::string_view name) const {
  if (const Tensor* found = find(name)) return *found;
  std::vector<std::string_view> names;
  for (const value_type& entry : entries_) names.push_back(entry.first);
  throw ValueError(fmt::format("there is no tensor called \"{}\"{}", name, did_you_mean(name, names)));
}

void save_npy(const std::string& path, const Tensor& tensor) {
  if (!tensor.defined()) throw ValueError(fmt::format("cannot save an undefined tensor to {}", path));
  const Tensor here = tensor.to_host().contiguous();
  const std::string header = npy_header_text(here.dtype(), here.shape());
  OutputFile file(path);
  file.write(header.data(), header.size());
  file.write(here.raw_data(), here.bytes());
  file.commit();
}

Tensor load_npy(const std::string& path) {
  const InputFile file(path);
  std::vector<std::byte> start(std::min(file.size(), longest_npy_header));
  file.read(0, start.data(), start.size());
  const NpyHeader header = parse_npy_header(start, file.size(), path);
  NpyElements elements(header);
  file.read(header.data_offset, elements.data(), header.data_bytes);
  return elements.finish();
}

Tensor parse_npy(std::span<const std::byte> bytes, std::string_view name) {
  const NpyHeader header =
      parse_npy_header(bytes.first(std::min(bytes.size(), longest_npy_header)), bytes.size(), name);
  NpyElements elements(header);
  if (header.data_bytes) std::memcpy(elements.data(), bytes.data() + header.data_offset, header.data_bytes);
  return elements.finish();
}

void Tensor::save(const std::string& path) const { save_npy(path, *this); }

Tensor Tensor::load(const std::string& path) { return load_npy(path); }

}  // namespace croton
