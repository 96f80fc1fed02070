#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "codegen_random.h"
#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/kernel_builder.h"
#include "croton/codegen/loop_interpreter.h"

using namespace croton;
using namespace croton::test;

namespace {

constexpr DType dtypes[] = {DType::bool_,    DType::int8,    DType::int16,  DType::int32,  DType::int64,
                            DType::uint8,    DType::uint16,  DType::uint32, DType::uint64, DType::float16,
                            DType::bfloat16, DType::float32, DType::float64};

constexpr const char* feature_sets[] = {"", "-avx512f", "-avx"};

CompileOptions with_features(const char* features) {
  CompileOptions options;
  options.target.features = features;
  return options;
}

/// Compiles and interprets, with buffers between pages that trap, and compares.
void check(const Kernel& kernel, const CompileOptions& options, unsigned seed = 1) {
  const auto compiled = compile(kernel, options);
  for (const bool at_end : {false, true}) {
    std::mt19937 random(seed);
    GuardedBuffers expected(kernel, at_end), got(kernel, at_end);
    for (std::size_t i = 0; i < kernel.buffers.size(); ++i) {
      fill_random(kernel.buffers[i], expected.as<char>(i), random, true);
      std::memcpy(got.as<char>(i), expected.as<char>(i), expected.bytes(i));
    }
    interpret(kernel, expected.pointers());
    compiled->run(ThreadPool::instance(), got.pointers());
    for (std::size_t i = 0; i < kernel.buffers.size(); ++i) {
      INFO(to_text(kernel) << "buffer " << kernel.buffers[i].name);
      REQUIRE(same_contents(kernel.buffers[i], expected.as<char>(i), got.as<char>(i)));
    }
  }
}

}  // namespace

TEST_CASE("tails of every length and dtype", "[codegen][emission]") {
  for (const char* features : feature_sets) {
    for (const DType dtype : dtypes) {
      for (std::int64_t n = 0; n <= 70; n += features[0] == 0 && size_of(dtype) != 8 ? 1 : 9) {
        KernelBuilder b("tail");
        const Buffer x = b.input("x", dtype, n), y = b.output("y", dtype, n),
                     reversed = b.output("reversed", dtype, n);
        const Buffer total = b.output("total", DType::int64, 1);
        b.once([&] {
          const Local sum = b.local("sum", b.integer_constant(0, DType::int64));
          b.loop("i", 0, n, vectorize, [&](Index i) {
            const ScalarValue v = b.load(x, i);
            b.store(y, i, b.emit(ScalarOp::max, v, b.constant(1, v.dtype)));
            b.store(reversed, n - 1 - i, v);
            b.reduce(ScalarOp::add, sum, b.value_of(i, DType::int64));
          });
          b.store(total, 0, b.get(sum));
        });
        check(b.build(), with_features(features));
      }
    }
  }
}

TEST_CASE("a vector phase is cut anywhere", "[codegen][emission]") {
  const std::int64_t n = 150;
  KernelBuilder b("cut");
  const Buffer x = b.input("x", DType::float32, n), y = b.output("y", DType::float32, n);
  b.parallel("i", n, [&](Index i) { b.store(y, i, b.emit(ScalarOp::tanh, b.load(x, i))); }, vectorize);
  const auto kernel = compile(b.build());
  std::vector<float> in(n), whole(n), parts(n, -7.0f);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i) * 0.05f - 3;
  void* buffers[] = {in.data(), whole.data()};
  kernel->run(ThreadPool::instance(), buffers);
  buffers[1] = parts.data();
  std::int64_t begin = 0;
  for (std::int64_t length = 0; begin < n; ++length) {
    const std::int64_t end = std::min(begin + length, n);
    kernel->phases()[0].function(buffers, begin, end, 0);
    if (end < n) CHECK(parts[static_cast<std::size_t>(end)] == -7.0f);
    begin = end;
  }
  CHECK(parts == whole);
}

TEST_CASE("accesses with every stride", "[codegen][emission]") {
  for (const char* features : feature_sets) {
    for (const DType dtype : {DType::float32, DType::uint8, DType::float64, DType::float16}) {
      for (const std::int64_t stride : {-4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 17}) {
        for (const std::int64_t n : {1, 5, 37, 64}) {
          const std::int64_t span = (n - 1) * std::abs(stride) + 1, first = stride < 0 ? span - 1 : 0;
          KernelBuilder b("strided");
          const Buffer x = b.input("x", dtype, span), y = b.output("y", dtype, n),
                       z = b.output("z", dtype, span);
          const Buffer index = b.input("index", DType::int32, n);
          b.parallel("r", 1, [&](Index) {
            b.loop("i", 0, n, vectorize, [&](Index i) {
              b.store(y, i, b.load(x, first + stride * i));
              if (stride != 0) b.store(z, first + stride * i, b.load(x, first + stride * i));
              const ScalarValue which = b.load(index, i);
              const ScalarValue number = b.constant(static_cast<double>(span), DType::int32);
              const Index at = b.index_of(b.emit(ScalarOp::floor_mod, which, number));
              b.store(y, i, b.emit(ScalarOp::max, b.load(y, i), b.load(x, at)));
            });
          });
          check(b.build(), with_features(features));
        }
      }
    }
  }
}

TEST_CASE("masked accesses touch nothing where the mask is false", "[codegen][emission]") {
  for (const char* features : feature_sets) {
    for (const DType dtype : {DType::float32, DType::int8, DType::float64, DType::bfloat16}) {
      for (const std::int64_t n : {3, 16, 45}) {
        const std::int64_t padding = 5;
        KernelBuilder b("padded");
        const Buffer x = b.input("x", dtype, n), y = b.output("y", dtype, n + 2 * padding),
                     z = b.output("z", dtype, n);
        b.parallel(
            "i", n + 2 * padding,
            [&](Index i) {
              const ScalarValue is_inside = b.emit(ScalarOp::bit_and, b.compare(ScalarOp::ge, i, padding),
                                                   b.compare(ScalarOp::lt, i, n + padding));
              const ScalarValue v = b.load(x, i - padding, is_inside, b.constant(9, DType::float32));
              b.store(y, i, v);
              b.store(z, i - padding, v, is_inside);
              b.branch(is_inside, [&] { b.store(z, i - padding, b.load(x, n - 1 - (i - padding))); });
            },
            vectorize);
        check(b.build(), with_features(features));
      }
    }
  }
}

TEST_CASE("reductions of every operation", "[codegen][emission]") {
  for (const char* features : feature_sets) {
    for (const DType dtype : {DType::int32, DType::uint8, DType::int64, DType::bool_, DType::float32}) {
      for (const std::int64_t n : {0, 1, 15, 64, 333}) {
        for (const ScalarOp op : {ScalarOp::add, ScalarOp::mul, ScalarOp::min, ScalarOp::max,
                                  ScalarOp::bit_and, ScalarOp::bit_or, ScalarOp::bit_xor}) {
          if (is_floating(dtype) && op != ScalarOp::min && op != ScalarOp::max) continue;
          KernelBuilder b("reduce");
          const Buffer x = b.input("x", dtype, n), y = b.output("y", dtype, 1);
          b.once([&] {
            const Local result = b.local("result", b.constant(3, dtype));
            b.loop("i", 0, n, vectorize, [&](Index i) { b.reduce(op, result, b.load(x, i)); });
            b.store(y, 0, b.get(result));
          });
          check(b.build(), with_features(features));
        }
      }
    }
  }
}

TEST_CASE("sums have the same bits whenever they are computed", "[codegen][emission]") {
  const std::int64_t n = 100003, parts = 16, share = (n + parts - 1) / parts;
  KernelBuilder b("sum");
  const Buffer x = b.input("x", DType::float32, n), y = b.output("y", DType::float32, 1);
  const Buffer partial = b.scratch("partial", DType::float32, parts);
  b.parallel(
      "p", parts,
      [&](Index p) {
        const Local sum = b.local("sum", b.constant(0, DType::float32));
        b.loop("i", p * share, min((p + 1) * share, n), vectorize,
               [&](Index i) { b.reduce(ScalarOp::add, sum, b.load(x, i)); });
        b.store(partial, p, b.get(sum));
      },
      serial, 1);
  b.once([&] {
    const Local sum = b.local("sum", b.constant(0, DType::float32));
    b.loop("p", 0, parts, [&](Index p) { b.reduce(ScalarOp::add, sum, b.load(partial, p)); });
    b.store(y, 0, b.get(sum));
  });
  const auto kernel = compile(b.build());
  REQUIRE(kernel->scratch().size() == 1);
  CHECK(kernel->scratch()[0].buffer == 2);
  CHECK(kernel->scratch()[0].bytes == parts * 4);
  std::vector<float> in(n), scratch(parts);
  double exact = 0;
  for (std::size_t i = 0; i < in.size(); ++i)
    exact += in[i] = static_cast<float>(std::sin(static_cast<double>(i)));
  float first = 0;
  for (const int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    for (int repeat = 0; repeat < 20; ++repeat) {
      float result = 0;
      void* buffers[] = {in.data(), &result, scratch.data()};
      kernel->run(pool, buffers);
      if (threads == 1 && repeat == 0) first = result;
      CHECK(std::memcmp(&first, &result, sizeof result) == 0);
    }
  }
  CHECK(first == Approx(exact).margin(1e-3));
}

TEST_CASE("the extreme and where it is first", "[codegen][emission]") {
  for (const char* features : feature_sets) {
    for (const DType dtype : {DType::float32, DType::int16, DType::float64}) {
      for (const ScalarOp op : {ScalarOp::min, ScalarOp::max}) {
        for (const std::int64_t n : {1, 7, 31, 64, 130}) {
          KernelBuilder b("arg");
          const Buffer x = b.input("x", dtype, n), y = b.output("y", dtype, 1),
                       where = b.output("where", DType::int64, 1);
          const Buffer y2 = b.output("y2", dtype, n), where2 = b.output("where2", DType::int64, n);
          b.once([&] {
            const Local extreme = b.local("extreme", b.load(x, 0));
            const Local at = b.local("at", b.integer_constant(0, DType::int64));
            b.loop("i", 0, n, vectorize, [&](Index i) {
              b.reduce_arg(op, extreme, at, b.load(x, i), b.value_of(i, DType::int64));
            });
            b.store(y, 0, b.get(extreme));
            b.store(where, 0, b.get(at));
            b.loop("i", 0, n, vectorize, [&](Index i) {  // a pooling window a lane
              const Local best = b.local("best", b.load(x, i));
              const Local best_at = b.local("best_at", b.value_of(i, DType::int64));
              b.loop("k", 0, 3, [&](Index k) {
                const Index j = min(i + k, n - 1);
                b.reduce_arg(op, best, best_at, b.load(x, j), b.value_of(j, DType::int64));
              });
              b.store(y2, i, b.get(best));
              b.store(where2, i, b.get(best_at));
            });
          });
          check(b.build(), with_features(features), static_cast<unsigned>(n));
        }
      }
    }
  }
}

TEST_CASE("a matrix product with accumulators in registers", "[codegen][emission]") {
  const std::int64_t rows = 7, inner = 13, columns = 40, tile = 3;
  for (const int vectors : {0, 1, 2, 3}) {
    KernelBuilder b("product");
    const Buffer a = b.input("a", DType::float32, rows * inner),
                 c = b.input("c", DType::float32, inner * columns);
    const Buffer y = b.output("y", DType::float32, rows * columns);
    b.parallel("t", (rows + tile - 1) / tile, [&](Index t) {
      b.loop("j", 0, columns, vectorize.by(vectors), [&](Index j) {
        std::vector<Local> sums;
        for (int r = 0; r < tile; ++r) sums.push_back(b.local("sum", b.constant(0, DType::float32)));
        b.loop("k", 0, inner, [&](Index k) {
          const ScalarValue right = b.load(c, k * columns + j);
          for (int r = 0; r < tile; ++r) {
            const ScalarValue left = b.load(a, min(t * tile + r, rows - 1) * inner + k);
            b.reduce(ScalarOp::add, sums[static_cast<std::size_t>(r)], b.emit(ScalarOp::mul, left, right));
          }
        });
        for (int r = 0; r < tile; ++r) {
          b.store(y, min(t * tile + r, rows - 1) * columns + j, b.get(sums[static_cast<std::size_t>(r)]));
        }
      });
    });
    check(b.build(), {});
    // Without the fused instruction products are rounded by themselves, so only fixed numbers compare.
  }
}

TEST_CASE("tiles are transposed", "[codegen][emission]") {
  for (const char* features : feature_sets) {
    for (const DType dtype : {DType::float32, DType::float64, DType::uint8, DType::int16}) {
      for (const std::int64_t rows : {1, 2, 5, 16}) {
        for (const std::int64_t columns : {1, 3, 8, 16}) {
          KernelBuilder b("transpose");
          const Buffer x = b.input("x", dtype, rows * columns), y = b.output("y", dtype, rows * columns);
          b.parallel("once", 1, [&](Index) { b.transpose_tile(y, 0, rows, x, 0, columns, rows, columns); });
          check(b.build(), with_features(features));
        }
      }
    }
  }
}

TEST_CASE("arrays on the stack", "[codegen][emission]") {
  for (const DType dtype : {DType::float32, DType::float16, DType::bool_, DType::int64}) {
    KernelBuilder b("array");
    const Buffer x = b.input("x", dtype, 60), y = b.output("y", dtype, 60);
    b.parallel("r", 3, [&](Index r) {
      const LocalArray tile = b.array("tile", dtype, 20);
      b.loop("i", 0, 20, vectorize, [&](Index i) { b.store(tile, 19 - i, b.load(x, r * 20 + i)); });
      b.loop("i", 0, 20, vectorize, [&](Index i) { b.store(y, r * 20 + i, b.load(tile, mod(i * 7, 20))); });
    });
    check(b.build(), {});
  }
}

TEST_CASE("buffers that overlap are read and written in order", "[codegen][emission]") {
  const std::int64_t n = 40;
  KernelBuilder b("overlap");
  const Buffer x = b.input("x", DType::int32, n), y = b.output("y", DType::int32, n);
  b.set_may_alias(x);
  b.set_may_alias(y);
  b.once([&] {
    b.loop("i", 0, n,
           [&](Index i) { b.store(y, i, b.emit(ScalarOp::add, b.load(x, i), b.load(x, n - 1 - i))); });
  });
  const Kernel kernel = b.build();
  std::vector<std::int32_t> expected(n + 1), got(n + 1);
  for (std::size_t i = 0; i < got.size(); ++i) expected[i] = got[i] = static_cast<std::int32_t>(i);
  void* expected_buffers[] = {expected.data(), expected.data() + 1};
  interpret(kernel, expected_buffers);
  void* got_buffers[] = {got.data(), got.data() + 1};
  compile(kernel)->run(ThreadPool::instance(), got_buffers);
  CHECK(got == expected);
}

TEST_CASE("products are added in one rounding", "[codegen][emission]") {
  const std::int64_t n = 19;
  KernelBuilder b("contract");
  const Buffer x = b.input("x", DType::float32, n), y = b.output("y", DType::float32, n),
               z = b.output("z", DType::float32, n);
  b.parallel(
      "i", n,
      [&](Index i) {
        const ScalarValue v = b.load(x, i);
        b.store(y, i, b.emit(ScalarOp::sub, v, b.emit(ScalarOp::mul, v, v)));
        const ScalarValue shared = b.emit(ScalarOp::mul, v, b.constant(3, DType::float32));
        b.store(
            z, i,
            b.emit(ScalarOp::add, shared, b.emit(ScalarOp::abs, shared)));  // used twice: rounded by itself
      },
      vectorize);
  check(b.build(), {});
}

TEST_CASE("two reductions of one local by different operations are refused", "[codegen][emission]") {
  KernelBuilder b("two");
  const Buffer x = b.input("x", DType::int32, 40), y = b.output("y", DType::int32, 1);
  b.once([&] {
    const Local result = b.local("result", b.integer_constant(0, DType::int32));
    b.loop("i", 0, 40, vectorize, [&](Index i) {
      b.reduce(ScalarOp::add, result, b.load(x, i));
      b.reduce(ScalarOp::max, result, b.load(x, i));
    });
    b.store(y, 0, b.get(result));
  });
  CHECK_THROWS_WITH(compile(b.build()), Catch::Contains("'result' by two operations"));
}
