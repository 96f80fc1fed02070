#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "croton/codegen/loop_ir.h"
#include "croton/graph/export.h"
#include "croton/ops/scalar_builder.h"

namespace croton {

/// The dtype that values of `dtype` are computed in: float32 for float16 and bfloat16, itself otherwise.
inline DType compute_dtype(DType dtype) {
  return dtype == DType::float16 || dtype == DType::bfloat16 ? DType::float32 : dtype;
}

/// Handles of a kernel being built.
struct Buffer {
  std::int32_t id = -1;
  DType dtype = DType::float32;
};
struct Local {
  std::int32_t id = -1;
  DType dtype = DType::float32;
};
struct LocalArray {
  std::int32_t id = -1;
  DType dtype = DType::float32;
};

/// Writes a kernel. loop_ir.h shows how and says what the pieces mean. Misuse (a value used outside the block
/// that made it, dtypes that differ, a local set across lanes) is an InternalError that names the kernel and
/// the statement.
class CROTON_API KernelBuilder final : public ScalarBuilder {
 public:
  explicit KernelBuilder(std::string name);
  KernelBuilder(const KernelBuilder&) = delete;
  KernelBuilder& operator=(const KernelBuilder&) = delete;

  /// Whom the loops are chosen for: what lowers a piece of a kernel may ask.
  void set_for_gpu() { is_for_gpu_ = true; }
  bool is_for_gpu() const { return is_for_gpu_; }

  /// Buffer parameters, numbered in the order of declaration. `count` in elements, -1 when unknown. Unless
  /// may_alias is set, no two buffers overlap (declare one inout buffer for a result that is computed in
  /// place).
  Buffer input(std::string_view name, DType dtype, std::int64_t count);
  Buffer output(std::string_view name, DType dtype, std::int64_t count);
  Buffer inout(std::string_view name, DType dtype, std::int64_t count);
  /// Memory for the kernel's own use, provided by the caller like any buffer; contents undefined at the
  /// start.
  Buffer scratch(std::string_view name, DType dtype, std::int64_t count);
  void set_may_alias(Buffer buffer);

  using Body = std::function<void(Index)>;
  /// A phase over [0, extent). grain: fewest indices worth a thread; 0 estimates it. `vectorize` makes the
  /// indices lanes.
  void parallel(std::string_view variable, std::int64_t extent, const Body& body,
                LoopMark mark = croton::serial, std::int64_t grain = 0);
  /// A phase that runs once, on one thread.
  void once(const std::function<void()>& body);

  /// for (variable = begin; variable < end; variable += step). step > 0.
  void loop(std::string_view variable, Index begin, Index end, LoopMark mark, const Body& body,
            std::int64_t step = 1);
  void loop(std::string_view variable, Index begin, Index end, const Body& body) {
    loop(variable, begin, end, croton::serial, body);
  }
  /// The same without a closure, for nests of unknown depth. Phases too: begin_parallel, end.
  Index begin_loop(std::string_view variable, Index begin, Index end, LoopMark mark, std::int64_t step = 1);
  Index begin_parallel(std::string_view variable, std::int64_t extent, LoopMark mark = croton::serial,
                       std::int64_t grain = 0);
  void end();

  void branch(ScalarValue condition, const std::function<void()>& then,
              const std::function<void()>& otherwise = {});

  /// A mutable variable. Its dtype is that of the first value (float32 for float16 and bfloat16).
  Local local(std::string_view name, ScalarValue first);
  ScalarValue get(Local local);
  void set(Local local, ScalarValue value);
  /// local = op(local, value) in any order: op is add, mul, min, max, bit_and, bit_or or bit_xor.
  void reduce(ScalarOp op, Local local, ScalarValue value);
  /// Keeps the extreme (op: min or max) and the index where it was first seen; the first NaN beats every
  /// number. Start `extreme` with the worst value and `where` with the first index.
  void reduce_arg(ScalarOp op, Local extreme, Local where, ScalarValue value, ScalarValue index);

  /// Memory on the stack of the phase (at most 256 KiB in all), contents undefined at the start.
  LocalArray array(std::string_view name, DType dtype, std::int64_t count);
  ScalarValue load(LocalArray array, Index index);
  void store(LocalArray array, Index index, ScalarValue value);

  /// Element `index`; a float32 for float16 and bfloat16. With a mask (bool) where it holds, else
  /// `otherwise`; memory is not touched where it does not hold.
  ScalarValue load(Buffer buffer, Index index, std::optional<ScalarValue> mask = {},
                   ScalarValue otherwise = {});
  /// The value is cast to the buffer's dtype. With a mask: where it holds.
  void store(Buffer buffer, Index index, ScalarValue value, std::optional<ScalarValue> mask = {});

  /// to[to_begin + j * to_stride + i] = from[from_begin + i * from_stride + j] for 0 <= i < rows, 0 <= j <
  /// columns: a small transpose in registers. rows and columns are constants of at most 16 (tile larger ones
  /// by loops; 16 x 16 is the best size of 4-byte elements, 8 x 8 of 8-byte ones); dtypes equal.
  void transpose_tile(Buffer to, Index to_begin, std::int64_t to_stride, Buffer from, Index from_begin,
                      std::int64_t from_stride, std::int64_t rows, std::int64_t columns);

  /// A hint on a CPU: the memory around that element, which need not exist, is read or written soon. Worth
  /// its instruction where work between short rows keeps the processor from running ahead to the next ones.
  void prefetch(Buffer buffer, Index index);

  /// An index as a number (0 … lanes), and an integer value as an index (run-time offsets, gathers).
  ScalarValue value_of(Index index, DType dtype);
  Index index_of(ScalarValue value);
  /// lt, le, gt, ge, eq or ne of two index expressions: bool.
  ScalarValue compare(ScalarOp op, Index a, Index b);
  Index select(ScalarValue condition, Index a, Index b);
  /// The number of the thread that runs the phase, 0 … threads - 1.
  Index worker();

  ScalarValue emit(ScalarOp op, ScalarValue a) override;
  ScalarValue emit(ScalarOp op, ScalarValue a, ScalarValue b) override;
  ScalarValue emit(ScalarOp op, ScalarValue a, ScalarValue b, ScalarValue c) override;
  ScalarValue constant(double value, DType dtype) override;
  ScalarValue integer_constant(std::int64_t value, DType dtype) override;
  ScalarValue cast(ScalarValue value, DType dtype) override;

  /// The kernel; the builder is empty afterwards.
  Kernel build();

 private:
  struct Scope {
    std::int32_t block = -1;
    int vector_depth = 0;  ///< vector loops around this block (0 or 1: inner ones are serial)
    bool is_phase = false;
    std::map<std::vector<std::int64_t>, std::int32_t> known;  ///< pure instructions made in this block
    std::vector<std::int32_t> instructions, locals, arrays;   ///< they go out of sight at the end
    std::vector<std::int32_t> reduced, read;                  ///< locals of outside, in a vector loop
  };

  [[noreturn]] void misuse(const std::string& what) const;
  Buffer declare(std::string_view name, DType dtype, std::int64_t count, BufferInfo::Role role);
  std::string unique(std::string_view name);
  std::int32_t open(int vector_depth);
  void close();
  void append(const Statement& statement);
  ScalarValue define(const Instruction& instruction, bool is_pure);
  ScalarValue emit_op(ScalarOp op, const ScalarValue* operands, int count);
  void check_op(ScalarOp op, const ScalarValue* operands, int count) const;
  void check(ScalarValue value, std::string_view where) const;
  void check(Local local, std::string_view where) const;
  void check_mask(ScalarValue mask, std::string_view where) const;
  void check(LocalArray array) const;
  void check(Buffer buffer) const;
  Scope* vector_scope();
  std::int32_t node(Index index);

  Kernel kernel_;
  bool is_for_gpu_ = false;
  IndexTable table_;
  std::vector<Scope> scopes_;
  std::vector<bool> instruction_visible_, local_visible_, array_visible_;
  std::vector<int> local_depth_;  ///< vector depth of the declaration
  std::map<std::vector<std::int64_t>, std::int32_t> constants_;
  std::map<std::string, int, std::less<>> names_;
};

}  // namespace croton
