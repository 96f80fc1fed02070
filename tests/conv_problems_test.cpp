// Many random problems of convolutions, by hand.

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "conv_check.h"
#include "croton/codegen/cuda_kernel.h"
#include "croton/codegen/thread_pool.h"
#include "croton/graph/flags.h"
#include "croton/graph/npy.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_kernels.h"

using namespace croton;
using namespace croton::test;

namespace {

int number_from_environment(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

/// The problem, its operands and what the reference makes of them, for tests/conv_agreement.py.
void save_problem(const std::string& folder, int number, ConcreteConvCase c) {
  std::mt19937 random(static_cast<unsigned>(number));
  c.problem.dtype = DType::float64;
  c.first = uniform_tensor(c.first.shape(), DType::float64, random);
  c.second = uniform_tensor(c.second.shape(), DType::float64, random);
  const std::string path = folder + "/" + std::to_string(number);
  save_npy(path + ".first.npy", c.first);
  save_npy(path + ".second.npy", c.second);
  save_npy(path + ".result.npy", conv_reference(c.problem, c.first, c.second));
  std::ofstream(path + ".txt") << to_string(c.problem) << "\n";
}

DType random_floating(std::mt19937& random) {
  constexpr DType rare[] = {DType::float64, DType::float16, DType::bfloat16};
  return random() % 5 == 0 ? rare[random() % 3] : DType::float32;
}

/// On all cores.
template <class F>
void for_each_at_once(std::vector<ConvCheck>& checks, const F& f) {
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < checks.size(); i = next++) f(checks[i]);
  };
  std::vector<std::jthread> threads;
  for (int i = 1; i < available_cores(); ++i) threads.emplace_back(work);
  work();
}

/// With the driver of tests/fake_cuda kernels are compiled for the GPU that it claims to be, into the cache
/// on disk, and nothing is run.
void compile_for_claimed_gpu() {
  set_cuda_compiler([](std::span<const Kernel> kernels, const CudaTarget& target) {
    compile_cuda(kernels, target);
    return std::vector<std::shared_ptr<const CudaKernel>>(kernels.size(), std::make_shared<CudaKernel>());
  });
}

/// What networks are full of, and what minimal filtering and a library's fastest algorithms are for: 3 x 3,
/// no strides.
ConcreteConvCase plain_conv(std::mt19937& random, DType dtype) {
  const auto pick = [&](std::uint32_t low, std::uint32_t high) {
    return static_cast<std::int64_t>(low + random() % (high - low + 1));
  };
  const auto direction = static_cast<ConvDirection>(pick(0, 2));
  const std::int64_t groups = pick(1, 5) == 1 ? 2 : 1, channels = pick(1, 40);
  return concrete_conv(direction, {pick(1, 12), groups * channels, pick(3, 30), pick(3, 30)},
                       {groups * pick(1, 40), channels, 3, 3}, pick(0, 2), 1, 1, groups, pick(0, 1) == 1,
                       dtype);
}

/// CROTON_CONV_PROBLEMS problems (1000), or as many of them as CROTON_CONV_SECONDS (3600) allow, from
/// CROTON_CONV_SEED on (1): some at a time, what can be done on all cores, then `rest`. Every eighth is
/// plain. With CROTON_CONV_EACH a candidate is left out that has had so many of a direction.
class ConvProblems {
 public:
  template <class AtOnce, class Rest>
  void each(const ConvTallies& tallies, const AtOnce& at_once, const Rest& rest) {
    const int together = enough_ < problems_ ? 16 : 64;
    const auto begin = std::chrono::steady_clock::now();
    int done = 0;
    while (done < problems_ && std::chrono::steady_clock::now() - begin < most_) {
      std::vector<ConvCheck> checks;
      for (int i = 0; i < together && done < problems_; ++i, ++done) {
        const ConcreteConvCase c = draw(done);
        ConvCheck check(c, random_, enough_ >= problems_ && done % 4 == 0);
        if (done / 8 % shares_ != share_) continue;  // as many plain ones for all
        check.leave_out(tallies, enough_);
        if (folder_ != nullptr && done % every_ == 0) save_problem(folder_, done, c);
        checks.push_back(std::move(check));
      }
      for_each_at_once(checks, at_once);
      for (ConvCheck& check : checks) rest(check);
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    std::printf("problems %d in %.0f s\n", done, seconds.count());
  }

 private:
  ConcreteConvCase draw(int number) {
    if (number % 8 == 7) return plain_conv(random_, random_floating(random_));
    const int rank = random_() % 6 == 0 ? 3 : random_() % 8 == 0 ? 1 : 2;
    const DType dtype = random_floating(random_);
    return random_concrete_conv(random_, dtype, rank);
  }

  std::mt19937 random_{static_cast<unsigned>(number_from_environment("CROTON_CONV_SEED", 1))};
  const std::chrono::seconds most_{number_from_environment("CROTON_CONV_SECONDS", 3600)};
  /// Every CROTON_CONV_EVERY-th goes there (all), for tests/conv_agreement.py.
  const char* const folder_ = std::getenv("CROTON_CONV_FOLDER");
  const int every_ = number_from_environment("CROTON_CONV_EVERY", 1);
  /// Of several processes at once: each does every CROTON_CONV_SHARES-th eight, from the CROTON_CONV_SHARE-th
  /// on.
  const int shares_ = number_from_environment("CROTON_CONV_SHARES", 1),
            share_ = number_from_environment("CROTON_CONV_SHARE", 0);
  const int problems_ = number_from_environment("CROTON_CONV_PROBLEMS", 1000);
  const int enough_ = number_from_environment("CROTON_CONV_EACH", problems_);
};

}  // namespace

// As long as one likes. Prints a row for each candidate and direction: problems, how many were wrong, the
// largest error in units of what is stated.
TEST_CASE("many random problems of convolutions", "[.][conv_problems]") {
  ConvTallies tallies;
  ConvProblems().each(
      tallies,
      [](ConvCheck& check) {
        check.compute_expected();
        check.compile_candidates();
      },
      [&](ConvCheck& check) { CHECK_NOTHROW(check.run(tallies)); });
  for (const auto& [key, tally] : tallies) {
    std::printf("%s %s %d %d %.3f\n", key.first.c_str(), to_string(key.second).c_str(), tally.problems,
                tally.failures, tally.worst);
  }
}

// Only compiles what they need, into the cache of kernels: before they run on a GPU, or elsewhere for one.
TEST_CASE("the kernels of many random problems of convolutions", "[.][conv_kernels]") {
  REQUIRE(config().device() != "cpu");
  const bool is_fake = cuda_device_info(0).name == "Fake GPU";
  if (is_fake) compile_for_claimed_gpu();
  ConvProblems().each({}, [](ConvCheck& check) { check.compile_candidates(); }, [](ConvCheck&) {});
  if (is_fake) set_cuda_compiler({});
}
