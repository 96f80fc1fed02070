#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>

#include "croton/croton.h"

using namespace croton;

#if !defined(CROTON_SANITIZED)
namespace {
std::atomic<long> allocations{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory =
      alignment > alignof(std::max_align_t) ? std::aligned_alloc(alignment, rounded) : std::malloc(bytes + 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

// The library's allocations go through these too: they are found in the executable first.
void* operator new(std::size_t bytes) { return counted(bytes, 1); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  try {
    return counted(bytes, static_cast<std::size_t>(alignment));
  } catch (...) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

template <class Action>
long allocations_of(const Action& action) {
  for (int i = 0; i < 3; ++i) action();
  const long before = allocations.load();
  for (int i = 0; i < 100; ++i) action();
  return allocations.load() - before;
}

}  // namespace

TEST_CASE("a call in the steady state allocates nothing", "[runtime][memory][cpu]") {
  REQUIRE(allocations_of([] { Tensor::ones({3}); }) >= 100);  // the library's are counted
  const Variable x = matrix("x"), y = ivector("y"), index = lscalar("index");
  const Tensor images = Tensor::ones({20, 8}), labels = Tensor::zeros({20}, DType::int32);

  SECTION("a scalar") {
    const Variable s = scalar("s");
    const Function f = function({s}, s + 1);
    const Tensor a(2.f);
    CHECK(allocations_of([&] { f(a); }) == 0);
    CHECK(allocations_of([&] { f({{"s", a}}); }) == 0);
  }
  SECTION("training") {
    SharedVariable w = shared(Tensor::ones({8, 4}), "w"), b = shared(Tensor::zeros({4}), "b");
    const Variable p = softmax(dot(x, w) + b);
    const Variable loss = mean(categorical_crossentropy(p, y));
    const auto g = grad(loss, {w, b});
    const Function f = function({x, y}, {loss, p}, {.updates = {{w, w - 0.1 * g[0]}, {b, b - 0.1 * g[1]}}});
    CHECK(allocations_of([&] { f(images, labels); }) == 0);
  }
  SECTION("batches of shared data by a run-time index") {
    const SharedVariable data = shared(images, "data");
    const Function f = function({index}, sum(x), {.givens = {{x, data(slice(index * 5, (index + 1) * 5))}}});
    const Tensor at[] = {Tensor(0), Tensor(1), Tensor(2), Tensor(3)};
    int i = 0;
    CHECK(allocations_of([&] { f(at[++i % 4]); }) == 0);
  }
  SECTION("an update that swaps blocks") {
    SharedVariable a = shared(Tensor{1.f, 2.f}, "a"), b = shared(Tensor{3.f, 4.f}, "b");
    const Function f = function({}, a * b, {.updates = {{a, b}, {b, a}}});
    CHECK(allocations_of([&] { f(); }) == 0);
  }
  SECTION("two shapes in turn") {
    const Function f = function({x}, tanh(x));
    const Tensor other = Tensor::ones({3, 5});
    CHECK(allocations_of([&] {
            f(images);
            f(other);
          }) == 0);
  }
  SECTION("results that are kept for a while") {
    const Function f = function({x}, {x + 1, x * 2});
    Outputs kept;
    CHECK(allocations_of([&] { kept = f(images); }) == 0);
  }
}
#endif

TEST_CASE("results own their memory", "[runtime][memory]") {
  const Variable x = vector("x");
  const Function f = function({x}, {x + 1, x});
  const Tensor a{1.f, 2.f};

  SECTION("a kept result is not overwritten") {
    std::vector<Tensor> kept;
    for (int i = 0; i < 50; ++i) {
      const Tensor argument = Tensor{1.f * i, 2.f * i};
      kept.push_back(f(argument)[0]);
    }
    for (int i = 0; i < 50; ++i)
      CHECK(equal(kept[static_cast<std::size_t>(i)], Tensor{i + 1.f, 2.f * i + 1}));
  }
  SECTION("a dropped result's memory is used again") {
    const void* first = f(a)[0].raw_data();
    CHECK(f(a)[0].raw_data() == first);
    const Tensor kept = f(a)[0];
    CHECK(kept.raw_data() == first);
    CHECK(f(a)[0].raw_data() != first);
  }
  SECTION("results outlive the function") {
    Tensor result;
    Outputs all;
    {
      const Function g = function({x}, {x * 3, x * 4});
      all = g(a);
      result = g(a)[1];
    }
    CHECK(equal(result, Tensor{4.f, 8.f}));
    CHECK(equal(all[0], Tensor{3.f, 6.f}));
  }
  SECTION("results do not share memory with arguments, constants, shared variables") {
    SharedVariable s = shared(Tensor{5.f, 6.f}, "s");
    const Function g = function({x}, {x, s, constant(Tensor{7.f, 8.f})});
    for (const Tensor& result : g(a)) result.fill(0.f);
    CHECK(equal(a, Tensor{1.f, 2.f}));
    CHECK(equal(s.get_value(), Tensor{5.f, 6.f}));
    CHECK(equal(g(a)[2], Tensor{7.f, 8.f}));
  }
  SECTION("a borrowed value of a shared variable stays as it was") {
    SharedVariable s = shared(Tensor{5.f, 6.f}, "s");
    const Function g = function({}, {}, {.updates = {{s, s * 2}}});
    g();
    const Tensor borrowed = s.get_value(true);
    const void* before = borrowed.raw_data();
    g();
    CHECK(equal(borrowed, Tensor{10.f, 12.f}));
    CHECK(equal(s.get_value(), Tensor{20.f, 24.f}));
    CHECK(s.get_value(true).raw_data() != before);
  }
  SECTION("an argument may be a result") {
    const Function g = function({x}, x * 2);
    Tensor value = a;
    for (int i = 0; i < 10; ++i) value = g(value);
    CHECK(equal(value, Tensor{1024.f, 2048.f}));
  }
}

TEST_CASE("an update is computed over the old value", "[runtime][memory]") {
  SharedVariable w = shared(Tensor::ones({16, 4}), "w");
  const Variable x = matrix("x");
  const Function f = function({x}, {}, {.updates = {{w, w - 0.5 * x}}});
  f(Tensor::ones({16, 4}));
  const void* place = w.cell()->value().raw_data();
  f(Tensor::ones({16, 4}));
  CHECK(w.cell()->value().raw_data() == place);
  CHECK(equal(w.get_value(), Tensor::full({16, 4}, 0.f)));
  CHECK_THAT(f.plan_text(), Catch::Contains("0 for results"));
}
