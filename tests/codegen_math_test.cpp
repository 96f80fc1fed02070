#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/kernel_builder.h"
#include "croton/codegen/kernel_functions.h"
#include "random_cases.h"

using namespace croton;
using croton::test::random_cases;

namespace {

constexpr std::int64_t block = 1 << 15;

std::shared_ptr<const CompiledKernel> compile_op(ScalarOp op, DType dtype, const CompileOptions& options) {
  KernelBuilder b("op");
  const Buffer x = b.input("x", dtype, block);
  const Buffer y = arity_of(op) == 2 ? b.input("y", dtype, block) : x;
  const Buffer z = b.output("z", dtype, block);
  b.parallel(
      "i", block,
      [&](Index i) {
        const ScalarValue a = b.load(x, i);
        b.store(z, i, arity_of(op) == 2 ? b.emit(op, a, b.load(y, i)) : b.emit(op, a));
      },
      vectorize);
  return compile(b.build(), options);
}

/// The distance in units of the last place of a format with so many digits; wrong signs of zero, NaN where a
/// number is wanted, … are infinitely far. An overflow counts as 2^exponent.
double ulps(double got, long double wanted, int digits, int least_exponent, int exponent) {
  constexpr double far = std::numeric_limits<double>::infinity();
  if (std::isnan(wanted)) return std::isnan(got) ? 0 : far;
  if (std::isnan(got)) return far;
  const long double limit = std::ldexp(1.0L, exponent);
  const long double w = std::fabs(wanted) > limit ? std::copysign(limit, wanted) : wanted;
  const long double g = std::isinf(got) ? std::copysign(limit, static_cast<long double>(got)) : got;
  if (w == 0 && g == 0) return std::signbit(got) == std::signbit(wanted) ? 0 : far;
  int e = 0;
  std::frexp(w, &e);
  return static_cast<double>(std::fabs(g - w) / std::ldexp(1.0L, std::max(e, least_exponent) - digits));
}

double ulps32(float got, double wanted) { return ulps(got, wanted, 24, -125, 128); }
double ulps64(double got, long double wanted) { return ulps(got, wanted, 53, -1021, 1024); }

long double long_function(ScalarOp op, long double x) {
  switch (op) {
    case ScalarOp::exp:
      return std::exp(x);
    case ScalarOp::exp2:
      return std::exp2(x);
    case ScalarOp::expm1:
      return std::expm1(x);
    case ScalarOp::log:
      return std::log(x);
    case ScalarOp::log1p:
      return std::log1p(x);
    case ScalarOp::sin:
      return std::sin(x);
    case ScalarOp::cos:
      return std::cos(x);
    case ScalarOp::tan:
      return std::tan(x);
    case ScalarOp::tanh:
      return std::tanh(x);
    case ScalarOp::sigmoid: {
      const long double e = std::exp(-std::fabs(x));
      return x < 0 ? e / (1 + e) : 1 / (1 + e);
    }
    default:
      return std::isnan(x) ? x : std::fmax(x, 0.0L) + std::log1p(std::exp(-std::fabs(x)));
  }
}

struct Worst {
  double ulps = 0;
  double at = 0, other = 0;
  void note(double distance, double x, double y = 0) {
    if (distance > ulps) *this = {distance, x, y};
  }
};

constexpr double extremes[] = {0.0,   -0.0,   1.0,    -1.0,  0.5,    -0.5,   2.0,      -2.0,      3.0,
                               -3.0,  1e-45,  -1e-45, 1e-38, -1e-38, 3.4e38, -3.4e38,  88.0,      -88.0,
                               104.0, -104.0, 0.25,   1e10,  -1e10,  7.5,    INFINITY, -INFINITY, NAN};

/// Every `stride`-th float there is, and the extremes.
Worst sweep(ScalarOp op, std::uint64_t stride, const CompileOptions& options) {
  const auto kernel = compile_op(op, DType::float32, options);
  std::vector<float> x(block), z(block);
  Worst worst;
  for (std::uint64_t pattern = 0; pattern < (1ull << 32);) {
    std::size_t count = 0;
    if (pattern == 0) {
      for (const double extreme : extremes) x[count++] = static_cast<float>(extreme);
    }
    for (; count < x.size() && pattern < (1ull << 32); ++count, pattern += stride) {
      x[count] = std::bit_cast<float>(static_cast<std::uint32_t>(pattern));
    }
    void* buffers[] = {x.data(), z.data()};
    kernel->run(ThreadPool::instance(), buffers);
    for (std::size_t i = 0; i < count; ++i) worst.note(ulps32(z[i], scalar_function(op, x[i], 0)), x[i]);
  }
  return worst;
}

constexpr ScalarOp functions[] = {ScalarOp::exp,     ScalarOp::exp2,    ScalarOp::expm1,  ScalarOp::log,
                                  ScalarOp::log2,    ScalarOp::log10,   ScalarOp::log1p,  ScalarOp::sin,
                                  ScalarOp::cos,     ScalarOp::tan,     ScalarOp::asin,   ScalarOp::acos,
                                  ScalarOp::atan,    ScalarOp::sinh,    ScalarOp::cosh,   ScalarOp::tanh,
                                  ScalarOp::asinh,   ScalarOp::acosh,   ScalarOp::atanh,  ScalarOp::erf,
                                  ScalarOp::erfc,    ScalarOp::lgamma,  ScalarOp::tgamma, ScalarOp::digamma,
                                  ScalarOp::sigmoid, ScalarOp::softplus};

}  // namespace

TEST_CASE("functions of float32 are within 2 units of the last place", "[codegen][math]") {
  // Every function sees each exponent some ten thousand times; `croton_tests "[exhaustive]"` tries all
  // floats.
  const std::uint64_t stride = 32749 * static_cast<std::uint64_t>(300 / random_cases(300));
  for (const char* features : {"", "-avx512f"}) {
    CompileOptions options;
    options.target.features = features;
    for (const ScalarOp op : functions) {
      const Worst worst = sweep(op, stride, options);
      INFO(name_of(op) << " with features '" << features << "': " << worst.ulps << " ulp at " << worst.at);
      CHECK(worst.ulps <= 2);
    }
  }
}

TEST_CASE("functions of float32 on all floats", "[.][exhaustive]") {
  // Some minutes a function, and as many processes at once as there are processors: -c exp chooses one.
  for (const ScalarOp op : functions) {
    DYNAMIC_SECTION(name_of(op)) {
      const Worst worst = sweep(op, 1, {});
      WARN(name_of(op) << ": " << worst.ulps << " ulp at " << worst.at);
      CHECK(worst.ulps <= 2);
    }
  }
}

TEST_CASE("functions of float64 are within 3 units of the last place", "[codegen][math]") {
  std::mt19937_64 random(1);
  for (const ScalarOp op :
       {ScalarOp::exp, ScalarOp::exp2, ScalarOp::expm1, ScalarOp::log, ScalarOp::log1p, ScalarOp::sin,
        ScalarOp::cos, ScalarOp::tan, ScalarOp::tanh, ScalarOp::sigmoid, ScalarOp::softplus}) {
    const auto kernel = compile_op(op, DType::float64, {});
    Worst worst;
    for (int round = 0; round < 4; ++round) {
      std::vector<double> x(block), z(block);
      for (double& v : x) {
        // Any number, any exponent of moderate size, and what matters most.
        const std::uint64_t bits = random();
        if (round == 0) v = std::bit_cast<double>(bits);
        if (round == 1)
          v = std::ldexp(std::bit_cast<double>((bits >> 12) | 0x3ff0000000000000),
                         static_cast<int>(bits % 80) - 70);
        if (round >= 2) v = std::bit_cast<double>((bits >> 12) | 0x3ff0000000000000) * 40 - 60;
        if (round == 3) v /= 20;
      }
      std::copy(std::begin(extremes), std::end(extremes), x.begin());
      void* buffers[] = {x.data(), z.data()};
      kernel->run(ThreadPool::instance(), buffers);
      for (std::size_t i = 0; i < x.size(); ++i) worst.note(ulps64(z[i], long_function(op, x[i])), x[i]);
    }
    INFO(name_of(op) << ": " << worst.ulps << " ulp at " << worst.at);
    CHECK(worst.ulps <= 3);
  }
}

TEST_CASE("functions of two operands", "[codegen][math]") {
  std::mt19937_64 random(2);
  for (const ScalarOp op : {ScalarOp::pow, ScalarOp::atan2, ScalarOp::floor_div, ScalarOp::floor_mod}) {
    const auto kernel = compile_op(op, DType::float32, {});
    Worst worst;
    for (int round = 0; round < 6; ++round) {
      std::vector<float> x(block), y(block), z(block);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const std::uint64_t bits = random();
        x[i] = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
        y[i] = std::bit_cast<float>(static_cast<std::uint32_t>(bits >> 32));
        if (round == 0) continue;
        x[i] = std::ldexp(static_cast<float>(bits % 100003) / 50000, static_cast<int>(bits >> 60) - 8);
        y[i] = std::ldexp(static_cast<float>((bits >> 20) % 100003) / 50000 - 1,
                          static_cast<int>((bits >> 50) % 8));
        if (round == 2) y[i] = std::rint(y[i]), x[i] = -x[i];
      }
      std::size_t at = 0;
      for (const double a : extremes) {
        for (const double c : extremes) {
          x[at] = static_cast<float>(a);
          y[at++] = static_cast<float>(c);
        }
      }
      void* buffers[] = {x.data(), y.data(), z.data()};
      kernel->run(ThreadPool::instance(), buffers);
      for (std::size_t i = 0; i < x.size(); ++i)
        worst.note(ulps32(z[i], scalar_function(op, x[i], y[i])), x[i], y[i]);
    }
    INFO(name_of(op) << ": " << worst.ulps << " ulp at " << worst.at << ", " << worst.other);
    CHECK(worst.ulps <= 1);
  }
}

TEST_CASE("results do not depend on the lane that computes them", "[codegen][math]") {
  // A full vector, a tail and a single element take different code.
  for (const ScalarOp op : functions) {
    const auto run = [&](std::int64_t n, const float* in, float* out) {
      KernelBuilder b("op");
      const Buffer x = b.input("x", DType::float32, n), z = b.output("z", DType::float32, n);
      b.parallel("i", n, [&](Index i) { b.store(z, i, b.emit(op, b.load(x, i))); }, vectorize);
      void* buffers[] = {const_cast<float*>(in), out};
      compile(b.build())->run(ThreadPool::instance(), buffers);
    };
    std::vector<float> x(53), all(53), alone(53), few(53);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) * 0.37f - 6;
    run(53, x.data(), all.data());
    run(3, x.data(), few.data());
    run(1, x.data() + 52, alone.data() + 52);
    for (const std::size_t i : {0u, 1u, 2u}) {
      CHECK((all[i] == few[i] || std::isnan(all[i])));
    }
    CHECK((all[52] == alone[52] || std::isnan(all[52])));
  }
}
