#include "workload.h"

#include <utility>

using namespace croton;

const Kind* find_kind(std::string_view name) {
  for (const auto kinds : {network_kinds(), kernel_kinds(), convolution_kinds(), overhead_kinds()}) {
    for (const Kind& kind : kinds) {
      if (kind.name == name) return &kind;
    }
  }
  return nullptr;
}

double mean_of(const Tensor& tensor) {
  double sum = 0;
  for (const double x : tensor.astype(DType::float64).to_vector<double>()) sum += x;
  return sum / static_cast<double>(tensor.size());
}

Workload workload_of(Clock::time_point begin, const Function& function, std::vector<Tensor> arguments) {
  Workload work;
  work.begin = begin;
  work.function = function;
  work.check = [function, arguments] { return mean_of(function.call_all(arguments)); };
  // The usual call, by position, where there is an overload to take it.
  switch (arguments.size()) {
    case 1:
      work.call = [function, a = arguments[0]] { function(a); };
      break;
    case 2:
      work.call = [function, a = arguments[0], b = arguments[1]] { function(a, b); };
      break;
    default:
      work.call = [function, arguments = std::move(arguments)] { function.call_all(arguments); };
  }
  return work;
}
