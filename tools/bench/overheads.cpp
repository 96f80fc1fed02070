#include <algorithm>

#include "numbers.h"
#include "workload.h"

using namespace croton;

namespace {

Workload scalar_call(Sizes) {
  const auto begin = Clock::now();
  const Variable x = fscalar("x");
  return workload_of(begin, {{x}, x + 1, {}, "add_one", {Tensor(2.F)}});
}

/// v[i+1] = tanh(1.5 v[i] + v[i-6]) over a vector. Sizes: how many nodes, three for every i.
Workload tanh_chain(Sizes sizes) {
  const Tensor value = uniform({16}, 1);
  const auto begin = Clock::now();
  std::vector<Variable> v = {fvector("x")};
  for (std::int64_t i = 0; i < sizes[0] / 3; ++i) {
    const Variable& earlier = v[static_cast<std::size_t>(std::max<std::int64_t>(i - 6, 0))];
    v.push_back(tanh(1.5 * v.back() + earlier));
  }
  return workload_of(begin, {{v.front()}, v.back(), {}, "tanh_chain", {value}});
}

}  // namespace

std::span<const Kind> overhead_kinds() {
  static constexpr Kind kinds[] = {{"scalar_call", 0, scalar_call}, {"tanh_chain", 1, tanh_chain}};
  return kinds;
}
