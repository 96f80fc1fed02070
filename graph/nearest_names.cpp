#include "croton/graph/nearest_names.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace croton {
namespace {

constexpr std::size_t most_offers = 3;
/// Longer texts are no typos of names; the distance takes time in the product of the lengths.
constexpr std::size_t longest_name = 64;

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

}  // namespace

std::size_t edit_distance(std::string_view first, std::string_view second) {
  const std::string a = lower(first), b = lower(second);
  // Rows i - 2, i - 1 and i of the table of distances between prefixes.
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) current[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, previous);
    std::swap(previous, current);
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        current[j] = std::min(current[j], before[j - 2] + 1);
    }
  }
  return current[b.size()];
}

std::vector<std::string_view> nearest_names(std::string_view name,
                                            std::span<const std::string_view> candidates) {
  if (name.empty() || name.size() > longest_name) return {};
  const std::string wanted = lower(name);
  const std::size_t limit = std::max<std::size_t>(2, name.size() / 3);
  // Distance and position: equally near names keep their order.
  std::vector<std::pair<std::size_t, std::size_t>> found;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::string_view candidate = candidates[i];
    if (candidate.empty() || candidate.size() > longest_name) continue;
    const std::size_t distance = edit_distance(name, candidate);
    // Two edits make any short name out of another: at least one letter must stay.
    if (distance <= limit && distance < std::max(name.size(), candidate.size()))
      found.emplace_back(distance, i);
    else if (wanted.size() >= 3 && lower(candidate).find(wanted) != std::string::npos)
      found.emplace_back(limit + 1, i);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string_view> names;
  for (const auto& [distance, i] : found) {
    if (names.size() < most_offers && std::find(names.begin(), names.end(), candidates[i]) == names.end())
      names.push_back(candidates[i]);
  }
  return names;
}

std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates) {
  const std::vector<std::string_view> names = nearest_names(name, candidates);
  if (names.empty()) return {};
  std::string text = "; did you mean ";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text + '?';
}

}  // namespace croton
