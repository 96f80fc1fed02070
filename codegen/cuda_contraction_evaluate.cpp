#include <cstring>

#include "croton/codegen/cuda_contraction.h"
#include "croton/graph/tensor.h"

namespace croton {

namespace {

using Loops = std::vector<std::int64_t>;

/// Every index of some loops, the last the fastest.
std::vector<Loops> indices_of(const Loops& extents) {
  std::vector<Loops> all(1);
  for (const std::int64_t extent : extents) {
    std::vector<Loops> longer;
    for (const Loops& begin : all) {
      for (std::int64_t i = 0; i < extent; ++i) {
        longer.push_back(begin);
        longer.back().push_back(i);
      }
    }
    all = std::move(longer);
  }
  return all;
}

std::int64_t dot_of(const Loops& strides, const Loops* indices) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; indices != nullptr && i < strides.size(); ++i) sum += strides[i] * (*indices)[i];
  return sum;
}

/// Negative where the operand has no element.
std::int64_t place_of(const ContractionOperand& operand, std::int64_t batch, const Loops* rows,
                      const Loops* columns, const Loops* depth) {
  const auto at = [&](const AffineIndex& index) {
    return index.base + index.batch * batch + dot_of(index.rows, rows) + dot_of(index.columns, columns) +
           dot_of(index.depth, depth);
  };
  for (const ContractionOperand::Bound& bound : operand.bounds) {
    const std::int64_t i = at(bound.at);
    if (i < 0 || i >= bound.extent) return -1;
  }
  return at(operand.place);
}

}  // namespace

void evaluate_contraction(const CudaContraction& c, void* const* buffers) {
  const auto wide = [&](int buffer, std::int64_t count) {
    return Tensor::view(buffers[buffer], c.dtype, {count}, {1}, nullptr).astype(DType::float64);
  };
  const Tensor gathered = wide(0, c.gathered_count), packed = wide(1, c.packed_count);
  Tensor result = wide(2, c.result_count).copy();
  for (const ContractionPart& part : c.parts) {
    const std::vector<Loops> rows = indices_of(part.rows), columns = indices_of(part.columns),
                             depths = indices_of(part.depth);
    for (std::int64_t batch = 0; batch < c.batch; ++batch) {
      for (const Loops& row : rows) {
        for (const Loops& column : columns) {
          const std::int64_t to = place_of(part.result, batch, &row, &column, nullptr);
          if (to < 0) continue;
          double sum = 0;
          for (const Loops& depth : depths) {
            const std::int64_t a = place_of(part.gathered, batch, &row, nullptr, &depth);
            const std::int64_t b = place_of(part.packed, batch, nullptr, &column, &depth);
            if (a >= 0 && b >= 0) sum += gathered.data<double>()[a] * packed.data<double>()[b];
          }
          result.data<double>()[to] = sum;
        }
      }
    }
  }
  const Tensor narrow = result.astype(c.dtype).contiguous();
  std::memcpy(buffers[2], narrow.raw_data(), static_cast<std::size_t>(c.result_count) * size_of(c.dtype));
}

}  // namespace croton
