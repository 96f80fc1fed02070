#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "croton/codegen/loop_ir.h"

namespace croton {

/// Where an array of the loop IR lies in a phase of CUDA code.
struct CudaArray {
  enum class Place : std::uint8_t {
    unused,
    thread,     ///< used by one thread (or within one vector loop): an array of the thread
    registers,  ///< every vector loop touches element i in iteration i only: spread over the threads
    shared,     ///< shared memory of the group
  };
  Place place = Place::unused;
  int slots = 0;            ///< registers: elements a thread
  std::int64_t offset = 0;  ///< shared: bytes from the beginning of the group's memory
};

/// How a phase is spread over the GPU.
struct CudaSchedule {
  enum class Mode : std::uint8_t {
    flat,    ///< a vectorized phase: a thread has `lanes` neighbouring indices in each of `packs` places
    group,   ///< `group` threads an index; vector loops are shared out between them
    thread,  ///< a thread an index
  };
  Mode mode = Mode::thread;
  bool one_after_other = false;  ///< the phase asks for its worker: one group (or thread) runs all indices
  int block = 128;               ///< threads a block
  int group = 1;                 ///< threads an index: a power of two up to 32, or a multiple of 32
  int lanes = 1;                 ///< flat
  int packs = 1;
  std::map<std::int32_t, int> loop_lanes;  ///< group: per body of a vector loop, elements side by side
  std::vector<CudaArray> arrays;
  std::int64_t array_bytes = 0;  ///< shared memory of the arrays of one group

  int groups_per_block() const { return block / group; }
};

/// For a GPU of so many multiprocessors: few indices get more threads each, many share them.
CudaSchedule cuda_schedule(const Kernel& kernel, const Phase& phase, int multiprocessors);

/// The same for one block of so many threads (a power of two, 32 or more) that runs the phase alone, its
/// indices in turns.
CudaSchedule cuda_schedule_in_block(const Kernel& kernel, const Phase& phase, int threads);
/// Whether one block runs the phase in less time than a launch of its own takes.
bool is_short_in_block(const Kernel& kernel, const Phase& phase, int threads);

/// Iterations of a loop with constant bounds, otherwise -1.
std::int64_t cuda_trip_count(const Kernel& kernel, const Statement& loop);

}  // namespace croton
