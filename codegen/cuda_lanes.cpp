#include "croton/codegen/cuda_lanes.h"

#include <algorithm>
#include <optional>
#include <set>

#include "croton/codegen/cuda_scalar.h"

namespace croton {

namespace {

// Code a thread, in instructions, up to which elements are worked on side by side.
constexpr std::int64_t most_code = 1200;
constexpr int most_lanes = 16;
constexpr std::size_t widest_access = 16;  // bytes

/// Which instructions differ between lanes.
class Marker {
 public:
  Marker(const Kernel& kernel, const std::vector<CudaArray>& arrays, CudaLanes& lanes)
      : k_(kernel), arrays_(arrays), index_(kernel), lanes_(lanes) {}

  void block(std::int32_t id) {
    if (id < 0) return;
    for (const Statement& s : k_.blocks[static_cast<std::size_t>(id)].statements) {
      if (s.kind == Statement::Kind::declare) locals_.insert(s.target);
      if (s.kind == Statement::Kind::compute)
        lanes_.varies[static_cast<std::size_t>(s.value)] = differs(s.value);
      block(s.body);
      block(s.other);
    }
  }

 private:
  bool differs(std::int32_t id) const {
    const Instruction& i = k_.instructions[static_cast<std::size_t>(id)];
    const auto index_differs = [&](std::int32_t index) { return index >= 0 && index_.varies(lanes_, index); };
    switch (i.kind) {
      case Instruction::Kind::compare_index:
        return index_differs(i.operands[0]) || index_differs(i.operands[1]);
      case Instruction::Kind::get:
        return locals_.contains(i.target);
      case Instruction::Kind::load_array:
        return arrays_[static_cast<std::size_t>(i.target)].place != CudaArray::Place::shared ||
               index_differs(i.index);
      default:
        break;
    }
    const auto value_differs = [&](std::int32_t value) {
      return value >= 0 && lanes_.varies[static_cast<std::size_t>(value)];
    };
    return index_differs(i.index) || value_differs(i.mask) || std::ranges::any_of(i.operands, value_differs);
  }

  const Kernel& k_;
  const std::vector<CudaArray>& arrays_;
  CudaIndex index_;
  CudaLanes& lanes_;
  std::set<std::int32_t> locals_;
};

/// Whether the elements of lanes can be accessed together.
class LaneAccesses {
 public:
  LaneAccesses(const Kernel& kernel, const std::vector<CudaArray>& arrays, const CudaLanes& lanes)
      : k_(kernel), arrays_(arrays), index_(kernel), lanes_(lanes) {}

  bool fit(std::int32_t block) {
    if (block < 0) return true;
    for (const Statement& s : k_.blocks[static_cast<std::size_t>(block)].statements) {
      if (!fits(s) || !fit(s.body) || !fit(s.other)) return false;
    }
    return true;
  }
  /// Some are neighbours.
  bool has_pack() const { return has_pack_; }

 private:
  bool differs(std::int32_t id) const { return id >= 0 && lanes_.varies[static_cast<std::size_t>(id)]; }

  /// The elements of all lanes are neighbours that begin at a multiple of their number.
  bool is_pack(std::int32_t index) const {
    return index_.stride(lanes_, index) == 1 && index_.multiple(lanes_, index) % lanes_.count == 0;
  }

  /// One access for all lanes, or the same element for all.
  bool is_one_access(std::int32_t index, DType dtype, bool is_store) {
    if (index_.stride(lanes_, index) == 0) return !is_store;
    if (!is_pack(index)) return false;
    has_pack_ = true;
    return static_cast<std::size_t>(lanes_.count) * size_of(dtype) <= widest_access;
  }

  bool array_fits(std::int32_t id, std::int32_t index, bool is_store) {
    const CudaArray& array = arrays_[static_cast<std::size_t>(id)];
    if (array.place == CudaArray::Place::registers) {
      has_pack_ = true;
      return true;
    }
    if (array.place != CudaArray::Place::shared) return false;
    const DType dtype = k_.arrays[static_cast<std::size_t>(id)].dtype;
    const std::optional<std::int64_t> stride = index_.stride(lanes_, index);
    // What does not lie side by side in shared memory is accessed one by one: the columns of a tile.
    return is_pack(index) || stride == 0 ? is_one_access(index, dtype, is_store) : stride.has_value();
  }

  bool buffer_fits(std::int32_t id, std::int32_t index, bool is_store) {
    return is_one_access(index, k_.buffers[static_cast<std::size_t>(id)].dtype, is_store);
  }

  bool fits(const Statement& s) {
    switch (s.kind) {
      case Statement::Kind::compute: {
        const Instruction& i = k_.instructions[static_cast<std::size_t>(s.value)];
        if (differs(i.mask)) return false;
        if (i.kind == Instruction::Kind::load) return buffer_fits(i.target, i.index, false);
        if (i.kind == Instruction::Kind::load_array) return array_fits(i.target, i.index, false);
        return true;
      }
      case Statement::Kind::store:
        return !differs(s.mask) && buffer_fits(s.target, s.index, true);
      case Statement::Kind::store_array:
        return array_fits(s.target, s.index, true);
      case Statement::Kind::loop:
        return !index_.varies(lanes_, s.begin) && !index_.varies(lanes_, s.end);
      case Statement::Kind::branch:
        return !differs(s.value);
      case Statement::Kind::transpose:
        return false;
      default:
        return true;
    }
  }

  const Kernel& k_;
  const std::vector<CudaArray>& arrays_;
  CudaIndex index_;
  const CudaLanes& lanes_;
  bool has_pack_ = false;
};

}  // namespace

void mark_varying(const Kernel& kernel, const std::vector<CudaArray>& arrays, CudaLanes& lanes,
                  std::int32_t block) {
  lanes.varies.assign(kernel.instructions.size(), false);
  Marker(kernel, arrays, lanes).block(block);
}

std::int64_t cuda_code_size(const Kernel& kernel, std::int32_t block) {
  std::int64_t code = 0;
  if (block < 0) return code;
  for (const Statement& s : kernel.blocks[static_cast<std::size_t>(block)].statements) {
    if (s.kind == Statement::Kind::compute) {
      const Instruction& i = kernel.instructions[static_cast<std::size_t>(s.value)];
      code += i.kind == Instruction::Kind::op ? cuda_weight(i.op, i.dtype) : 1;
    } else {
      ++code;
    }
    code += cuda_code_size(kernel, s.body) + cuda_code_size(kernel, s.other);
  }
  return code;
}

int cuda_lane_count(const Kernel& kernel, const std::vector<CudaArray>& arrays, std::int32_t body,
                    std::int32_t variable, std::int64_t trips) {
  const std::int64_t code = cuda_code_size(kernel, body);
  CudaLanes lanes;
  lanes.variable = variable;
  mark_varying(kernel, arrays, lanes, body);
  for (lanes.count = most_lanes; lanes.count > 1; lanes.count /= 2) {
    if (trips < lanes.count || code * lanes.count > most_code) continue;
    LaneAccesses accesses(kernel, arrays, lanes);
    if (accesses.fit(body) && accesses.has_pack()) return lanes.count;
  }
  return 1;
}

}  // namespace croton
