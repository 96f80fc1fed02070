#pragma once

#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/Module.h>

#include <cstdint>
#include <vector>

#include "croton/codegen/llvm_scalar.h"
#include "croton/codegen/loop_ir.h"
#include "croton/codegen/loop_uses.h"

namespace croton {

/// Emits one phase of a kernel as a function. Bodies of vector loops are emitted several times (full vectors,
/// tail), each time with the lanes of the moment: a value is a scalar where all lanes agree, else a vector.
class PhaseEmitter {
 public:
  PhaseEmitter(const Kernel& kernel, const KernelUses& uses, const TargetInfo& target, llvm::Module& module);

  /// Adds `void name(ptr buffers, i64 begin, i64 end, i32 worker)` to the module.
  void emit(const Phase& phase, const std::string& name);

 private:
  /// How many iterations run side by side, and which of them count.
  struct Lanes {
    std::int32_t variable = -1;  ///< the variable that differs between lanes
    std::int64_t step = 1;       ///< by so much
    unsigned width = 1;
    llvm::Value* active = nullptr;  ///< bool vector; null: all
  };
  /// An index: base + stride * lane + lanes[lane].
  struct IndexValue {
    llvm::Value* base = nullptr;  ///< i64
    std::int64_t stride = 0;
    llvm::Value* lanes = nullptr;  ///< vector of i32 or i64, or null
    bool is_uniform() const { return stride == 0 && lanes == nullptr; }
  };
  struct Slot {
    llvm::AllocaInst* memory = nullptr;
    llvm::Type* type = nullptr;
  };
  /// Where an access goes.
  struct Place {
    llvm::Value* pointer = nullptr;  ///< to element 0
    DType dtype = DType::float32;
    std::int32_t buffer = -1;  ///< -1: an array
    IndexValue index;
  };
  /// A tile that is transposed: its rows are read, its columns written, strides apart.
  struct Tile {
    Place from, to;
    llvm::Type* element = nullptr;
    llvm::Align align;
    llvm::Value *source = nullptr, *goal = nullptr;  ///< to the first elements
    unsigned rows = 0, columns = 0;
    std::int64_t from_stride = 0, to_stride = 0;
  };
  struct Accumulator {
    std::int32_t local = -1;
    std::int32_t second = -1;  ///< reduce_arg: the local of the index
    ScalarOp op = ScalarOp::add;
    Slot outer, outer_second;
  };

  // llvm_phase.cpp: statements
  void block(std::int32_t id);
  void statement(const Statement& s);
  void compute(std::int32_t id);
  void assign(std::int32_t local, llvm::Value* value);
  void branch(const Statement& s);
  llvm::Value* operand(std::int32_t id);
  llvm::Constant* constant(const Instruction& i) const;
  Slot make_slot(DType dtype, unsigned lanes);
  llvm::Value* get(const Slot& slot) { return b_.CreateLoad(slot.type, slot.memory); }
  llvm::Value* fused(std::int32_t product, llvm::Value* addend, bool negate_product);
  llvm::Value* op(const Instruction& i);
  Place place(std::int32_t buffer, std::int32_t index_id);
  Place array_place(std::int32_t array, std::int32_t index_id);
  ScalarContext scalar() { return {b_, module_, target_}; }

  // llvm_loops.cpp
  using LoopBody = llvm::function_ref<void(llvm::Value*)>;
  void loop(const Statement& s);
  void unrolled_loop(const Statement& s, std::int64_t begin, std::int64_t end);
  void counted(llvm::Value* begin, llvm::Value* end, std::int64_t step, LoopBody body);
  /// A vector loop: variable = begin, begin + step, … < end.
  struct VectorLoop {
    std::int32_t variable = -1;
    std::int32_t body = -1;
    std::int64_t step = 1;
    unsigned width = 1;    ///< lanes of one vector
    unsigned vectors = 1;  ///< side by side
    bool has_masks = true;
  };
  void vector_loop(std::int32_t variable, std::int32_t body, llvm::Value* begin, llvm::Value* end,
                   std::int64_t step, LoopMark mark);
  void scalar_iterations(const VectorLoop& loop, llvm::Value* begin, llvm::Value* end);
  void masked_iterations(const VectorLoop& loop, llvm::Value* begin, llvm::Value* end);
  void full_iterations(const VectorLoop& loop, llvm::Value* begin, llvm::Value* end, unsigned width);
  void lanes_body(const VectorLoop& loop, llvm::Value* first, unsigned width, llvm::Value* active);
  llvm::Value* first_lanes(llvm::Value* count, unsigned width);

  // llvm_reductions.cpp
  std::vector<Accumulator> open_accumulators(std::int32_t body, unsigned width);
  void narrow_accumulators(std::vector<Accumulator>& accumulators, unsigned width);
  void close_accumulators(std::vector<Accumulator>& accumulators);
  void reduce(const Statement& s);
  void reduce_arg(const Statement& s);
  struct Pair {
    llvm::Value* value = nullptr;
    llvm::Value* where = nullptr;
  };
  Pair combine(const Accumulator& a, Pair x, Pair y);
  Pair accumulated(const Accumulator& a);
  Pair part(Pair x, unsigned first, unsigned lanes);

  // llvm_index.cpp
  IndexValue index(std::int32_t id);
  IndexValue affine(const IndexNode& node);
  IndexValue combined(const IndexNode& node);
  void add_scaled(IndexValue& sum, const IndexValue& term, std::int64_t scale);
  llvm::Value* vector_of(const IndexValue& value, const IndexNode& node);
  llvm::Value* uniform_index(std::int32_t id);
  llvm::Value* index_as_value(std::int32_t id);
  llvm::Value* compare_index(const Instruction& i);
  llvm::Value* i64(std::int64_t value) { return b_.getInt64(static_cast<std::uint64_t>(value)); }
  llvm::Value* lane_numbers(llvm::Type* element, unsigned width, std::int64_t stride);

  // llvm_memory.cpp
  llvm::Value* load(const Place& place, llvm::Value* mask, llvm::Value* otherwise);
  void store(const Place& place, llvm::Value* value, llvm::Value* mask);
  llvm::Value* gather(const Place& place, llvm::Type* element, llvm::Value* allowed);
  void scatter(const Place& place, llvm::Type* element, llvm::Value* value, llvm::Value* allowed);
  llvm::Value* load_strided(const Place& place, llvm::Type* element);
  llvm::Value* element_pointer(llvm::Value* pointer, llvm::Type* element, llvm::Value* index);
  llvm::Value* lane_pointers(const Place& place, llvm::Type* element);
  llvm::Value* from_memory(llvm::Value* value, DType dtype);
  llvm::Value* to_memory(llvm::Value* value, DType dtype);
  llvm::Value* both(llvm::Value* mask, llvm::Value* other);
  llvm::Value* harmless(llvm::Value* pointer, llvm::Value* mask);
  template <class T>
  T* tagged(T* access, const Place& place);
  void transpose(const Statement& s);
  llvm::Value* load_row(const Tile& tile, unsigned row, llvm::Type* type);
  void store_column(const Tile& tile, unsigned column, llvm::Value* value);
  void transpose_packed_rows(const Tile& tile);
  void transpose_to_packed_columns(const Tile& tile);
  void transpose_by_steps(const Tile& tile);
  void prefetch(const Statement& s);

  const Kernel& k_;
  const KernelUses& uses_;
  const TargetInfo& target_;
  llvm::Module& module_;
  Builder b_;
  llvm::Function* function_ = nullptr;
  llvm::BasicBlock* entry_ = nullptr;
  llvm::Value* worker_ = nullptr;
  llvm::AllocaInst* nowhere_ = nullptr;  ///< where accesses go that must not happen
  std::vector<llvm::Value*> buffers_;
  std::vector<llvm::MDNode*> scopes_, others_;  ///< per buffer: its alias scope, and those of the others
  std::vector<llvm::Value*> values_;            ///< per instruction
  std::vector<llvm::Value*> variables_;         ///< per variable: i64, that of lane 0
  std::vector<Slot> locals_;
  std::vector<llvm::AllocaInst*> arrays_;
  std::vector<bool> is_accumulator_;  ///< per local: locals_ has its accumulator at the moment
  Lanes lanes_;
  llvm::Value* mask_ = nullptr;  ///< lanes_.active and the conditions of branches around; null: all
};

}  // namespace croton
