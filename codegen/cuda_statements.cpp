#include <fmt/format.h>

#include <algorithm>

#include "croton/codegen/cuda_phase.h"
#include "croton/codegen/cuda_scalar.h"

namespace croton {

void CudaPhaseWriter::block(std::int32_t id) {
  for (const Statement& s : k_.blocks[static_cast<std::size_t>(id)].statements) statement(s);
}

std::string CudaPhaseWriter::local(std::int32_t id, int lane) const {
  if (lanes_.total() > 1 && lane_locals_.contains(id)) return fmt::format("l{}_{}", id, lane);
  return fmt::format("l{}", id);
}

std::string CudaPhaseWriter::memory(std::int32_t id, bool is_array) const {
  return fmt::format("{}{}", is_array ? 'a' : 'b', id);
}

std::string CudaPhaseWriter::element(std::int32_t id, bool is_array, std::int32_t at, int lane) const {
  if (is_array && array(id).place == CudaArray::Place::registers) {
    return fmt::format("a{}[{} * {} + {}]", id, slot_, lanes_.count, lane);
  }
  return fmt::format("{}[{}]", memory(id, is_array), index(at, lane));
}

/// Whether the lanes of a pack are one access of memory that begins at a multiple of its size.
bool CudaPhaseWriter::is_pack(std::int32_t at, DType dtype) const {
  return lanes_.count > 1 && index_.stride(lanes_, at) == 1 &&
         index_.multiple(lanes_, at) % lanes_.count == 0 && lanes_.count * size_of(dtype) <= 16;
}

std::string CudaPhaseWriter::load(const Instruction& i, int lane) const {
  const bool is_array = i.kind == Instruction::Kind::load_array;
  const DType dtype = is_array ? array_type(i.target) : buffer_type(i.target);
  const std::string text = element(i.target, is_array, i.index, lane);
  // Arrays in registers hold values, not elements.
  const bool is_value = is_array && array(i.target).place == CudaArray::Place::registers;
  const std::string loaded = is_value ? text : cuda_loaded(dtype, text);
  if (i.mask < 0) return loaded;
  return fmt::format("{} ? {} : {}", value(i.mask, lane), loaded, value(i.operands[0], lane));
}

std::string CudaPhaseWriter::expression(const Instruction& i, int lane) const {
  switch (i.kind) {
    case Instruction::Kind::constant:
      return cuda_constant(i);
    case Instruction::Kind::cast:
      return cuda_cast(value(i.operands[0], lane), instruction(i.operands[0]).dtype, i.rounded);
    case Instruction::Kind::load:
    case Instruction::Kind::load_array:
      return load(i, lane);
    case Instruction::Kind::get:
      return local(i.target, lane);
    case Instruction::Kind::index:
      return fmt::format("(i64){}", index(i.index, lane));
    case Instruction::Kind::compare_index:
      // The indices may differ in width; C++ widens.
      return cuda_operation(i.op, DType::int64, index(i.operands[0], lane), index(i.operands[1], lane), {});
    case Instruction::Kind::op:
      break;
  }
  const auto product = [&](std::int32_t id) {
    return uses_.is_fused[static_cast<std::size_t>(id)] ? &instruction(id) : nullptr;
  };
  if ((i.op == ScalarOp::add || i.op == ScalarOp::sub) && is_floating(i.dtype)) {
    const bool is_sub = i.op == ScalarOp::sub;
    if (const Instruction* p = product(i.operands[0])) {
      return cuda_fma(i.dtype, value(p->operands[0], lane), value(p->operands[1], lane),
                      (is_sub ? "-" : "") + value(i.operands[1], lane));
    }
    if (const Instruction* p = product(i.operands[1])) {
      return cuda_fma(i.dtype, (is_sub ? "-" : "") + value(p->operands[0], lane), value(p->operands[1], lane),
                      value(i.operands[0], lane));
    }
  }
  const int arity = arity_of(i.op);
  return cuda_operation(i.op, instruction(i.operands[arity - 1]).dtype, value(i.operands[0], lane),
                        arity > 1 ? value(i.operands[1], lane) : std::string(),
                        arity > 2 ? value(i.operands[2], lane) : std::string());
}

void CudaPhaseWriter::compute(std::int32_t id) {
  if (uses_.is_fused[static_cast<std::size_t>(id)]) return;
  const Instruction& i = instruction(id);
  const bool varies = lanes_.varies[static_cast<std::size_t>(id)];
  const int lanes = varies ? lanes_.total() : 1;
  const bool is_array = i.kind == Instruction::Kind::load_array;
  const bool is_memory =
      i.kind == Instruction::Kind::load || (is_array && array(i.target).place == CudaArray::Place::shared);
  if (is_memory && varies && i.mask < 0 &&
      is_pack(i.index, is_array ? array_type(i.target) : buffer_type(i.target))) {
    const DType dtype = is_array ? array_type(i.target) : buffer_type(i.target);
    for (int lane = 0; lane < lanes; lane += lanes_.count) {
      line(fmt::format("const Pack<{0}, {1}> p{2}_{3} = load_pack<{1}>({4} + {5});", cuda_memory_type(dtype),
                       lanes_.count, id, lane, memory(i.target, is_array), index(i.index, lane)));
    }
    for (int lane = 0; lane < lanes; ++lane) {
      const std::string element =
          fmt::format("p{}_{}.at[{}]", id, lane - lane % lanes_.count, lane % lanes_.count);
      line(fmt::format("const {} {} = {};", cuda_value_type(i.dtype), value(id, lane),
                       cuda_loaded(dtype, element)));
    }
    return;
  }
  for (int lane = 0; lane < lanes; ++lane) {
    line(fmt::format("const {} {} = {};", cuda_value_type(i.dtype), value(id, lane), expression(i, lane)));
  }
}

void CudaPhaseWriter::store(const Statement& s) {
  const bool is_array = s.kind == Statement::Kind::store_array;
  const bool is_value = is_array && array(s.target).place == CudaArray::Place::registers;
  const DType dtype = is_array ? array_type(s.target) : buffer_type(s.target);
  const auto stored = [&](int lane) {
    const std::string v = value(s.value, lane);
    if (!is_value) return cuda_stored(dtype, v);
    // What an array keeps is rounded to its dtype.
    return cuda_loaded(dtype, cuda_stored(dtype, v));
  };
  if (s.mask < 0 && !is_value && is_pack(s.index, dtype)) {
    for (int lane = 0; lane < lanes_.total(); lane += lanes_.count) {
      std::string elements;
      for (int i = 0; i < lanes_.count; ++i) elements += (i == 0 ? "" : ", ") + stored(lane + i);
      line(fmt::format("store_pack<{}>({} + {}, {{{{{}}}}});", lanes_.count, memory(s.target, is_array),
                       index(s.index, lane), elements));
    }
    return;
  }
  // Outside vector loops every thread of a group has the value and one stores it.
  const std::string one = is_group() && !in_vector_loop_ ? "if (t == 0) " : "";
  for (int lane = 0; lane < lanes_.total(); ++lane) {
    const std::string condition = s.mask < 0 ? "" : fmt::format("if ({}) ", value(s.mask, lane));
    line(fmt::format("{}{}{} = {};", one, condition, element(s.target, is_array, s.index, lane),
                     stored(lane)));
  }
}

/// 32 bits where all values of the variable, and those just past the end, fit.
std::string_view CudaPhaseWriter::loop_type(const Statement& s) const {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max() - (1 << 21);
  for (const IndexNode& n : k_.indices) {
    if (n.op != IndexOp::variable || n.operands[0] != s.target) continue;
    return n.low >= -most && n.high <= most && s.step <= 1024 ? "i32" : "i64";
  }
  return "i64";
}

void CudaPhaseWriter::loop(const Statement& s) {
  if (s.mark.kind == LoopKind::vectorize && is_group() && !in_vector_loop_) {
    vector_loop(s);
    return;
  }
  // In code that a whole group runs: what one round writes the next may read.
  const bool is_shared = is_group() && !in_vector_loop_;
  if (s.mark.kind == LoopKind::unroll) {
    line("#pragma unroll");
  } else if (is_shared) {
    line("#pragma unroll 1");
  } else if (!uses_.blocks[static_cast<std::size_t>(s.body)].has_inner_loop) {
    // Loads of several rounds wait for memory together.
    line(uses_.blocks[static_cast<std::size_t>(s.body)].operations <= 12 ? "#pragma unroll 8"
                                                                         : "#pragma unroll 2");
  }
  open(fmt::format("for ({0} j{1} = {2}; j{1} < {3}; j{1} += {4})", loop_type(s), s.target, index(s.begin, 0),
                   index(s.end, 0), s.step));
  if (is_shared) ++group_depth_;
  block(s.body);
  if (is_shared) {
    --group_depth_;
    Accesses next_round;
    accesses_of(s.body, next_round);
    before(next_round, /*is_done=*/false);
  }
  close();
}

void CudaPhaseWriter::branch(const Statement& s) {
  const bool is_shared = is_group() && !in_vector_loop_;
  const Accesses before_branch = since_barrier_;
  if (is_shared) ++group_depth_;
  open(fmt::format("if ({})", value(s.value, 0)));
  block(s.body);
  close();
  const Accesses after_then = since_barrier_;
  since_barrier_ = before_branch;
  written_by_first_.clear();
  if (s.other >= 0) {
    open("else");
    block(s.other);
    close();
  }
  if (is_shared) --group_depth_;
  since_barrier_.read.insert(after_then.read.begin(), after_then.read.end());
  since_barrier_.written.insert(after_then.written.begin(), after_then.written.end());
  written_by_first_.clear();
}

/// Element by element: the group's threads side by side along rows of what is written.
void CudaPhaseWriter::transpose(const Statement& s) {
  const std::string first = is_group() ? "t" : "0";
  const int threads = is_group() ? s_.group : 1;
  open(fmt::format("for (i32 e = {}; e < {}; e += {})", first, s.tile[0] * s.tile[1], threads));
  line(fmt::format("const i64 row = e % {}, column = e / {};", s.tile[0], s.tile[0]));
  line(fmt::format("b{}[{} + column * {} + row] = b{}[{} + row * {} + column];", s.target, index(s.index, 0),
                   s.strides[0], s.second, index(s.second_index, 0), s.strides[1]));
  close();
}

void CudaPhaseWriter::reduce(const Statement& s) {
  const bool accumulates = accumulating_.contains(s.target);
  const DType dtype = k_.locals[static_cast<std::size_t>(s.target)].dtype;
  const bool is_product = uses_.is_fused[static_cast<std::size_t>(s.value)];
  for (int lane = 0; lane < lanes_.total(); ++lane) {
    const std::string to = accumulates ? accumulator(s.target, lane) : local(s.target, lane);
    if (is_product) {
      const Instruction& p = instruction(s.value);
      line(fmt::format("{} = {};", to,
                       cuda_fma(dtype, value(p.operands[0], lane), value(p.operands[1], lane), to)));
    } else {
      line(fmt::format("{} = {};", to, cuda_operation(s.op, dtype, to, value(s.value, lane), {})));
    }
  }
}

void CudaPhaseWriter::reduce_arg(const Statement& s) {
  const bool accumulates = accumulating_.contains(s.target);
  for (int lane = 0; lane < lanes_.total(); ++lane) {
    const std::string to = accumulates ? accumulator(s.target, lane) : local(s.target, lane);
    const std::string where = accumulates ? accumulator(s.second, lane) : local(s.second, lane);
    combine_arg({s.target, s.second, s.op}, to, where, value(s.value, lane), value(s.index_value, lane));
  }
}

void CudaPhaseWriter::statement(const Statement& s) {
  if (is_group() && !in_vector_loop_ && s.kind != Statement::Kind::loop &&
      s.kind != Statement::Kind::branch) {
    Accesses accesses;
    accesses_of(s, accesses);
    // One thread's stores wait for nobody.
    const bool is_store = s.kind == Statement::Kind::store || s.kind == Statement::Kind::store_array;
    const auto is_ready = [&](std::int32_t id) {
      return written_by_first_.contains(id) && !since_barrier_.read.contains(id);
    };
    if (!is_store || !std::ranges::all_of(accesses.written, is_ready)) {
      before(accesses);
      if (is_store) written_by_first_.insert(accesses.written.begin(), accesses.written.end());
    }
  }
  switch (s.kind) {
    case Statement::Kind::compute:
      return compute(s.value);
    case Statement::Kind::declare:
      if (lanes_.variable >= 0) lane_locals_.insert(s.target);
      [[fallthrough]];
    case Statement::Kind::set: {
      const DType dtype = k_.locals[static_cast<std::size_t>(s.target)].dtype;
      const bool is_new = s.kind == Statement::Kind::declare;
      const int lanes = lane_locals_.contains(s.target) ? lanes_.total() : 1;
      for (int lane = 0; lane < lanes; ++lane) {
        line(fmt::format("{}{} = {};", is_new ? std::string(cuda_value_type(dtype)) + " " : "",
                         local(s.target, lane), value(s.value, lane)));
      }
      return;
    }
    case Statement::Kind::reduce:
      return reduce(s);
    case Statement::Kind::reduce_arg:
      return reduce_arg(s);
    case Statement::Kind::store:
    case Statement::Kind::store_array:
      return store(s);
    case Statement::Kind::loop:
      return loop(s);
    case Statement::Kind::branch:
      return branch(s);
    case Statement::Kind::transpose:
      return transpose(s);
    case Statement::Kind::prefetch:
      return;  // the builder makes none for a GPU
  }
}

}  // namespace croton
