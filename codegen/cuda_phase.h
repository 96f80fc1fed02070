#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "croton/codegen/cuda_index.h"
#include "croton/codegen/cuda_schedule.h"
#include "croton/codegen/loop_uses.h"

namespace croton {

/// Writes one phase of a kernel as a __global__ function, or as part of one: a function of the device that is
/// called with the number of its block, `part`.
class CudaPhaseWriter {
 public:
  CudaPhaseWriter(const Kernel& kernel, const KernelUses& uses, const Phase& phase, CudaSchedule schedule,
                  std::string function, bool is_part = false);

  /// The function; afterwards the numbers below hold.
  std::string write();

  const CudaSchedule& schedule() const { return s_; }
  std::uint32_t grid() const { return grid_; }
  std::uint32_t shared_bytes() const { return shared_bytes_; }
  const std::vector<std::int32_t>& buffers() const { return buffers_; }

 private:
  /// What the group's threads have read and written since the last barrier: buffers, then shared arrays.
  struct Accesses {
    std::set<std::int32_t> read, written;
  };

  const Instruction& instruction(std::int32_t id) const {
    return k_.instructions[static_cast<std::size_t>(id)];
  }
  const CudaArray& array(std::int32_t id) const { return s_.arrays[static_cast<std::size_t>(id)]; }
  DType buffer_type(std::int32_t id) const { return k_.buffers[static_cast<std::size_t>(id)].dtype; }
  DType array_type(std::int32_t id) const { return k_.arrays[static_cast<std::size_t>(id)].dtype; }

  // cuda_phase.cpp
  void line(const std::string& text);
  void open(const std::string& text);
  void close();
  void find_buffers();
  std::string signature() const;
  std::string_view block_number() const { return is_part_ ? "part" : "blockIdx.x"; }
  void flat();
  void groups();
  void declare_group();
  void enter_group_index();
  void group_packed_buffers(std::set<std::int32_t>& buffers);
  void place_in_shared_memory();
  void threads();
  void declare_thread_arrays();
  std::string aligned_condition(const std::set<std::int32_t>& buffers) const;
  void assume_aligned(const std::set<std::int32_t>& buffers);
  void packed_buffers(std::int32_t block, std::set<std::int32_t>& buffers) const;
  void neighbour_buffers(std::int32_t block, std::set<std::int32_t>& buffers) const;

  // cuda_statements.cpp
  void block(std::int32_t id);
  void statement(const Statement& s);
  void compute(std::int32_t id);
  std::string expression(const Instruction& i, int lane) const;
  std::string load(const Instruction& i, int lane) const;
  bool is_pack(std::int32_t index, DType dtype) const;
  std::string memory(std::int32_t id, bool is_array) const;
  void store(const Statement& s);
  void loop(const Statement& s);
  void branch(const Statement& s);
  void transpose(const Statement& s);
  void reduce(const Statement& s);
  void reduce_arg(const Statement& s);
  std::string local(std::int32_t id, int lane) const;
  std::string value(std::int32_t id, int lane) const { return index_.value(lanes_, id, lane); }
  std::string index(std::int32_t id, int lane) const { return index_.text(lanes_, id, lane); }
  std::string element(std::int32_t id, bool is_array, std::int32_t index, int lane) const;
  /// How a loop's variable, begin and end are declared.
  std::string_view loop_type(const Statement& s) const;

  // cuda_vector_loops.cpp
  void vector_loop(const Statement& s);
  bool touches_registers(std::int32_t block) const;
  void constant_trips(const Statement& s, std::int64_t trips, int count);
  void open_trips(const Statement& s, int count);
  void enter_lanes(const Statement& s, int count);
  void leave_lanes();
  void begin_reductions(const Statement& s, int count);
  void end_reductions(const Statement& s, int count);
  void combine_arg(const KernelUses::BlockFacts::Reduction& r, const std::string& extreme,
                   const std::string& where, const std::string& other, const std::string& other_where);
  std::string accumulator(std::int32_t local, int lane) const;
  bool is_group() const { return s_.mode == CudaSchedule::Mode::group && s_.group > 1; }
  void barrier();
  void accesses_of(const Statement& s, Accesses& accesses) const;
  void accesses_of(std::int32_t block, Accesses& accesses) const;
  /// A barrier first, where accesses to come meet what other threads have done since the last one. With
  /// `is_done` they then count as done.
  void before(const Accesses& accesses, bool is_done = true);

  const Kernel& k_;
  const KernelUses& uses_;
  const Phase& phase_;
  std::string function_;
  bool is_part_;
  CudaSchedule s_;
  CudaIndex index_;
  CudaLanes lanes_;
  std::vector<std::int32_t> buffers_;
  std::uint32_t grid_ = 1, shared_bytes_ = 0;

  std::string out_;
  int depth_ = 0;
  bool one_lane_ = false;                ///< the copy of the code for memory that is not aligned
  bool in_vector_loop_ = false;          ///< group: inside a loop that is shared out
  std::set<std::int32_t> lane_locals_;   ///< declared where there are lanes
  std::set<std::int32_t> accumulating_;  ///< locals of outside that the vector loop reduces into
  std::string slot_;                     ///< of arrays in registers: which of a thread's elements
  Accesses since_barrier_;
  std::set<std::int32_t> written_by_first_;  ///< of since_barrier_.written, by the group's first thread only
  int group_depth_ = 0;                      ///< loops and branches around, in code that the whole group runs
  int reductions_ = 0;  ///< combined so far: they take turns in two parts of shared memory
  std::int64_t reduction_bytes_ = 0;
};

}  // namespace croton
