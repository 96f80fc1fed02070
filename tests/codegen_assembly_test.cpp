#include <catch2/catch.hpp>

#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/kernel_builder.h"
#include "croton/graph/error.h"

using namespace croton;

namespace {

Kernel chain() {
  KernelBuilder b("chain");
  const Buffer x = b.input("x", DType::float32, 4096), y = b.output("y", DType::float32, 4096);
  b.parallel(
      "i", 4096,
      [&](Index i) {
        const ScalarValue v = b.load(x, i);
        b.store(y, i, b.emit(ScalarOp::exp, b.emit(ScalarOp::add, b.emit(ScalarOp::mul, v, v), v)));
      },
      vectorize);
  return b.build();
}

std::string assembly_for(const char* cpu) {
  CompileOptions options;
  options.target.cpu = cpu;
  return dump(chain(), options).assembly;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("vector instructions of the target", "[codegen][assembly]") {
  const std::string avx512 = assembly_for("znver4"), avx2 = assembly_for("haswell"),
                    plain = assembly_for("x86-64");
  CHECK(has(avx512, "vfmadd213ps"));
  CHECK(has(avx512, "%zmm"));
  CHECK(has(avx512, "vscalefps"));
  CHECK(has(avx2, "vfmadd213ps"));
  CHECK(has(avx2, "%ymm"));
  CHECK_FALSE(has(avx2, "%zmm"));
  CHECK(has(plain, "mulps"));
  CHECK_FALSE(has(plain, "%ymm"));
  CompileOptions narrow;
  narrow.target.cpu = "znver4";
  narrow.target.vector_bytes = 32;
  CHECK_FALSE(has(dump(chain(), narrow).assembly, "%zmm"));
  // Intel's AVX-512 cpus would rather not by default: the kernel decides.
  CHECK(has(assembly_for("skylake-avx512"), "%zmm"));
}

TEST_CASE("the texts of a kernel", "[codegen][assembly]") {
  const KernelSource source = dump(chain());
  CHECK(source.loop_ir == to_text(chain()));
  CHECK(has(source.llvm_ir, "define void @chain_0(ptr"));
  CHECK(has(source.assembly, "chain_0:"));
  CHECK(has(describe_target(), "LLVM "));
}

TEST_CASE("prefetches are instructions", "[codegen][assembly]") {
  KernelBuilder b("ahead");
  const Buffer x = b.input("x", DType::float32, 64);
  const Buffer y = b.output("y", DType::float32, 64);
  b.parallel("i", 64, [&](Index i) {
    b.prefetch(x, i + 1024);
    b.prefetch(y, i + 1024);
    b.store(y, i, b.load(x, i));
  });
  CompileOptions options;
  options.target.cpu = "znver4";
  const std::string assembly = dump(b.build(), options).assembly;
  CHECK(has(assembly, "prefetcht0"));
  CHECK(has(assembly, "prefetchw"));
}

TEST_CASE("an unknown cpu is refused", "[codegen][assembly]") {
  CompileOptions options;
  options.target.cpu = "abacus";
  CHECK_THROWS_AS(compile(chain(), options), ValueError);
  options.target.cpu = "";
  options.target.features = "+avx2,+beads";
  CHECK_THROWS_WITH(compile(chain(), options), Catch::Contains("'+beads'"));
}
