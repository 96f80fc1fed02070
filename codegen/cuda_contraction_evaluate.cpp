#include <algorithm>
#include <cstring>

#include "croton/codegen/cuda_contraction_geometry.h"
#include "croton/graph/tensor.h"

namespace croton {

namespace {

/// Every index of some loops, the last the fastest.
std::vector<LoopExtents> indices_of(const LoopExtents& extents) {
  std::vector<LoopExtents> all(1);
  for (const std::int64_t extent : extents) {
    std::vector<LoopExtents> longer;
    for (const LoopExtents& begin : all) {
      for (std::int64_t i = 0; i < extent; ++i) {
        longer.push_back(begin);
        longer.back().push_back(i);
      }
    }
    all = std::move(longer);
  }
  return all;
}

std::int64_t dot_of(const LoopExtents& strides, const LoopExtents* indices) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; indices != nullptr && i < strides.size(); ++i) sum += strides[i] * (*indices)[i];
  return sum;
}

/// Negative where the operand has no element.
std::int64_t place_of(const ContractionOperand& operand, std::int64_t batch, const LoopExtents* rows,
                      const LoopExtents* columns, const LoopExtents* depth) {
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
  std::vector<double> matrix(c.folds() ? static_cast<std::size_t>(c.fold.count()) : 0);
  const ContractionFinish& f = c.finish;
  const auto factor = [&](int buffer) { return buffer < 0 ? 1 : wide(buffer, 1).data<double>()[0]; };
  const double alpha = factor(f.alpha), beta = factor(f.beta);
  Tensor addend;
  if (f.addend >= 0) {
    const ContractionPart& p = c.parts.front();
    addend = wide(f.addend, 1 + (index_count(p.rows) - 1) * f.addend_row +
                                (index_count(p.columns) - 1) * f.addend_column);
  }
  for (const ContractionPart& part : c.parts) {
    const std::vector<LoopExtents> rows = indices_of(part.rows), columns = indices_of(part.columns),
                                   depths = indices_of(part.depth);
    for (std::int64_t batch = 0; batch < c.batch; ++batch) {
      for (const LoopExtents& row : rows) {
        for (const LoopExtents& column : columns) {
          const std::int64_t to = place_of(part.result, batch, &row, &column, nullptr);
          if (to < 0) continue;
          double sum = 0;
          for (const LoopExtents& depth : depths) {
            const std::int64_t a = place_of(part.gathered, batch, &row, nullptr, &depth);
            const std::int64_t b = place_of(part.packed, batch, nullptr, &column, &depth);
            if (a >= 0 && b >= 0) sum += gathered.data<double>()[a] * packed.data<double>()[b];
          }
          sum *= alpha;
          if (f.addend >= 0)
            sum += beta * addend.data<double>()[row[0] * f.addend_row + column[0] * f.addend_column];
          (c.folds() ? matrix.data() : result.data<double>())[to] = sum;
        }
      }
    }
  }
  if (c.folds()) std::ranges::copy(folded(c.fold, matrix), result.data<double>());
  const Tensor narrow = result.astype(c.dtype).contiguous();
  std::memcpy(buffers[2], narrow.raw_data(), static_cast<std::size_t>(c.result_count) * size_of(c.dtype));
}

}  // namespace croton
