#include "croton/runtime/cuda_product_choice.h"

#include <cstring>
#include <limits>

#include "croton/runtime/cuda_known_choices.h"

namespace croton {

namespace {

// What is not so much faster than the library's guess may be a matter of luck.
constexpr double clearly_faster = 0.97;
// What takes longer than so many times the best so far is not measured again.
constexpr double hopeless_product = 1.5;

KnownChoices& product_choices() {
  static auto* const choices = new KnownChoices("product algorithm");
  return *choices;
}

}  // namespace

std::optional<std::size_t> fastest_product_algorithm(
    std::size_t candidates, const std::function<std::optional<double>(std::size_t, double)>& seconds) {
  std::optional<std::size_t> best;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < candidates; ++i) {
    const std::optional<double> taken = seconds(i, least * hopeless_product);
    if (!taken || *taken >= least * (best ? clearly_faster : 1)) continue;
    best = i;
    least = *taken;
  }
  return best;
}

std::optional<ProductAlgorithm> known_product_algorithm(const std::string& product) {
  const std::optional<std::string> bytes = product_choices().find(product);
  if (!bytes || bytes->size() != sizeof(ProductAlgorithm)) return std::nullopt;
  ProductAlgorithm choice;
  std::memcpy(&choice, bytes->data(), sizeof choice);
  return choice;
}

void remember_product_algorithm(const std::string& product, const ProductAlgorithm& choice) {
  product_choices().remember(product, std::string(reinterpret_cast<const char*>(&choice), sizeof choice));
}

}  // namespace croton
