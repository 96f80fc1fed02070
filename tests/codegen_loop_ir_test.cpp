#include <catch2/catch.hpp>
#include <limits>

#include "croton/codegen/kernel_builder.h"
#include "croton/codegen/loop_interpreter.h"
#include "croton/graph/error.h"

using namespace croton;

TEST_CASE("a kernel prints", "[codegen][loop_ir]") {
  KernelBuilder b("softmax_rows");
  const Buffer x = b.input("x", DType::float32, 1024);
  const Buffer y = b.output("y", DType::float32, 1024);
  b.parallel("r", 32, [&](Index r) {
    const Local largest =
        b.local("largest", b.constant(-std::numeric_limits<double>::infinity(), DType::float32));
    b.loop("j", 0, 32, vectorize, [&](Index j) { b.reduce(ScalarOp::max, largest, b.load(x, r * 32 + j)); });
    const ScalarValue m = b.get(largest);
    b.loop("j", 0, 32, vectorize.by(2), [&](Index j) {
      b.store(y, r * 32 + j, b.emit(ScalarOp::exp, b.emit(ScalarOp::sub, b.load(x, r * 32 + j), m)));
    });
  });
  CHECK(to_text(b.build()) == R"(kernel softmax_rows(x: float32[1024] in, y: float32[1024] out) {
  parallel r in 0..32 {
    local largest: float32 = -inf:f32
    for j in 0..32 vectorize {
      %0 = load x[32*r + j]
      largest max= %0
    }
    %1 = largest
    for j_1 in 0..32 vectorize(2) {
      %2 = load x[32*r + j_1]
      %3 = sub %2, %1
      %4 = exp %3
      store y[32*r + j_1], %4
    }
  }
}
)");
}

TEST_CASE("every kind of statement prints", "[codegen][loop_ir]") {
  KernelBuilder b("all");
  const Buffer x = b.input("x", DType::float16, -1);
  const Buffer n = b.input("n", DType::int64, 1);
  const Buffer y = b.inout("y", DType::int32, 64);
  b.set_may_alias(y);
  const Buffer s = b.scratch("s", DType::float64, 8);
  b.parallel("i", 8, [&](Index i) { b.store(s, i, b.constant(0.5, DType::float64)); }, vectorize, 4);
  b.once([&] {
    const LocalArray tile = b.array("tile", DType::int32, 16);
    const Index offset = b.index_of(b.load(n, 0));
    b.loop("k", 0, 16, unroll, [&](Index k) { b.store(tile, k, b.value_of(k * k, DType::int32)); });
    const Local best = b.local("best", b.integer_constant(-1, DType::int32));
    const Local where = b.local("where", b.integer_constant(0, DType::int64));
    b.loop("k", 0, 16, [&](Index k) {
      const ScalarValue v = b.load(tile, k);
      b.reduce_arg(ScalarOp::max, best, where, v, b.value_of(k, DType::int64));
      const ScalarValue is_low = b.compare(ScalarOp::lt, k + offset, 9);
      b.branch(
          is_low,
          [&] { b.store(y, k, b.load(x, k + offset, is_low, b.constant(1, DType::float32)), is_low); },
          [&] { b.set(best, b.get(best)); });
      b.store(y, b.select(is_low, k, 2 * k) % 5, v);
    });
    b.transpose_tile(y, 32, 4, y, 0, 4, 4, 3);
    b.prefetch(y, offset + 512);
    b.loop(
        "t", b.worker(), min(offset, 12), serial, [&](Index t) { b.store(y, floor_div(t, 7), b.get(best)); },
        2);
  });
  CHECK(to_text(b.build()) ==
        R"(kernel all(x: float16[?] in, n: int64[1] in, y: int32[64] inout may_alias, s: float64[8] scratch) {
  array tile: int32[16]
  parallel i in 0..8 vectorize grain 4 {
    store s[i], 0.5:f64
  }
  once {
    %0 = load n[0]
    for k in 0..16 unroll {
      %1 = index k*k
      %2 = cast %1 to int32
      store tile[k], %2
    }
    local best: int32 = -1:i32
    local where: int64 = 0:i64
    for k_1 in 0..16 {
      %3 = load tile[k_1]
      %4 = index k_1
      best, where argmax= %3, %4
      %5 = lt %0 + k_1, 9
      if %5 {
        %6 = load x[%0 + k_1] if %5 else 1:f32
        %7 = cast %6 to int32
        store y[k_1], %7 if %5
      } else {
        %8 = best
        best = %8
      }
      store y[(select(%5, k_1, 2*k_1)%5)], %3
    }
    transpose y[32] stride 4, y[0] stride 4, 4x3
    prefetch y[%0 + 512]
    for t in worker..min(%0, 12) step 2 {
      %9 = best
      store y[t/7], %9
    }
  }
}
)");
}

TEST_CASE("index expressions fold", "[codegen][loop_ir]") {
  KernelBuilder b("fold");
  b.parallel("i", 10, [&](Index i) {
    b.loop("j", 0, 4, [&](Index j) {
      CHECK(((i * 4 + j) / 4).id() == i.id());
      CHECK(((i * 4 + j) % 4).id() == j.id());
      CHECK((i * 4 + j - i * 4).id() == j.id());
      CHECK(((i + 1) * 3 - 3).id() == (3 * i).id());
      CHECK((i - i).is_constant());
      CHECK((i * 0).constant() == 0);
      CHECK(min(j, Index(3)).id() == j.id());
      CHECK(max(i, Index(9)).constant() == 9);
      CHECK(floor_div(j * 0 - 7, 2).constant() == -4);
      CHECK(((i * 8 + 5) % 8).constant() == 5);
      CHECK((i * 3 + j).low() == 0);
      CHECK((i * 3 + j).high() == 30);
      CHECK(((i * 3 + j) / 2).high() == 15);
      CHECK((j - i).low() == -9);
    });
    b.loop("one", 7, 8, [&](Index one) { CHECK(one.constant() == 7); });
  });
  CHECK(floor_div(Index(-7), Index(2)).constant() == -4);
  CHECK(mod(Index(-7), Index(2)).constant() == 1);
  CHECK_THROWS_AS(floor_div(Index(1), Index(0)), InternalError);
}

TEST_CASE("equal kernels have equal canonical texts", "[codegen][loop_ir]") {
  const auto make = [](const char* name, const char* buffer, ScalarOp op) {
    KernelBuilder b(name);
    const Buffer x = b.input(buffer, DType::float32, 8);
    const Buffer y = b.output("out", DType::float32, 8);
    b.parallel(buffer, 8, [&](Index i) { b.store(y, i, b.emit(op, b.load(x, i))); }, vectorize);
    return b.build();
  };
  const Kernel one = make("one", "x", ScalarOp::exp), two = make("two", "other", ScalarOp::exp);
  CHECK(to_text(one) != to_text(two));
  CHECK(canonical_text(one) == canonical_text(two));
  CHECK(canonical_text(one) != canonical_text(make("one", "x", ScalarOp::log)));
}

TEST_CASE("misuse of the builder is refused", "[codegen][loop_ir]") {
  KernelBuilder b("wrong");
  const Buffer x = b.input("x", DType::float32, 8);
  const ScalarValue f = b.constant(1, DType::float32), d = b.constant(1, DType::float64);
  CHECK_THROWS_WITH(b.load(x, 0),
                    Catch::Contains("outside every phase") && Catch::Contains("kernel 'wrong'"));
  b.begin_parallel("i", 8);
  CHECK_THROWS_WITH(b.begin_parallel("k", 8), Catch::Contains("inside another phase"));
  CHECK_THROWS_WITH(b.emit(ScalarOp::add, f, d), Catch::Contains("add of float32 and float64"));
  CHECK_THROWS_WITH(b.emit(ScalarOp::exp, b.integer_constant(1, DType::int32)),
                    Catch::Contains("does not take int32"));
  CHECK_THROWS_WITH(b.emit(ScalarOp::add, f), Catch::Contains("takes 2 operands"));
  const Local total = b.local("total", f);
  ScalarValue inner;
  b.loop("j", 0, 8, vectorize, [&](Index j) {
    inner = b.load(x, j);
    CHECK_THROWS_WITH(b.set(total, inner), Catch::Contains("use reduce"));
    b.reduce(ScalarOp::add, total, inner);
    CHECK_THROWS_WITH(b.get(total), Catch::Contains("reduces into it"));
  });
  CHECK_THROWS_WITH(b.store(x, 0, inner), Catch::Contains("block which has ended"));
  CHECK_THROWS_WITH(b.build(), Catch::Contains("was not ended"));
  b.end();
  CHECK_THROWS_WITH(b.end(), Catch::Contains("end without"));
  KernelBuilder other("other");
  const Index i = other.begin_parallel("i", 4);
  b.begin_parallel("k", 8);
  CHECK_THROWS_WITH(b.load(x, i), Catch::Contains("of another kernel"));
}

TEST_CASE("the interpreter names an access outside a buffer", "[codegen][loop_ir]") {
  KernelBuilder b("outside");
  const Buffer x = b.input("x", DType::float32, 8);
  const Buffer y = b.output("y", DType::float32, 8);
  b.parallel("i", 8, [&](Index i) { b.store(y, i, b.load(x, i + 1)); });
  const Kernel kernel = b.build();
  float in[8] = {}, out[8] = {};
  void* buffers[] = {in, out};
  CHECK_THROWS_WITH(interpret(kernel, buffers), Catch::Contains("element 8 of buffer 'x', which has 8"));
}
