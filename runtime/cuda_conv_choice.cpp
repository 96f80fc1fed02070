#include "croton/runtime/cuda_conv_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <mutex>

#include "croton/codegen/kernel_files.h"

namespace croton {

namespace {

// A deterministic algorithm may take so many times as long as the fastest.
constexpr double price_of_determinism = 1.1;
// What takes longer than so many times the best so far is not measured again.
constexpr double hopeless = 1.5;

struct Choices {
  std::mutex mutex;
  std::map<std::string, CudnnAlgorithm, std::less<>> known;

  static Choices& instance() {
    static auto* const choices = new Choices;
    return *choices;
  }
};

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

KernelKey key_of(const std::string& problem) { return hash_of("convolution algorithm\n" + problem); }

}  // namespace

std::size_t most_conv_workspace(std::size_t operand_bytes) {
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  return std::clamp(8 * operand_bytes, 256 * mebibyte, 3072 * mebibyte);
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
    const double limit = best ? best->seconds * hopeless : std::numeric_limits<double>::infinity();
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
  Choices& choices = Choices::instance();
  const std::lock_guard lock(choices.mutex);
  if (const auto entry = choices.known.find(problem); entry != choices.known.end()) return entry->second;
  const std::optional<std::string> text = read_cached_object(key_of(problem));
  if (!text) return std::nullopt;
  const std::optional<CudnnAlgorithm> choice = from_text(*text);
  if (choice) choices.known.emplace(problem, *choice);
  return choice;
}

void remember_conv_algorithm(const std::string& problem, const CudnnAlgorithm& choice) {
  Choices& choices = Choices::instance();
  const std::lock_guard lock(choices.mutex);
  choices.known.insert_or_assign(problem, choice);
  write_cached_object(key_of(problem), to_text(choice));
}

}  // namespace croton
