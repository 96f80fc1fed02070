#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "croton/codegen/cuda_contraction.h"
#include "croton/codegen/cuda_emit.h"
#include "croton/codegen/kernel_builder.h"
#include "places.h"

// The CUDA code of a few kernels, to be read: tests/cuda_golden/NAME.cu.
// CROTON_UPDATE_GOLDEN=1 writes what comes out into the files instead; review it as a diff.

using namespace croton;

namespace {

void check_golden(const std::string& name, const Kernel& kernel) {
  const CudaSource source = emit_cuda(kernel, 132);
  std::string text;
  for (const CudaKernel::Phase& phase : source.phases) {
    text += "// " + phase.function + ": grid " + std::to_string(phase.grid) + ", block " +
            std::to_string(phase.block) + ", shared " + std::to_string(phase.shared_bytes) + "\n";
  }
  text += source.text;
  const std::string file = test::source_file("tests/cuda_golden/" + name + ".cu").string();
  if (std::getenv("CROTON_UPDATE_GOLDEN") != nullptr) std::ofstream(file) << text;
  std::ostringstream expected;
  expected << std::ifstream(file).rdbuf();
  INFO(file);
  CHECK(text == expected.str());
}

}  // namespace

TEST_CASE("golden: an elementwise phase reads and writes 16 bytes at a time", "[codegen][cuda][golden]") {
  constexpr std::int64_t n = 1 << 22;
  KernelBuilder b("scale");
  const Buffer x = b.input("x", DType::float32, n), y = b.output("y", DType::float32, n);
  b.parallel(
      "i", n,
      [&](Index i) {
        const ScalarValue v = b.load(x, i);
        b.store(y, i, b.emit(ScalarOp::add, b.emit(ScalarOp::mul, v, b.constant(2, DType::float32)), v));
      },
      vectorize);
  check_golden("scale", b.build());
}

TEST_CASE("golden: a group of threads sums a row", "[codegen][cuda][golden]") {
  KernelBuilder b("row_sums");
  const Buffer x = b.input("x", DType::float32, 4000 * 2048), y = b.output("y", DType::float32, 4000);
  b.parallel("r", 4000, [&](Index r) {
    const Local sum = b.local("sum", b.constant(0, DType::float32));
    b.loop("j", 0, 2048, vectorize, [&](Index j) { b.reduce(ScalarOp::add, sum, b.load(x, r * 2048 + j)); });
    b.store(y, r, b.get(sum));
  });
  check_golden("row_sums", b.build());
}

TEST_CASE("golden: an array that threads share needs barriers", "[codegen][cuda][golden]") {
  KernelBuilder b("reversed");
  const Buffer x = b.input("x", DType::int32, 90 * 77), y = b.output("y", DType::int32, 90 * 77);
  b.parallel("r", 90, [&](Index r) {
    const LocalArray row = b.array("row", DType::int32, 77);
    b.loop("j", 0, 77, vectorize, [&](Index j) { b.store(row, j, b.load(x, r * 77 + j)); });
    b.loop("j", 0, 77, vectorize, [&](Index j) { b.store(y, r * 77 + j, b.load(row, 76 - j)); });
  });
  check_golden("reversed", b.build());
}

TEST_CASE("golden: the block that ends last sums what all have summed", "[codegen][cuda][golden]") {
  KernelBuilder b("sum_all");
  const Buffer x = b.input("x", DType::float32, 512 * 8192), parts = b.scratch("parts", DType::float32, 512);
  const Buffer y = b.output("y", DType::float32, 1);
  b.parallel("c", 512, [&](Index c) {
    const Local sum = b.local("sum", b.constant(0, DType::float32));
    b.loop("j", 0, 8192, vectorize, [&](Index j) { b.reduce(ScalarOp::add, sum, b.load(x, c * 8192 + j)); });
    b.store(parts, c, b.get(sum));
  });
  b.once([&] {
    const Local sum = b.local("sum", b.constant(0, DType::float32));
    b.loop("c", 0, 512, vectorize, [&](Index c) { b.reduce(ScalarOp::add, sum, b.load(parts, c)); });
    b.store(y, 0, b.get(sum));
  });
  check_golden("sum_all", b.build());
}

TEST_CASE("golden: one block runs phases of little work", "[codegen][cuda][golden]") {
  KernelBuilder b("short_phases");
  const Buffer x = b.input("x", DType::float32, 300), y = b.output("y", DType::float32, 300);
  const Buffer z = b.output("z", DType::float32, 3);
  b.parallel("i", 300, [&](Index i) { b.store(y, i, b.emit(ScalarOp::tanh, b.load(x, i))); }, vectorize);
  b.parallel("r", 3, [&](Index r) {
    const Local sum = b.local("sum", b.constant(0, DType::float32));
    b.loop("j", 0, 100, vectorize, [&](Index j) { b.reduce(ScalarOp::add, sum, b.load(y, r * 100 + j)); });
    b.store(z, r, b.get(sum));
  });
  check_golden("short_phases", b.build());
}

TEST_CASE("golden: a part of a warp keeps a row longer than itself", "[codegen][cuda][golden]") {
  KernelBuilder b("kept_rows");
  const Buffer x = b.input("x", DType::float32, 60 * 10), y = b.scratch("y", DType::float32, 60 * 10);
  const Buffer z = b.output("z", DType::float32, 60 * 10);
  b.parallel("i", 600, [&](Index i) { b.store(y, i, b.emit(ScalarOp::tanh, b.load(x, i))); }, vectorize);
  b.parallel("r", 60, [&](Index r) {
    const LocalArray row = b.array("row", DType::float32, 10);
    const Local largest = b.local("largest", b.constant(0, DType::float32));
    b.loop("j", 0, 10, vectorize, [&](Index j) {
      const ScalarValue v = b.load(y, r * 10 + j);
      b.store(row, j, v);
      b.reduce(ScalarOp::max, largest, v);
    });
    b.loop("j", 0, 10, vectorize,
           [&](Index j) { b.store(z, r * 10 + j, b.emit(ScalarOp::sub, b.load(row, j), b.get(largest))); });
  });
  check_golden("kept_rows", b.build());
}

TEST_CASE("golden: pairs that a thread accesses may be taken as aligned", "[codegen][cuda][golden]") {
  KernelBuilder b("pairs");
  const Buffer x = b.input("x", DType::float32, 3000), y = b.output("y", DType::float32, 3000);
  b.parallel(
      "i", 1500,
      [&](Index i) {
        const ScalarValue first = b.load(x, 2 * i), second = b.load(x, 2 * i + 1);
        b.store(y, 2 * i, b.emit(ScalarOp::max, first, second));
        b.store(y, 2 * i + 1, b.emit(ScalarOp::min, first, second));
      },
      vectorize);
  check_golden("pairs", b.build());
}

TEST_CASE("golden: a tile is read and written 16 bytes at a time, and turned one by one",
          "[codegen][cuda][golden]") {
  KernelBuilder b("tile");
  const Buffer x = b.input("x", DType::float32, 400 * 4096), y = b.output("y", DType::float32, 400 * 4096);
  b.parallel("t", 400, [&](Index t) {
    const LocalArray tile = b.array("tile", DType::float32, 64 * 65);
    b.loop("e", 0, 4096, vectorize,
           [&](Index e) { b.store(tile, floor_div(e, 64) * 65 + mod(e, 64), b.load(x, t * 4096 + e)); });
    b.loop("e", 0, 4096, vectorize,
           [&](Index e) { b.store(y, t * 4096 + e, b.load(tile, mod(e, 64) * 65 + floor_div(e, 64))); });
  });
  check_golden("tile", b.build());
}

TEST_CASE("golden: a convolution as a product of matrices", "[codegen][cuda][golden][contraction]") {
  ConvProblem p;
  p.direction = ConvDirection::backward_inputs;
  p.batch = 64;
  p.channels = 128;
  p.filters = 96;
  p.image = {56, 56};
  p.kernel = {3, 3};
  p.out = {28, 28};
  p.pad_lo = p.pad_hi = {1, 1};
  p.stride = {2, 2};
  p.dilation = {1, 1};
  CudaContraction c = contraction_of(p, ContractionArithmetic::tf32x3).value();
  cut_contraction(c, {.multiprocessors = 132});
  Kernel kernel;
  kernel.name = "conv_backward_inputs";
  kernel.contraction = std::make_shared<const CudaContraction>(std::move(c));
  check_golden("conv_backward_inputs", kernel);
}
