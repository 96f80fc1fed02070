#include "croton/runtime/debug_memory.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace croton {

namespace {

constexpr std::size_t guard = 256;

struct Lying {
  Shape strides;
  std::int64_t first = 0, elements = 0;  // of the first element; of memory
};

Lying lie(const Shape& shape, GuardedLeaves::Strides kind) {
  using Strides = GuardedLeaves::Strides;
  Lying lying{contiguous_strides(shape), 0, shape.count()};
  if (kind == Strides::contiguous || lying.elements == 0) return lying;
  std::vector<std::size_t> order(shape.size());  // the axis that moves fastest last
  std::iota(order.begin(), order.end(), 0);
  if (kind == Strides::columns_first) std::ranges::reverse(order);
  std::int64_t pitch = kind == Strides::reversed ? 2 : 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    const std::size_t axis = order[i];
    lying.strides[axis] = pitch;
    pitch *= shape[axis] + (kind == Strides::padded ? 3 : 0);
  }
  lying.elements = 1;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    lying.elements += (shape[axis] - 1) * lying.strides[axis];
  }
  if (kind == Strides::reversed) {
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      lying.first += (shape[axis] - 1) * lying.strides[axis];
      lying.strides[axis] = -lying.strides[axis];
    }
  }
  return lying;
}

}  // namespace

GuardedLeaves::GuardedLeaves(std::span<const Tensor* const> inputs, std::span<SharedCell* const> shared,
                             Strides strides, std::size_t misalignment) {
  struct Part {
    const Tensor* from;
    Lying lying;
    std::size_t offset;
  };
  std::vector<Part> parts;
  std::size_t end = 0;
  const auto add = [&](const Tensor& from, Strides kind) {
    const Lying lying = lie(from.shape(), kind);
    const std::size_t offset =
        (end + guard + tensor_alignment - 1) / tensor_alignment * tensor_alignment + misalignment;
    parts.push_back({&from, lying, offset});
    end = offset + static_cast<std::size_t>(lying.elements) * size_of(from.dtype());
  };
  for (const Tensor* input : inputs) add(*input, strides);
  for (SharedCell* cell : shared) add(cell->value(), Strides::contiguous);
  block_ = make_host_storage(end + guard);
  std::memset(block_->data(), 0xa5, block_->bytes());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    const DType dtype = part.from->dtype();
    auto* first = static_cast<std::byte*>(block_->data()) + part.offset +
                  part.lying.first * static_cast<std::int64_t>(size_of(dtype));
    const Tensor copy = Tensor::view(first, dtype, part.from->shape(), part.lying.strides, nullptr);
    copy.assign(*part.from);
    if (i < inputs.size()) {
      inputs_.push_back(copy);
    } else {
      cells_.push_back(std::make_unique<SharedCell>(copy));
      cell_pointers_.push_back(cells_.back().get());
    }
  }
  for (const Tensor& input : inputs_) pointers_.push_back(&input);
}

std::vector<Shape> GuardedLeaves::input_strides() const {
  std::vector<Shape> strides;
  for (const Tensor& input : inputs_) strides.push_back(input.strides());
  return strides;
}

}  // namespace croton
