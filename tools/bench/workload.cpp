#include "workload.h"

#include <croton/runtime/cuda_device.h>

using namespace croton;

bool on_gpu() { return config().device() != "cpu"; }

namespace {

Workload on_the_gpu(Clock::time_point begin, const Program& program) {
  FunctionOptions options{.updates = program.updates, .name = program.name};
  for (std::size_t i = 0; i < program.inputs.size(); ++i) {
    const Tensor& value = program.arguments[i];
    options.givens.emplace_back(program.inputs[i],
                                shared(value, "argument" + std::to_string(i), {.shape = value.shape()}));
  }
  OutputList outputs;
  if (program.result) outputs = transfer(program.result, config().device());
  Workload work;
  work.begin = begin;
  work.function = function({}, outputs, options);
  work.call = [f = work.function] { f(); };
  work.check = [f = work.function] { return mean_of(f()[0]); };
  return work;
}

}  // namespace

const Kind* find_kind(std::string_view name) {
  for (const auto kinds : {network_kinds(), kernel_kinds(), convolution_kinds(), overhead_kinds()}) {
    for (const Kind& kind : kinds) {
      if (kind.name == name) return &kind;
    }
  }
  return nullptr;
}

double mean_of(const Tensor& tensor) {
  const Tensor wide = tensor.to_host().astype(DType::float64).contiguous();
  double sum = 0;
  for (std::int64_t i = 0; i < wide.size(); ++i) sum += wide.data<const double>()[i];
  return sum / static_cast<double>(tensor.size());
}

void finish_calls() {
  if (on_gpu()) CudaDevice::get(0).synchronize();
}

Workload workload_of(Clock::time_point begin, const Program& program) {
  if (on_gpu()) return on_the_gpu(begin, program);
  OutputList outputs;
  if (program.result) outputs = program.result;
  const Function function = croton::function({program.inputs.begin(), program.inputs.end()}, outputs,
                                             {.updates = program.updates, .name = program.name});
  const std::vector<Tensor>& arguments = program.arguments;
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
      work.call = [function, arguments] { function.call_all(arguments); };
  }
  return work;
}
