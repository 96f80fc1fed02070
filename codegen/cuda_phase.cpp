#include "croton/codegen/cuda_phase.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "croton/codegen/cuda_lanes.h"
#include "croton/codegen/cuda_scalar.h"

namespace croton {

CudaPhaseWriter::CudaPhaseWriter(const Kernel& kernel, const KernelUses& uses, const Phase& phase,
                                 CudaSchedule schedule, std::string function, bool is_part)
    : k_(kernel),
      uses_(uses),
      phase_(phase),
      function_(std::move(function)),
      is_part_(is_part),
      s_(std::move(schedule)),
      index_(kernel) {
  lanes_.varies.assign(kernel.instructions.size(), false);
}

void CudaPhaseWriter::line(const std::string& text) {
  out_.append(static_cast<std::size_t>(2 * depth_), ' ').append(text).push_back('\n');
}
void CudaPhaseWriter::open(const std::string& text) {
  line(text.empty() ? "{" : text + " {");
  ++depth_;
}
void CudaPhaseWriter::close() {
  --depth_;
  line("}");
}

std::string CudaPhaseWriter::write() {
  find_buffers();
  ++depth_;
  switch (s_.mode) {
    case CudaSchedule::Mode::flat:
      flat();
      break;
    case CudaSchedule::Mode::group:
      groups();
      break;
    case CudaSchedule::Mode::thread:
      threads();
      break;
  }
  --depth_;
  return signature() + out_ + "}\n";
}

void CudaPhaseWriter::find_buffers() {
  Accesses all;
  accesses_of(phase_.body, all);
  std::set<std::int32_t> used;
  for (const auto* list : {&all.read, &all.written}) {
    for (const std::int32_t id : *list) {
      if (id < static_cast<std::int32_t>(k_.buffers.size())) used.insert(id);
    }
  }
  buffers_.assign(used.begin(), used.end());
}

std::string CudaPhaseWriter::signature() const {
  std::string parameters;
  for (const std::int32_t id : buffers_) {
    const BufferInfo& b = k_.buffers[static_cast<std::size_t>(id)];
    // What one part writes, another may read under another name: from __restrict__ the compiler concludes
    // that nothing changes what is read, and reads it through the cache that sees no writes of the same
    // launch.
    const bool may_alias = b.may_alias || is_part_;
    parameters += fmt::format("{}{}{}* {}b{}", parameters.empty() ? "" : ", ",
                              b.role == BufferInfo::Role::in ? "const " : "", cuda_memory_type(b.dtype),
                              may_alias ? "" : "__restrict__ ", id);
  }
  if (is_part_) {
    return fmt::format("DEVICE void {}(const i32 part{}{}) {{\n", function_, parameters.empty() ? "" : ", ",
                       parameters);
  }
  return fmt::format("extern \"C\" __global__ void __launch_bounds__({}) {}({}) {{\n", s_.block, function_,
                     parameters);
}

void CudaPhaseWriter::declare_thread_arrays() {
  for (std::size_t i = 0; i < s_.arrays.size(); ++i) {
    if (s_.arrays[i].place != CudaArray::Place::thread) continue;
    line(fmt::format("{} a{}[{}];", cuda_memory_type(k_.arrays[i].dtype), i,
                     std::max<std::int64_t>(k_.arrays[i].count, 1)));
  }
}

/// The buffers that are accessed several elements at a time.
void CudaPhaseWriter::packed_buffers(std::int32_t id, std::set<std::int32_t>& buffers) const {
  if (id < 0) return;
  for (const Statement& s : k_.blocks[static_cast<std::size_t>(id)].statements) {
    if (s.kind == Statement::Kind::compute) {
      const Instruction& i = instruction(s.value);
      if (i.kind == Instruction::Kind::load && is_pack(i.index, buffer_type(i.target)))
        buffers.insert(i.target);
    }
    if (s.kind == Statement::Kind::store && is_pack(s.index, buffer_type(s.target))) buffers.insert(s.target);
    packed_buffers(s.body, buffers);
    packed_buffers(s.other, buffers);
  }
}

std::string CudaPhaseWriter::aligned_condition(const std::set<std::int32_t>& buffers) const {
  std::string all;
  for (const std::int32_t id : buffers) all += fmt::format("{}(u64)b{}", all.empty() ? "" : " | ", id);
  return fmt::format("(({}) & 15) == 0", all);
}

/// Buffers of which a thread accesses elements side by side one by one, the first at an even place. Where the
/// compiler may take the memory as aligned it makes one access of them.
void CudaPhaseWriter::neighbour_buffers(std::int32_t id, std::set<std::int32_t>& buffers) const {
  if (id < 0) return;
  // Of loads and of stores: a buffer, the terms of the index -> the constants that are added, those of them
  // apart that make the index even.
  struct Constants {
    std::set<std::int64_t> all, even;
  };
  using Place = std::pair<std::int32_t, std::vector<std::pair<std::int32_t, std::int64_t>>>;
  std::map<Place, Constants> loads, stores;
  const auto access = [&](std::map<Place, Constants>& places, std::int32_t buffer, std::int32_t index,
                          std::int32_t mask) {
    const IndexNode& n = k_.indices[static_cast<std::size_t>(index)];
    if (mask >= 0 || n.op != IndexOp::affine || size_of(buffer_type(buffer)) > 8) return;
    Constants& constants = places[{buffer, n.terms}];
    constants.all.insert(n.constant);
    if (index_.multiple(lanes_, index) % 2 == 0) constants.even.insert(n.constant);
    if ((constants.even.contains(n.constant) && constants.all.contains(n.constant + 1)) ||
        constants.even.contains(n.constant - 1)) {
      buffers.insert(buffer);
    }
  };
  for (const Statement& s : k_.blocks[static_cast<std::size_t>(id)].statements) {
    if (s.kind == Statement::Kind::compute) {
      const Instruction& i = instruction(s.value);
      if (i.kind == Instruction::Kind::load) access(loads, i.target, i.index, i.mask);
    }
    if (s.kind == Statement::Kind::store) access(stores, s.target, s.index, s.mask);
    neighbour_buffers(s.body, buffers);
    neighbour_buffers(s.other, buffers);
  }
}

void CudaPhaseWriter::assume_aligned(const std::set<std::int32_t>& buffers) {
  for (const std::int32_t id : buffers) line(fmt::format("ASSUME_ALIGNED(b{});", id));
}

void CudaPhaseWriter::flat() {
  const std::int64_t n = phase_.extent;
  const bool is_wide = n > std::numeric_limits<std::int32_t>::max() - 65536;
  const std::string_view type = is_wide ? "i64" : "i32";
  const std::string variable = fmt::format("j{}", phase_.variable);
  const std::int64_t tile = std::int64_t{s_.block} * s_.lanes * s_.packs;
  grid_ = static_cast<std::uint32_t>((n + tile - 1) / tile);
  lanes_.variable = phase_.variable;
  if (tile == s_.block) {
    mark_varying(k_, s_.arrays, lanes_, phase_.body);
    line(fmt::format("const {0} {1} = ({0}){3} * {2} + (i32)threadIdx.x;", type, variable, s_.block,
                     block_number()));
    line(fmt::format("if ({} >= {}) return;", variable, n));
    declare_thread_arrays();
    std::set<std::int32_t> neighbours;
    neighbour_buffers(phase_.body, neighbours);
    if (!neighbours.empty()) {
      open(fmt::format("if ({})", aligned_condition(neighbours)));
      assume_aligned(neighbours);
      block(phase_.body);
      line("return;");
      close();
      lane_locals_.clear();
    }
    block(phase_.body);
    return;
  }
  lanes_.count = s_.lanes;
  lanes_.packs = s_.packs;
  mark_varying(k_, s_.arrays, lanes_, phase_.body);
  std::set<std::int32_t> packed;
  packed_buffers(phase_.body, packed);
  line(fmt::format("const {0} first = ({0}){2} * {1};", type, tile, block_number()));
  open(fmt::format("if (first + {} <= {} && {})", tile, n, aligned_condition(packed)));
  for (int pack = 0; pack < s_.packs; ++pack) {
    line(fmt::format("const {} {} = first + {} + (i32)threadIdx.x * {};", type,
                     index_.variable(lanes_, phase_.variable, pack * s_.lanes), pack * s_.block * s_.lanes,
                     s_.lanes));
  }
  block(phase_.body);
  line("return;");
  close();
  // The last block, and memory that is not aligned.
  lanes_.count = lanes_.packs = 1;
  lane_locals_.clear();
  line(fmt::format("const {0} last = first + {1} < {2} ? first + {1} : {2};", type, tile, n));
  line("#pragma unroll 1");
  open(fmt::format("for ({0} {1} = first + (i32)threadIdx.x; {1} < last; {1} += {2})", type, variable,
                   s_.block));
  block(phase_.body);
  close();
}

void CudaPhaseWriter::threads() {
  const std::string variable = fmt::format("j{}", phase_.variable);
  const std::string_view type =
      phase_.extent > std::numeric_limits<std::int32_t>::max() - 65536 ? "i64" : "i32";
  if (s_.one_after_other) {
    open(fmt::format("for ({0} {1} = 0; {1} < {2}; ++{1})", type, variable, phase_.extent));
  } else {
    grid_ = static_cast<std::uint32_t>((phase_.extent + s_.block - 1) / s_.block);
    line(fmt::format("const {0} {1} = ({0}){3} * {2} + (i32)threadIdx.x;", type, variable, s_.block,
                     block_number()));
    line(fmt::format("if ({} >= {}) return;", variable, phase_.extent));
  }
  declare_thread_arrays();
  block(phase_.body);
  if (s_.one_after_other) close();
}

void CudaPhaseWriter::groups() {
  declare_group();
  enter_group_index();
  std::set<std::int32_t> packed, neighbours;
  group_packed_buffers(packed);
  for (const auto& [body, count] : s_.loop_lanes) neighbour_buffers(body, neighbours);
  packed.insert(neighbours.begin(), neighbours.end());
  if (packed.empty()) {
    block(phase_.body);
  } else {
    // Memory accessed several elements at a time must be aligned, or else one at a time.
    open(fmt::format("if ({})", aligned_condition(packed)));
    assume_aligned(neighbours);
    block(phase_.body);
    --depth_;
    line("} else {");
    ++depth_;
    since_barrier_ = {};
    written_by_first_.clear();
    one_lane_ = true;
    block(phase_.body);
    close();
  }
  if (s_.one_after_other) {
    barrier();
    close();
  }
  place_in_shared_memory();
}

/// The thread's number in its group, the group's threads in their warp, its arrays.
void CudaPhaseWriter::declare_group() {
  const int groups = s_.groups_per_block();
  if (groups == 1) {
    line("const i32 t = (i32)threadIdx.x;");
  } else {
    line(fmt::format("const i32 t = (i32)threadIdx.x % {};", s_.group));
  }
  if (s_.group < 32) {
    line(fmt::format("const u32 group = {:#x}u << ((i32)threadIdx.x & {});", (1u << s_.group) - 1,
                     32 - s_.group));
  } else if (s_.group == 32) {
    line("const u32 group = 0xffffffffu;");
  } else {
    line("const u32 group = 0xffffffffu;  // of each warp");
  }
  const std::string place =
      groups == 1 ? std::string() : fmt::format(" + (i32)threadIdx.x / {} * {}", s_.group, s_.array_bytes);
  for (std::size_t i = 0; i < s_.arrays.size(); ++i) {
    const CudaArray& a = s_.arrays[i];
    const std::string_view element = cuda_memory_type(k_.arrays[i].dtype);
    if (a.place == CudaArray::Place::shared) {
      line(fmt::format("{0}* const a{1} = ({0}*)(shared_memory{2} + {3});", element, i, place, a.offset));
    }
    if (a.place == CudaArray::Place::registers) {
      line(fmt::format("{} a{}[{}];", cuda_value_type(k_.arrays[i].dtype), i, a.slots));
    }
  }
}

/// Opens a loop where one group runs all indices; otherwise threads without one return.
void CudaPhaseWriter::enter_group_index() {
  const std::string variable = fmt::format("j{}", phase_.variable);
  const std::string_view type =
      phase_.extent > std::numeric_limits<std::int32_t>::max() - 65536 ? "i64" : "i32";
  const int groups = s_.groups_per_block();
  if (s_.one_after_other) {
    open(fmt::format("for ({0} {1} = 0; {1} < {2}; ++{1})", type, variable, phase_.extent));
    ++group_depth_;
    return;
  }
  grid_ = static_cast<std::uint32_t>((phase_.extent + groups - 1) / groups);
  if (groups == 1) {
    line(fmt::format("const {} {} = {};", type, variable, block_number()));
  } else {
    line(fmt::format("const {0} {1} = ({0}){4} * {2} + (i32)threadIdx.x / {3};", type, variable, groups,
                     s_.group, block_number()));
  }
  if (groups > 1 && phase_.extent % groups != 0)
    line(fmt::format("if ({} >= {}) return;", variable, phase_.extent));
  if (groups == 1 && s_.block > s_.group) line(fmt::format("if (threadIdx.x >= {}) return;", s_.group));
}

void CudaPhaseWriter::group_packed_buffers(std::set<std::int32_t>& buffers) {
  for (const auto& [body, count] : s_.loop_lanes) {
    if (count == 1) continue;
    for (const Block& b : k_.blocks) {
      for (const Statement& s : b.statements) {
        if (s.kind != Statement::Kind::loop || s.body != body) continue;
        enter_lanes(s, count);
        packed_buffers(body, buffers);
        leave_lanes();
      }
    }
  }
}

/// Reductions come behind the arrays, in two parts of equal size.
void CudaPhaseWriter::place_in_shared_memory() {
  const std::int64_t arrays = s_.array_bytes * s_.groups_per_block();
  shared_bytes_ = static_cast<std::uint32_t>(arrays + reduction_bytes_ * (s_.group > 32 ? 2 : 0));
  if (shared_bytes_ > 0) out_ = "  SHARED\n" + out_;
  for (const auto& [name, at] :
       {std::pair<std::string, std::int64_t>{"@0", arrays}, {"@1", arrays + reduction_bytes_}}) {
    for (std::size_t found = out_.find(name); found != std::string::npos; found = out_.find(name, found)) {
      out_.replace(found, name.size(), std::to_string(at));
    }
  }
}

}  // namespace croton
