#pragma once

#include <croton/croton.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using Clock = std::chrono::steady_clock;
using Sizes = std::span<const std::int64_t>;

/// A piece of work, ready to be called.
struct Workload {
  Clock::time_point begin;        ///< when its data were there and its graph began to be built
  std::function<void()> call;     ///< the work once; on a GPU it may still be under way then
  std::function<double()> check;  ///< calls once; a number by which implementations are compared
  double bytes = 0;               ///< read and written by one call, every operand once; 0: not what counts
  double operations = 0;          ///< floating-point operations of one call; 0: not what counts
  croton::Function function;      ///< what runs, for its profile
};

/// Work of the same kind in several sizes; see workloads.txt.
struct Kind {
  std::string_view name;
  std::size_t sizes;  ///< how many it takes, at least
  Workload (*make)(Sizes sizes);
};

// One list a file.
std::span<const Kind> network_kinds();
std::span<const Kind> kernel_kinds();
std::span<const Kind> convolution_kinds();
std::span<const Kind> overhead_kinds();

/// nullptr when there is none.
const Kind* find_kind(std::string_view name);

/// What a function computes.
struct Program {
  std::vector<croton::Variable> inputs;
  croton::Variable result;  ///< may be empty
  std::vector<croton::Update> updates = {};
  std::string name = {};
  std::vector<croton::Tensor> arguments;  ///< for the inputs
};
/// Work that calls the program's function; its check is the mean of the result. On a GPU everything stays
/// there, as in the peers' programs: arguments are shared variables, the result is a tensor there.
Workload workload_of(Clock::time_point begin, const Program& program);

/// Whether the work is done on a GPU.
bool on_gpu();

/// Waits until a GPU has done what it was told.
void finish_calls();

/// The mean of all elements, of any floating dtype.
double mean_of(const croton::Tensor& tensor);
