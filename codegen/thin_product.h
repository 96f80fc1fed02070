#pragma once

#include <cstdint>
#include <optional>

namespace croton {

/// Element (i, j) of a matrix at i * row + j * column.
struct ProductWalk {
  std::int64_t row = 0, column = 0;
};

/// How generated code for a GPU computes a product of which one outer extent is small: it is bound by reading
/// the long operand, once and as it lies.
struct ThinProduct {
  enum class Form : std::uint8_t {
    dots,  ///< few columns: a group of threads for a row of a, whose terms lie side by side
    sums,  ///< few rows: a thread for a column of b, down its terms
  };
  Form form = Form::dots;
  bool is_transposed = false;  ///< with the rows of the product as columns
};

/// Of a[m, k] @ b[k, n]; nothing where neither is thin enough, or the operands lie otherwise.
std::optional<ThinProduct> thin_product(std::int64_t m, std::int64_t n, std::int64_t k, ProductWalk a,
                                        ProductWalk b);

}  // namespace croton
