#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "codegen_random.h"
#include "croton/codegen/fuse_phases.h"
#include "croton/codegen/kernel_builder.h"
#include "croton/codegen/loop_interpreter.h"
#include "croton/codegen/merge_kernels.h"
#include "cuda_host.h"
#include "random_cases.h"

// Generated CUDA code, compiled for the host, against the loop interpreter.

using namespace croton;
using namespace croton::test;

namespace {

/// Bit for bit, or floating numbers up to the last places of exp and its kin.
bool agree(const BufferInfo& info, const char* a, const char* b, bool is_exact) {
  if (is_exact || info.dtype != DType::float32) return same_contents(info, a, b);
  for (std::int64_t i = 0; i < info.count; ++i) {
    float x, y;
    std::memcpy(&x, a + 4 * i, 4);
    std::memcpy(&y, b + 4 * i, 4);
    if (!(std::abs(x - y) <= 1e-6f + 1e-5f * std::abs(y)) && !(std::isnan(x) && std::isnan(y)) && x != y)
      return false;
  }
  return true;
}

void compare(const CudaOnHost& code, std::size_t i, const Kernel& kernel, bool with_specials, bool is_exact) {
  for (const bool at_end : {false, true}) {
    std::mt19937 random(static_cast<unsigned>(i));
    GuardedBuffers expected(kernel, at_end), got(kernel, at_end);
    for (std::size_t b = 0; b < kernel.buffers.size(); ++b) {
      fill_random(kernel.buffers[b], expected.as<char>(b), random, with_specials);
      std::memcpy(got.as<char>(b), expected.as<char>(b), expected.bytes(b));
    }
    interpret(kernel, expected.pointers());
    INFO("kernel " << i << "\n" << to_text(kernel) << code.source(i).text);
    code.run(i, got.pointers());
    for (std::size_t b = 0; b < kernel.buffers.size(); ++b) {
      INFO("buffer " << kernel.buffers[b].name);
      REQUIRE(agree(kernel.buffers[b], expected.as<char>(b), got.as<char>(b), is_exact));
    }
  }
}

/// As for a GPU of no multiprocessors, which makes wide accesses and narrow groups worth while at once, and
/// for a large one.
void compare_all(const std::vector<Kernel>& kernels, bool with_specials, bool is_exact) {
  if (!has_host_compiler()) return;
  for (const int multiprocessors : {0, 132}) {
    const CudaOnHost code(kernels, multiprocessors);
    for (std::size_t i = 0; i < kernels.size(); ++i) compare(code, i, kernels[i], with_specials, is_exact);
  }
}

/// softmax of rows that are kept in an array.
Kernel softmax_rows(std::int64_t rows, std::int64_t columns, DType dtype) {
  KernelBuilder b("softmax");
  const Buffer x = b.input("x", dtype, rows * columns), y = b.output("y", dtype, rows * columns);
  b.parallel("r", rows, [&](Index r) {
    const LocalArray row = b.array("row", DType::float32, columns);
    const Local largest =
        b.local("largest", b.constant(-std::numeric_limits<double>::infinity(), DType::float32));
    b.loop("j", 0, columns, vectorize, [&](Index j) {
      const ScalarValue v = b.load(x, r * Index(columns) + j);
      b.store(row, j, v);
      b.reduce(ScalarOp::max, largest, v);
    });
    const ScalarValue shift = b.get(largest);
    const Local total = b.local("total", b.constant(0, DType::float32));
    b.loop("j", 0, columns, vectorize, [&](Index j) {
      const ScalarValue e = b.emit(ScalarOp::exp, b.emit(ScalarOp::sub, b.load(row, j), shift));
      b.store(row, j, e);
      b.reduce(ScalarOp::add, total, e);
    });
    const ScalarValue sum = b.get(total);
    b.loop("j", 0, columns, vectorize,
           [&](Index j) { b.store(y, r * Index(columns) + j, b.emit(ScalarOp::div, b.load(row, j), sum)); });
  });
  return b.build();
}

/// Rows turned around through an array that all threads share, several times over.
Kernel reversed_rows(std::int64_t rows, std::int64_t columns, DType dtype) {
  KernelBuilder b("reversed");
  const Buffer x = b.input("x", dtype, rows * columns), y = b.output("y", dtype, rows * columns);
  const Buffer first = b.output("first", dtype, rows);
  b.parallel("r", rows, [&](Index r) {
    const LocalArray row = b.array("row", dtype, columns), turned = b.array("turned", dtype, columns);
    b.loop("j", 0, columns, vectorize, [&](Index j) { b.store(row, j, b.load(x, r * Index(columns) + j)); });
    b.loop("k", 0, 3, [&](Index) {
      b.loop("j", 0, columns, vectorize, [&](Index j) { b.store(turned, j, b.load(row, columns - 1 - j)); });
      b.loop("j", 0, columns, vectorize, [&](Index j) {
        b.store(row, j, b.emit(ScalarOp::max, b.load(turned, mod(j + Index(1), columns)), b.load(turned, j)));
      });
    });
    b.store(first, r, b.load(row, 0));
    b.loop("j", 0, columns, vectorize, [&](Index j) { b.store(y, r * Index(columns) + j, b.load(row, j)); });
  });
  return b.build();
}

/// Every reduction at once, from constant and from run-time bounds.
Kernel reductions(std::int64_t rows, std::int64_t columns, DType dtype) {
  KernelBuilder b("reductions");
  const Buffer x = b.input("x", dtype, rows * columns);
  const Buffer sums = b.output("sums", dtype, rows), extremes = b.output("extremes", dtype, 2 * rows);
  const Buffer where = b.output("where", DType::int64, rows), parts = b.output("parts", dtype, 4 * rows);
  const DType t = dtype == DType::float16 ? DType::float32 : dtype;
  b.parallel("r", rows, [&](Index r) {
    const ScalarValue zero = b.constant(0, t);
    const Local sum = b.local("sum", b.constant(1, t)), most = b.local("most", b.load(x, r * Index(columns)));
    const Local least = b.local("least", b.load(x, r * Index(columns)));
    const Local extreme = b.local("extreme", b.load(x, r * Index(columns)));
    const Local at = b.local("at", b.integer_constant(0, DType::int64));
    b.loop("j", 0, columns, vectorize, [&](Index j) {
      const ScalarValue v = b.load(x, r * Index(columns) + j);
      b.reduce(ScalarOp::add, sum, v);
      b.reduce(ScalarOp::max, most, v);
      b.reduce(ScalarOp::min, least, v);
      b.reduce_arg(ScalarOp::max, extreme, at, v, b.value_of(j, DType::int64));
    });
    b.store(sums, r, b.get(sum));
    b.store(extremes, r * Index(2), b.get(most));
    b.store(extremes, r * Index(2) + Index(1), b.get(least));
    b.store(where, r, b.get(at));
    const std::int64_t length = (columns + 3) / 4;
    b.loop("c", 0, 4, [&](Index c) {
      const Local part = b.local("part", zero);
      const Index begin = c * Index(length);
      b.loop("j", begin, min(begin + Index(length), columns), vectorize,
             [&](Index j) { b.reduce(ScalarOp::add, part, b.load(x, r * Index(columns) + j)); });
      b.store(parts, r * Index(4) + c, b.get(part));
    });
  });
  return b.build();
}

/// A broadcast sum over one flat phase: x[i, j] + y[j] with a transposed third operand.
Kernel broadcast(std::int64_t rows, std::int64_t columns, DType dtype) {
  KernelBuilder b("broadcast");
  const Buffer x = b.input("x", dtype, rows * columns), y = b.input("y", dtype, columns);
  const Buffer z = b.output("z", dtype, rows * columns), w = b.output("w", DType::float32, rows * columns);
  b.parallel(
      "i", rows * columns,
      [&](Index i) {
        const ScalarValue v = b.emit(ScalarOp::add, b.load(x, i), b.load(y, mod(i, columns)));
        b.store(z, i, v);
        b.store(w, i, b.cast(v, DType::float32));
      },
      vectorize);
  return b.build();
}

Kernel turned_tiles(std::int64_t rows, std::int64_t columns) {
  KernelBuilder b("tiles");
  const Buffer x = b.input("x", DType::int32, rows * columns),
               y = b.output("y", DType::int32, rows * columns);
  b.once([&] { b.transpose_tile(y, 0, rows, x, 0, columns, rows, columns); });
  return b.build();
}

/// Scratch memory of one worker at a time.
Kernel by_worker(std::int64_t n, bool has_lanes) {
  KernelBuilder b("worker");
  const Buffer x = b.input("x", DType::int32, n * 20), y = b.output("y", DType::int32, n * 20);
  const Buffer own = b.scratch("own", DType::int32, 20);
  b.parallel("r", n, [&](Index r) {
    const LoopMark mark = has_lanes ? vectorize : serial;
    b.loop("j", 0, 20, mark,
           [&](Index j) { b.store(own, b.worker() * Index(20) + j, b.load(x, r * Index(20) + 19 - j)); });
    b.loop("j", 0, 20, mark, [&](Index j) {
      b.store(y, r * Index(20) + j, b.load(own, b.worker() * Index(20) + mod(j * Index(3), 20)));
    });
  });
  return b.build();
}

}  // namespace

TEST_CASE("CUDA code of random kernels does what the interpreter does", "[codegen][cuda][random]") {
  std::vector<Kernel> kernels;
  for (int seed = 0; seed < random_cases(60); ++seed) {
    std::mt19937 random(static_cast<unsigned>(seed));
    kernels.push_back(random_kernel(random, true));
  }
  compare_all(kernels, /*with_specials=*/true, /*is_exact=*/true);
}

TEST_CASE("groups of threads, arrays and reductions in CUDA code", "[codegen][cuda]") {
  std::vector<Kernel> kernels;
  for (const std::int64_t columns : {1, 5, 8, 33, 64, 128, 300, 1024, 2052}) {
    kernels.push_back(softmax_rows(3, columns, columns % 2 == 0 ? DType::float32 : DType::float16));
    for (const DType dtype : {DType::float32, DType::int8, DType::float16, DType::int64}) {
      if (columns > 300 && dtype != DType::float32) continue;
      kernels.push_back(reversed_rows(3, columns, dtype));
      if (dtype != DType::int8) kernels.push_back(reductions(3, columns, dtype));
    }
  }
  compare_all(kernels, /*with_specials=*/false, /*is_exact=*/false);
}

TEST_CASE("flat phases, tiles and workers in CUDA code", "[codegen][cuda]") {
  std::vector<Kernel> kernels;
  for (const DType dtype : {DType::float32, DType::bool_, DType::bfloat16, DType::int64, DType::uint8}) {
    for (const auto& [rows, columns] : {std::pair{1, 1}, {7, 13}, {9, 64}, {65, 48}}) {
      kernels.push_back(broadcast(rows, columns, dtype));
    }
  }
  kernels.push_back(turned_tiles(16, 16));
  kernels.push_back(turned_tiles(3, 7));
  kernels.push_back(by_worker(9, false));
  kernels.push_back(by_worker(9, true));
  compare_all(kernels, /*with_specials=*/true, /*is_exact=*/true);
}

TEST_CASE("kernels merged into one do what they do one after the other", "[codegen][cuda][merge]") {
  std::vector<Kernel> merged;
  for (int seed = 0; seed < random_cases(20); ++seed) {
    std::mt19937 random(static_cast<unsigned>(1000 + seed));
    std::vector<Kernel> parts;
    for (int i = 0; i < 2 + seed % 3; ++i) parts.push_back(random_kernel(random, true));
    merged.push_back(merge_kernels(parts, "merged"));
    GuardedBuffers expected(merged.back(), true), got(merged.back(), true);
    for (std::size_t b = 0; b < merged.back().buffers.size(); ++b) {
      fill_random(merged.back().buffers[b], expected.as<char>(b), random, false);
      std::memcpy(got.as<char>(b), expected.as<char>(b), expected.bytes(b));
    }
    void* const* pointers = expected.pointers();
    for (const Kernel& part : parts) {
      interpret(part, pointers);
      pointers += part.buffers.size();
    }
    interpret(merged.back(), got.pointers());
    INFO(to_text(merged.back()));
    for (std::size_t b = 0; b < merged.back().buffers.size(); ++b)
      REQUIRE(same_contents(merged.back().buffers[b], expected.as<char>(b), got.as<char>(b)));
  }
  compare_all(merged, /*with_specials=*/true, /*is_exact=*/true);
}

namespace {

/// Sums of chunks, then of these, then a few more steps with what comes out: phases of every width.
Kernel chain_of_sums(std::int64_t n, std::int64_t chunks) {
  KernelBuilder b("chain");
  const std::int64_t length = n / chunks;
  const Buffer x = b.input("x", DType::int64, n), parts = b.output("parts", DType::int64, chunks);
  const Buffer total = b.output("total", DType::int64, 1), y = b.output("y", DType::int64, chunks);
  const Buffer rows = b.output("rows", DType::int64, chunks / 3);
  const auto sum = [&](Buffer from, Index begin, Index end) {
    const Local s = b.local("s", b.integer_constant(0, DType::int64));
    b.loop("j", begin, end, vectorize, [&](Index j) { b.reduce(ScalarOp::add, s, b.load(from, j)); });
    return b.get(s);
  };
  b.parallel("c", chunks, [&](Index c) {
    b.store(parts, c, sum(x, c * Index(length), c * Index(length) + Index(length)));
  });
  b.once([&] { b.store(total, 0, sum(parts, 0, chunks)); });
  b.parallel(
      "i", chunks,
      [&](Index i) { b.store(y, i, b.emit(ScalarOp::sub, b.load(parts, chunks - 1 - i), b.load(total, 0))); },
      vectorize);
  b.parallel("r", chunks / 3, [&](Index r) {
    const Local s = b.local("s", b.integer_constant(0, DType::int64));
    b.loop("j", 0, 3, vectorize, [&](Index j) { b.reduce(ScalarOp::add, s, b.load(y, r * Index(3) + j)); });
    b.store(rows, r, b.get(s));
  });
  return b.build();
}

}  // namespace

TEST_CASE("short phases are run by the block that ends last", "[codegen][cuda][merge]") {
  std::vector<Kernel> kernels;
  int with_last_block = 0;
  for (const auto& [n, chunks] : {std::pair{21, 3}, {640, 64}, {70000, 10}, {70000, 700}, {90000, 900}}) {
    kernels.push_back(chain_of_sums(n, chunks));
    const CudaSource source = emit_cuda(kernels.back(), 132);
    INFO(source.text);
    CHECK(source.phases.size() <= 2);
    with_last_block += source.text.find("is_last_block") != std::string::npos ? 1 : 0;
  }
  CHECK((with_last_block > 0 && with_last_block < 5));
  compare_all(kernels, /*with_specials=*/false, /*is_exact=*/true);
}

namespace {

/// x - its largest element of a row, summed as exp: the second kernel of a logsumexp.
Kernel row_largest(std::int64_t rows, std::int64_t columns, DType dtype) {
  KernelBuilder b("largest");
  const Buffer x = b.input("x", dtype, rows * columns), y = b.output("y", DType::float32, rows);
  b.parallel("r", rows, [&](Index r) {
    const Local most = b.local("most", b.constant(-std::numeric_limits<double>::infinity(), DType::float32));
    b.loop("j", 0, columns, vectorize,
           [&](Index j) { b.reduce(ScalarOp::max, most, b.load(x, r * Index(columns) + j)); });
    b.store(y, r, b.get(most));
  });
  return b.build();
}
Kernel row_exp_sum(std::int64_t rows, std::int64_t columns, DType dtype) {
  KernelBuilder b("exp_sum");
  const Buffer x = b.input("x", dtype, rows * columns), shift = b.input("shift", DType::float32, rows);
  const Buffer y = b.output("y", DType::float32, rows);
  b.parallel("r", rows, [&](Index r) {
    const Local sum = b.local("sum", b.constant(0, DType::float32));
    b.loop("j", 0, columns, vectorize, [&](Index j) {
      const ScalarValue v = b.load(x, r * Index(columns) + j);
      b.reduce(ScalarOp::add, sum, b.emit(ScalarOp::exp, b.emit(ScalarOp::sub, v, b.load(shift, r))));
    });
    b.store(y, r, b.emit(ScalarOp::add, b.emit(ScalarOp::log, b.get(sum)), b.load(shift, r)));
  });
  return b.build();
}

}  // namespace

namespace {

/// The larger element of each pair, put where rows and columns say, or columns and rows.
Kernel largest_of_pairs(std::int64_t planes, std::int64_t rows, std::int64_t columns,
                        bool is_turned = false) {
  KernelBuilder b("pairs");
  const std::int64_t n = planes * rows * columns;
  const Buffer x = b.input("x", DType::float32, 2 * n), y = b.output("y", DType::float32, n);
  b.parallel(
      "e", n,
      [&](Index e) {
        const Index j = mod(e, columns), i = mod(floor_div(e, columns), rows),
                    p = floor_div(e, rows * columns);
        const Index at = is_turned ? j * Index(rows) + i : i * Index(columns) + j;
        b.store(y, p * Index(rows * columns) + at,
                b.emit(ScalarOp::max, b.load(x, 2 * e), b.load(x, 2 * e + 1)));
      },
      vectorize);
  return b.build();
}
/// Every plane plus a number of its own.
Kernel add_to_planes(std::int64_t planes, std::int64_t elements) {
  KernelBuilder b("add");
  const std::int64_t n = planes * elements;
  const Buffer y = b.input("y", DType::float32, n), shift = b.input("shift", DType::float32, planes);
  const Buffer z = b.output("z", DType::float32, n);
  b.parallel(
      "i", n,
      [&](Index i) {
        const Index p = floor_div(i, elements), at = p * Index(elements) + mod(i, elements);
        b.store(z, at, b.emit(ScalarOp::add, b.load(y, at), b.load(shift, p)));
      },
      vectorize);
  return b.build();
}

}  // namespace

TEST_CASE("phases over the same elements become one", "[codegen][cuda][merge]") {
  std::vector<Kernel> kernels;
  for (const auto& [planes, rows, columns] :
       {std::tuple{3, 5, 7}, {1, 4, 6}, {40, 1, 3}, {2, 9, 1}, {7, 33, 65}}) {
    const Kernel parts[] = {largest_of_pairs(planes, rows, columns), add_to_planes(planes, rows * columns)};
    Kernel merged = merge_kernels(parts, "shifted_pairs");
    // x, largest; largest, shift, result
    const BufferPlace places[] = {{0, 0}, {1, 0}, {1, 0}, {2, 0}, {3, 0}};
    Kernel fused = merged;
    REQUIRE(fuse_phases(fused, 1, places));
    REQUIRE(fused.phases.size() == 1);
    const auto n = static_cast<std::size_t>(planes * rows * columns);
    std::vector<float> x(2 * n), y(n), shift(static_cast<std::size_t>(planes)), apart(n), together(n);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 7919 % 1000);
    for (std::size_t i = 0; i < shift.size(); ++i) shift[i] = static_cast<float>(i) + 0.5f;
    void* of_two[] = {x.data(), y.data(), y.data(), shift.data(), apart.data()};
    void* of_one[] = {x.data(), y.data(), y.data(), shift.data(), together.data()};
    interpret(merged, of_two);
    interpret(fused, of_one);
    CHECK(apart == together);
    kernels.push_back(std::move(fused));
    // Over what the first has written at the same index, which then need not store it; not over another's.
    const BufferPlace in_place[] = {{0, 0}, {1, 0}, {1, 0}, {2, 0}, {1, 0}};
    Kernel over = merged;
    REQUIRE(fuse_phases(over, 1, in_place));
    std::ranges::fill(y, -1.0f);
    void* of_one_in_place[] = {x.data(), y.data(), y.data(), shift.data(), y.data()};
    interpret(over, of_one_in_place);
    CHECK(apart == y);
    const auto stores = [](const Kernel& kernel) {
      std::ptrdiff_t count = 0;
      for (const Block& block : kernel.blocks) {
        count += std::ranges::count_if(block.statements, [](const Statement& statement) {
          return statement.kind == Statement::Kind::store;
        });
      }
      return count;
    };
    CHECK(stores(over) == stores(kernels.back()) - 1);
    const BufferPlace over_another[] = {{0, 0}, {1, 0}, {1, 0}, {2, 0}, {1, 4}};
    CHECK_FALSE(fuse_phases(merged, 1, over_another));
    const BufferPlace over_operand[] = {{0, 0}, {1, 0}, {1, 0}, {2, 0}, {0, 0}};
    CHECK_FALSE(fuse_phases(merged, 1, over_operand));
    // What another element has written.
    const BufferPlace shifted[] = {{0, 0}, {1, 0}, {1, 4}, {2, 0}, {3, 0}};
    CHECK_FALSE(fuse_phases(merged, 1, shifted));
    if (rows == 1 || columns == 1) continue;
    const Kernel turned[] = {largest_of_pairs(planes, rows, columns, true),
                             add_to_planes(planes, rows * columns)};
    Kernel other = merge_kernels(turned, "other");
    CHECK_FALSE(fuse_phases(other, 1, places));
  }
  if (!has_host_compiler()) return;
  compare_all(kernels, /*with_specials=*/true, /*is_exact=*/true);
}

TEST_CASE("phases over the same rows become one, and keep the row", "[codegen][cuda][merge]") {
  std::vector<Kernel> kernels;
  for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 5}, {9, 64}, {7, 300}, {2, 2052}, {5, 40000}}) {
    for (const DType dtype : {DType::float32, DType::float16}) {
      const Kernel parts[] = {row_largest(rows, columns, dtype), row_exp_sum(rows, columns, dtype)};
      Kernel merged = merge_kernels(parts, "logsumexp");
      // x, largest; x, largest, result
      const BufferPlace places[] = {{0, 0}, {1, 0}, {0, 0}, {1, 0}, {2, 0}};
      Kernel fused = merged;
      REQUIRE(fuse_phases(fused, 1, places));
      REQUIRE(fused.phases.size() == 1);
      CHECK(fused.arrays.size() == (columns > 1 && columns * 4 <= 96 * 1024 ? 1 : 0));
      kernels.push_back(std::move(fused));
      // Where the second reads, or writes over, what the first does at another index.
      const BufferPlace shifted[] = {{0, 0}, {1, 0}, {0, 0}, {1, 4}, {2, 0}};
      const BufferPlace in_place[] = {{0, 0}, {1, 0}, {0, 0}, {1, 0}, {0, 0}};
      const std::string before = to_text(merged);
      CHECK_FALSE(fuse_phases(merged, 1, shifted));
      CHECK_FALSE(fuse_phases(merged, 1, in_place));
      CHECK(to_text(merged) == before);
    }
  }
  if (!has_host_compiler()) return;
  for (const int multiprocessors : {0, 132}) {
    const CudaOnHost code(kernels, multiprocessors);
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      const Kernel& kernel = kernels[i];
      std::mt19937 random(static_cast<unsigned>(i));
      GuardedBuffers expected(kernel, true), got(kernel, true);
      for (std::size_t b = 0; b < kernel.buffers.size(); ++b) {
        fill_random(kernel.buffers[b], expected.as<char>(b), random, false);
        std::memcpy(got.as<char>(b), expected.as<char>(b), expected.bytes(b));
      }
      const auto shared = [](void* const* p) { return std::vector<void*>{p[0], p[1], p[0], p[1], p[4]}; };
      interpret(kernel, shared(expected.pointers()).data());
      code.run(i, shared(got.pointers()).data());
      INFO(to_text(kernel) << code.source(i).text);
      for (const std::size_t b : {std::size_t{1}, std::size_t{4}})
        REQUIRE(agree(kernel.buffers[b], expected.as<char>(b), got.as<char>(b), false));
    }
  }
}
