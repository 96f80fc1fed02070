#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "croton/graph/export.h"
#include "croton/runtime/cuda_blas.h"

namespace croton {

/// One of cuBLASLt's algorithms for a product, with its workspace.
struct ProductAlgorithm {
  cublaslt::Algorithm algorithm{};
  std::size_t workspace = 0;  ///< bytes
};

/// The fastest of the candidates, in the order of the library's guess: `seconds` measures one (nothing where
/// it fails). Another than the first is taken only where it is clearly faster. Nothing when all fail.
CROTON_API std::optional<std::size_t> fastest_product_algorithm(
    std::size_t candidates,
    const std::function<std::optional<double>(std::size_t candidate, double limit)>& seconds);

/// What was chosen before for a product, in this process or, by the cache on disk, in another. `product`
/// names everything that the choice depends on: numbers, arithmetic, device, version of the library.
CROTON_API std::optional<ProductAlgorithm> known_product_algorithm(const std::string& product);
CROTON_API void remember_product_algorithm(const std::string& product, const ProductAlgorithm& choice);

}  // namespace croton
