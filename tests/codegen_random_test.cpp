#include <catch2/catch.hpp>
#include <string_view>

#include "codegen_random.h"
#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/loop_interpreter.h"
#include "croton/codegen/quick_compile.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

void compare_with_interpreter(const Kernel& kernel, const CompiledKernel& compiled, std::mt19937& random) {
  for (const bool at_end : {false, true}) {
    GuardedBuffers expected(kernel, at_end), got(kernel, at_end);
    for (std::size_t i = 0; i < kernel.buffers.size(); ++i) {
      fill_random(kernel.buffers[i], expected.as<char>(i), random, true);
      std::memcpy(got.as<char>(i), expected.as<char>(i), expected.bytes(i));
    }
    interpret(kernel, expected.pointers());
    compiled.run(ThreadPool::instance(), got.pointers());
    for (std::size_t i = 0; i < kernel.buffers.size(); ++i) {
      INFO("buffer " << kernel.buffers[i].name);
      REQUIRE(same_contents(kernel.buffers[i], expected.as<char>(i), got.as<char>(i)));
    }
  }
}

}  // namespace

TEST_CASE("quickly compiled kernels do what the interpreter does", "[codegen][random]") {
  for (int seed = 0; seed < random_cases(100); ++seed) {
    std::mt19937 random(static_cast<unsigned>(seed));
    const Kernel kernel = random_kernel(random, true);
    INFO("seed " << seed << "\n" << to_text(kernel));
    compare_with_interpreter(kernel, *compile_quickly(std::span(&kernel, 1)).front(), random);
  }
}

TEST_CASE("compiled kernels do what the interpreter does", "[codegen][random]") {
  CompileOptions options;
  options.use_cache = false;
  for (const char* features : {"", "-avx512f", "-avx"}) {
    options.target.features = features;
    const int cases = random_cases(features[0] == 0 ? 200 : 40);
    for (int seed = 0; seed < cases; ++seed) {
      std::mt19937 random(static_cast<unsigned>(seed));
      const Kernel kernel = random_kernel(random, std::string_view(features) != "-avx");
      INFO("features '" << features << "', seed " << seed << "\n" << to_text(kernel));
      compare_with_interpreter(kernel, *compile(kernel, options), random);
    }
  }
}
