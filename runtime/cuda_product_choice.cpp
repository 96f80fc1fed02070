#include "croton/runtime/cuda_product_choice.h"

#include <cstring>
#include <limits>
#include <map>
#include <mutex>

#include "croton/codegen/kernel_files.h"

namespace croton {

namespace {

// What is not so much faster than the library's guess may be a matter of luck.
constexpr double clearly_faster = 0.97;
// What takes longer than so many times the best so far is not measured again.
constexpr double hopeless_product = 1.5;

struct ProductChoices {
  std::mutex mutex;
  std::map<std::string, ProductAlgorithm, std::less<>> known;

  static ProductChoices& instance() {
    static auto* const choices = new ProductChoices;
    return *choices;
  }
};

KernelKey product_key(const std::string& product) { return hash_of("product algorithm\n" + product); }

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
  ProductChoices& choices = ProductChoices::instance();
  const std::lock_guard lock(choices.mutex);
  if (const auto entry = choices.known.find(product); entry != choices.known.end()) return entry->second;
  const std::optional<std::string> bytes = read_cached_object(product_key(product));
  if (!bytes || bytes->size() != sizeof(ProductAlgorithm)) return std::nullopt;
  ProductAlgorithm choice;
  std::memcpy(&choice, bytes->data(), sizeof choice);
  choices.known.emplace(product, choice);
  return choice;
}

void remember_product_algorithm(const std::string& product, const ProductAlgorithm& choice) {
  ProductChoices& choices = ProductChoices::instance();
  const std::lock_guard lock(choices.mutex);
  choices.known.insert_or_assign(product, choice);
  write_cached_object(product_key(product),
                      std::string_view(reinterpret_cast<const char*>(&choice), sizeof choice));
}

}  // namespace croton
