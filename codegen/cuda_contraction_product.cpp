// Products of matrices as contractions.

#include <algorithm>
#include <limits>

#include "croton/codegen/cuda_contraction.h"
#include "croton/codegen/lower_product.h"
#include "croton/codegen/tensor_core_product.h"
#include "croton/graph/flags.h"

namespace croton {

namespace {

/// Elements from the first to the last one that strides reach.
std::int64_t reach_of(std::int64_t rows, std::int64_t columns, ProductWalk walk) {
  if (rows == 0 || columns == 0) return 0;
  return (rows - 1) * walk.row + (columns - 1) * walk.column + 1;
}

bool has_neighbours(ProductWalk walk) { return walk.row == 1 || walk.column == 1; }

}  // namespace

// Measured on an H200 beside cuBLASLt 13.1: 0.75 to 0.95 of its time in these bounds, up to 2.4 times outside
// of them; single TF32 products and shorter ones are the library's.
bool is_tensor_core_product(DType dtype, std::int64_t m, std::int64_t n, std::int64_t k, ProductWalk a,
                            ProductWalk b) {
  constexpr std::int64_t least_side = 64, least_terms = 256, aligned = 4;
  // Where neither operand has its terms side by side.
  constexpr double least_work_across = 1e9;
  if (dtype != DType::float32 || config().precision() != Precision::ieee) return false;
  if (!has_neighbours(a) || !has_neighbours(b)) return false;
  if (std::min(m, n) < least_side || k < least_terms) return false;
  const auto is_aligned = [](ProductWalk walk) {
    return (walk.row == 1 ? walk.column : walk.row) % aligned == 0;
  };
  if (m % aligned != 0 || n % aligned != 0 || k % aligned != 0 || !is_aligned(a) || !is_aligned(b))
    return false;
  if (std::max({m * n, m * k, k * n}) > std::numeric_limits<std::int32_t>::max()) return false;
  const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  return a.column == 1 || b.row == 1 || work >= least_work_across;
}

std::optional<CudaContraction> contraction_of(const Product& product, ContractionArithmetic arithmetic) {
  using Lanes = CudaContraction::Lanes;
  // Neighbours in the result are rows of the contraction.
  const Product p = product.c_walk.column != 1 && product.c_walk.row == 1 ? product.transposed() : product;
  if (!has_neighbours(p.a_walk) || !has_neighbours(p.b_walk)) return std::nullopt;
  CudaContraction c;
  c.arithmetic = arithmetic;
  c.is_direct = true;
  c.gathered_count = reach_of(p.k, p.n, p.b_walk);
  c.packed_count = reach_of(p.m, p.k, p.a_walk);
  c.result_count = reach_of(p.m, p.n, p.c_walk);
  const std::int64_t addend_count = p.z >= 0 ? reach_of(p.m, p.n, p.z_walk) : 0;
  if (std::max({c.gathered_count, c.packed_count, c.result_count, addend_count}) >
      std::numeric_limits<std::int32_t>::max())
    return std::nullopt;
  c.gathered_input = p.b;
  c.lanes = p.b_walk.column == 1 ? Lanes::rows : Lanes::depth;
  c.other_lanes = p.a_walk.row == 1 ? Lanes::rows : Lanes::depth;
  ContractionPart part;
  part.rows = {p.n};
  part.columns = {p.m};
  part.depth = {p.k};
  part.gathered.place = {0, 0, {p.b_walk.column}, {}, {p.b_walk.row}};
  part.packed.place = {0, 0, {}, {p.a_walk.row}, {p.a_walk.column}};
  part.result.place = {0, 0, {p.c_walk.column}, {p.c_walk.row}, {}};
  c.parts = {std::move(part)};
  int buffer = 5;
  if (p.z >= 0) c.finish.addend = buffer++;
  if (p.alpha >= 0) c.finish.alpha = buffer++;
  if (p.beta >= 0) c.finish.beta = buffer++;
  c.finish.addend_row = p.z_walk.column;
  c.finish.addend_column = p.z_walk.row;
  return c;
}

}  // namespace croton
