#include <catch2/catch.hpp>
#include <limits>
#include <vector>

#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/kernel_builder.h"

using namespace croton;

TEST_CASE("softmax over rows, compiled and run", "[codegen][emission]") {
  const std::int64_t rows = 5, columns = 37;
  KernelBuilder b("softmax_rows");
  const Buffer x = b.input("x", DType::float32, rows * columns);
  const Buffer y = b.output("y", DType::float32, rows * columns);
  b.parallel("r", rows, [&](Index r) {
    const float lowest = -std::numeric_limits<float>::infinity();
    const Local largest = b.local("largest", b.constant(lowest, DType::float32));
    b.loop("j", 0, columns, vectorize,
           [&](Index j) { b.reduce(ScalarOp::max, largest, b.load(x, r * columns + j)); });
    const ScalarValue m = b.get(largest);
    const Local total = b.local("total", b.constant(0, DType::float32));
    b.loop("j", 0, columns, vectorize, [&](Index j) {
      const ScalarValue e = b.emit(ScalarOp::exp, b.emit(ScalarOp::sub, b.load(x, r * columns + j), m));
      b.store(y, r * columns + j, e);
      b.reduce(ScalarOp::add, total, e);
    });
    const ScalarValue sum = b.get(total);
    b.loop("j", 0, columns, vectorize, [&](Index j) {
      b.store(y, r * columns + j, b.emit(ScalarOp::div, b.load(y, r * columns + j), sum));
    });
  });
  const Kernel kernel = b.build();
  INFO(to_text(kernel));
  const auto compiled = compile(kernel);
  std::vector<float> in(rows * columns), out(rows * columns);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i % 11) - 3;
  void* buffers[] = {in.data(), out.data()};
  compiled->run(ThreadPool::instance(), buffers);
  for (std::int64_t r = 0; r < rows; ++r) {
    double total = 0;
    for (std::int64_t j = 0; j < columns; ++j)
      total += std::exp(in[static_cast<std::size_t>(r * columns + j)]);
    for (std::int64_t j = 0; j < columns; ++j) {
      const auto i = static_cast<std::size_t>(r * columns + j);
      CHECK(out[i] == Approx(std::exp(in[i]) / total).epsilon(1e-6));
    }
  }
}
