#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "croton/codegen/loop_index.h"
#include "croton/graph/dtype.h"
#include "croton/graph/export.h"
#include "croton/ops/scalar_builder.h"

/// The loop IR: what lowering writes and every backend emits. A kernel is a list of phases over flat buffers;
/// shapes and strides are constants in it (a plan is made per signature of shapes), run-time numbers are read
/// from buffers. Kernels are written with a KernelBuilder (kernel_builder.h), which is also the ScalarBuilder
/// of elementwise rows:
///
///     KernelBuilder b("softmax_rows");
///     Buffer x = b.input("x", DType::float32, rows * columns);
///     Buffer y = b.output("y", DType::float32, rows * columns);
///     b.parallel("r", rows, [&](Index r) {                      // one phase: rows in parallel
///       Local largest = b.local("largest", b.constant(-inf, DType::float32));
///       b.loop("j", 0, columns, vectorize, [&](Index j) {       // a vector loop: lanes are j, j + 1, …
///         b.reduce(ScalarOp::max, largest, b.load(x, r * columns + j));
///       });
///       ScalarValue m = b.get(largest);
///       Local total = b.local("total", b.constant(0, DType::float32));
///       b.loop("j", 0, columns, vectorize, [&](Index j) {
///         ScalarValue e = b.emit(ScalarOp::exp, b.emit(ScalarOp::sub, b.load(x, r * columns + j), m));
///         b.store(y, r * columns + j, e);
///         b.reduce(ScalarOp::add, total, e);
///       });
///       …
///     });
///     Kernel kernel = b.build();
///
/// and print as
///
///     kernel softmax_rows(x: float32[1024] in, y: float32[1024] out) {
///       parallel r in 0..32 {
///         local largest: float32 = -inf
///         for j in 0..32 vectorize {
///           %0 = load x[32*r + j]
///           largest max= %0
///         }
///         %1 = largest
///         …
///
/// Meaning, and what lowering must know:
/// - A phase runs its body for every index of [0, n), in any order, on any thread; all of a phase is over
///   before the next one starts. Values, locals and arrays live inside one body; phases talk through buffers
///   (b.scratch: the caller provides the memory).
/// - Results must not depend on how a phase is cut: reductions across indices go through a scratch buffer of
///   partial results with a *fixed* number of them, and a later phase combines these in order.
/// - A loop marked `vectorize` states that its iterations are independent but for `reduce`. Loads and stores
///   with stride 1 in its variable become vector accesses, stride 0 is one scalar for all lanes, -1 a
///   reversed vector, 2 … 4 loads and shuffles, anything else gathers and scatters. Tails are masked: nothing
///   outside [begin, end) is touched. A phase can be vectorized itself (parallel with `vectorize`): the
///   choice for elementwise work over contiguous elements.
/// - A local declared outside a vector loop can only be changed by `reduce` inside it: each lane has an
///   accumulator of its own, several vectors of them, combined in a fixed order after the loop. A local
///   declared inside a vector loop has a value per lane and may be set: serial loops inside a vector loop (a
///   dot product per lane, a pooling window, the k loop of a matrix product with one local per row of the
///   tile) are the way to keep accumulators in registers. `vectorize.by(k)`: k vectors side by side.
/// - `if` on a lane-varying condition inside a vector loop masks its loads, stores and sets. select evaluates
///   both sides. Bounds of loops inside a vector loop must be the same for all lanes.
/// - float16 and bfloat16 are memory formats: a load gives float32, a store rounds; cast to them gives a
///   float32 that is rounded so.
/// - bool in memory is a byte, 0 or 1. Arithmetic on bool: add and max are or, mul and min are and.
/// - Integers wrap. floor_div and floor_mod by 0 give 0. A shift by the width or more gives 0 (-1 for a
///   negative number shifted right). Integer pow with a negative exponent truncates 1 / x^n (0, 1 or -1).
/// - Floating point is IEEE (NaN, infinities, signed zeros), but mul followed by add may be rounded once.
namespace croton {

enum class LoopKind : std::uint8_t {
  serial,
  vectorize,  ///< iterations independent but for `reduce`: one lane each
  unroll,     ///< constant bounds: the body is written out
};

/// How a loop is emitted.
struct LoopMark {
  LoopKind kind = LoopKind::serial;
  /// vectorize: so many vectors side by side; 0 chooses (4 for short bodies that reduce, otherwise 1).
  std::int8_t vectors = 0;
  constexpr LoopMark by(int count) const { return {kind, static_cast<std::int8_t>(count)}; }
};
inline constexpr LoopMark serial{LoopKind::serial, 0};
inline constexpr LoopMark vectorize{LoopKind::vectorize, 0};
inline constexpr LoopMark unroll{LoopKind::unroll, 0};

struct BufferInfo {
  enum class Role : std::uint8_t { in, out, inout, scratch };
  std::string name;
  DType dtype = DType::float32;
  std::int64_t count = -1;  ///< elements; -1 when unknown
  Role role = Role::in;
  bool may_alias = false;  ///< may overlap another buffer of the kernel at other elements than the same one
};

/// Defines a value: %id. Constants are instructions that stand in no block.
struct Instruction {
  enum class Kind : std::uint8_t { constant, op, cast, load, load_array, get, index, compare_index };
  Kind kind = Kind::constant;
  ScalarOp op = ScalarOp::add;              ///< op and compare_index
  DType dtype = DType::float32;             ///< of the result; never float16, bfloat16
  std::int32_t operands[3] = {-1, -1, -1};  ///< instructions; compare_index: index nodes
  std::int32_t target = -1;                 ///< load: buffer; load_array: array; get: local
  std::int32_t index = -1;                  ///< load, load_array, index: index node
  std::int32_t mask = -1;          ///< load: bool instruction or none; where false, operands[0] is the value
  DType rounded = DType::float32;  ///< cast to float16 or bfloat16: the format rounded to; otherwise dtype
  double number = 0;               ///< constant, floating
  std::int64_t integer = 0;        ///< constant, bool and integer (uint64 by its bits)
};

struct Statement {
  enum class Kind : std::uint8_t {
    compute,      ///< value: an instruction
    declare,      ///< target: local; value: its first value
    set,          ///< target: local
    reduce,       ///< target: local; op: add, mul, min, max, bit_and, bit_or, bit_xor
    reduce_arg,   ///< target, second: locals of the extreme value and its index; op: min or max; value,
                  ///< index_value
    store,        ///< target: buffer; index; value; mask or -1
    store_array,  ///< target: array; index; value
    loop,         ///< target: variable; begin, end: index nodes; step; mark; body
    branch,       ///< value: bool instruction; body, other (-1: none)
    transpose,    ///< target: buffer written, second: buffer read; see KernelBuilder::transpose_tile
    prefetch,     ///< target: buffer; index, which may lie outside of it
  };
  Kind kind = Kind::compute;
  ScalarOp op = ScalarOp::add;
  LoopMark mark;
  std::int32_t target = -1;
  std::int32_t second = -1;
  std::int32_t value = -1;
  std::int32_t index_value = -1;
  std::int32_t index = -1;
  std::int32_t second_index = -1;
  std::int32_t mask = -1;
  std::int32_t begin = -1;
  std::int32_t end = -1;
  std::int64_t step = 1;
  std::int32_t body = -1;
  std::int32_t other = -1;
  std::int64_t strides[2] = {0, 0};  ///< transpose: elements between rows written and between rows read
  std::int64_t tile[2] = {0, 0};     ///< transpose: rows and columns read
};

struct LocalInfo {
  std::string name;
  DType dtype = DType::float32;
};

struct ArrayInfo {
  std::string name;
  DType dtype = DType::float32;
  std::int64_t count = 0;
};

struct Block {
  std::vector<Statement> statements;
};

struct Phase {
  std::int32_t variable = -1;
  std::int64_t extent = 1;  ///< the body runs for 0 … extent - 1
  /// Fewest indices worth a thread of their own; 0: estimated from the body.
  std::int64_t grain = 0;
  bool is_parallel = true;
  LoopMark mark;  ///< serial or vectorize
  std::int32_t body = -1;
};

struct CudaContraction;

/// A kernel, complete and immutable after KernelBuilder::build.
struct Kernel {
  std::string name;
  std::vector<BufferInfo> buffers;  ///< parameters in order, then scratch, as they were declared
  std::vector<Phase> phases;
  /// Instead of phases: a contraction, which only the CUDA backend emits (cuda_contraction.h).
  std::shared_ptr<const CudaContraction> contraction;
  std::vector<Block> blocks;
  std::vector<Instruction> instructions;
  std::vector<IndexNode> indices;
  std::vector<std::string> variables;
  std::vector<LocalInfo> locals;
  std::vector<ArrayInfo> arrays;
};

/// The readable form, as in the example above.
CROTON_API std::string to_text(const Kernel& kernel);

/// The same with every name replaced by a number: equal for kernels that do the same. Hashes and caches use
/// it.
CROTON_API std::string canonical_text(const Kernel& kernel);

/// Estimated nanoseconds of one index of a phase on one core; guides grain, never results.
CROTON_API double estimated_cost(const Kernel& kernel, const Phase& phase);

/// "add", "floor_div", …
CROTON_API std::string_view name_of(ScalarOp op);
/// 1, 2 or 3.
CROTON_API int arity_of(ScalarOp op);
/// lt … ne, isnan, isinf, logical_not.
CROTON_API bool is_predicate(ScalarOp op);

}  // namespace croton
