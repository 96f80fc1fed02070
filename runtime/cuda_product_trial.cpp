#include "croton/runtime/cuda_product_trial.h"

#include <algorithm>
#include <cmath>

#include "croton/graph/tensor.h"
#include "croton/runtime/cuda_memory.h"

namespace croton {

namespace {

constexpr unsigned char ordinary_number = 0x3c;  // in every type: 0x3c3c3c3c is 0.0115
constexpr unsigned char not_a_number = 0xff;
constexpr std::size_t least_workspace = 16;
constexpr std::size_t widest_factor = sizeof(double);

}  // namespace

ProductTrial::ProductTrial(CudaDevice& device, const BlasProduct& product, DType dtype,
                           std::size_t workspace_bytes)
    : device_(device), product_(product), dtype_(dtype) {
  const BlasProduct& p = product_;
  buffers_.resize(static_cast<std::size_t>(p.d.buffer) + 2);
  provide(p.d.buffer + 1, std::max(least_workspace, workspace_bytes));
  provide(p.d.buffer, bytes_of(p.d));
  provide(p.a.buffer, bytes_of(p.a));
  if (p.b.buffer != p.a.buffer) provide(p.b.buffer, bytes_of(p.b));
  if (p.c.buffer >= 0 && p.c.leading == p.d.leading) {
    buffers_[static_cast<std::size_t>(p.c.buffer)] = at(p.d);
  } else if (p.c.buffer >= 0) {
    provide(p.c.buffer, bytes_of(p.c));
  }
  if (p.bias >= 0) provide(p.bias, static_cast<std::size_t>(p.d.rows) * size_of(dtype_));
  for (const int factor : {p.alpha, p.beta}) {
    if (factor >= 0) provide(factor, widest_factor);
  }
}

ProductTrial::~ProductTrial() {
  memory_.clear();
  device_.memory().trim();
}

void ProductTrial::put_nan() {
  device_.fill(at(product_.a), not_a_number, bytes_of(product_.a));
  device_.fill(at(product_.d), ordinary_number, bytes_of(product_.d));
}

bool ProductTrial::result_is_nan() const {
  const Tensor column = Tensor::empty({product_.d.rows}, dtype_);
  device_.download(column.raw_data(), at(product_.d), column.bytes());
  const Tensor wide = column.astype(DType::float64);
  return std::ranges::all_of(wide.elements<double>(), [](double x) { return std::isnan(x); });
}

void ProductTrial::provide(int buffer, std::size_t bytes) {
  memory_.push_back(device_.allocate(bytes));
  buffers_[static_cast<std::size_t>(buffer)] = memory_.back()->data();
  device_.fill(memory_.back()->data(), ordinary_number, bytes);
}

std::size_t ProductTrial::bytes_of(const BlasMatrix& matrix) const {
  return static_cast<std::size_t>(matrix.leading * matrix.columns) * size_of(dtype_);
}

}  // namespace croton
