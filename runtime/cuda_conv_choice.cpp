#include "croton/runtime/cuda_conv_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "croton/graph/flags.h"
#include "croton/runtime/cuda_known_choices.h"

namespace croton {

namespace {

// A deterministic algorithm may take so many times as long as the fastest.
constexpr double price_of_determinism = 1.1;
// What takes longer than so many times the best so far is not measured again.
constexpr double hopeless_algorithm = 1.5;

KnownChoices& conv_choices() {
  static auto* const choices = new KnownChoices("convolution algorithm");
  return *choices;
}

std::string to_text(const CudnnAlgorithm& a) {
  return fmt::format("{} {} {} {}\n", a.algorithm, a.math, a.workspace, a.is_deterministic ? 1 : 0);
}

std::optional<CudnnAlgorithm> from_text(const std::string& text) {
  CudnnAlgorithm a;
  int deterministic = 0;
  if (std::sscanf(text.c_str(), "%d %d %zu %d", &a.algorithm, &a.math, &a.workspace, &deterministic) != 4)
    return std::nullopt;
  a.is_deterministic = deterministic != 0;
  return a;
}

}  // namespace

std::size_t most_conv_workspace(std::size_t operand_bytes) {
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  const std::size_t usual = std::clamp(8 * operand_bytes, 256 * mebibyte, 3072 * mebibyte);
  const int most = config().metaopt_max_workspace();
  return most > 0 ? std::min(usual, static_cast<std::size_t>(most) * mebibyte) : usual;
}

std::optional<CudnnAlgorithm> fastest_conv_algorithm(
    std::span<const CudnnAlgorithm> candidates,
    const std::function<std::optional<double>(const CudnnAlgorithm&, double limit)>& seconds) {
  struct Measured {
    const CudnnAlgorithm* algorithm;
    double seconds;
  };
  std::optional<Measured> best, best_deterministic;
  for (const CudnnAlgorithm& candidate : candidates) {
    const double limit = best ? best->seconds * hopeless_algorithm : std::numeric_limits<double>::infinity();
    const std::optional<double> taken = seconds(candidate, limit);
    if (!taken) continue;
    if (!best || *taken < best->seconds) best = {&candidate, *taken};
    if (candidate.is_deterministic && (!best_deterministic || *taken < best_deterministic->seconds))
      best_deterministic = {&candidate, *taken};
  }
  if (!best) return std::nullopt;
  if (best_deterministic && best_deterministic->seconds <= best->seconds * price_of_determinism)
    best = best_deterministic;
  return *best->algorithm;
}

std::optional<CudnnAlgorithm> known_conv_algorithm(const std::string& problem) {
  const std::optional<std::string> text = conv_choices().find(problem);
  return text ? from_text(*text) : std::nullopt;
}

void remember_conv_algorithm(const std::string& problem, const CudnnAlgorithm& choice) {
  conv_choices().remember(problem, to_text(choice));
}

}  // namespace croton
