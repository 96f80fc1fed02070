// Vector loops of a group: their iterations are shared out between the group's threads, and what they reduce
// is combined in a fixed order, so that every thread has the same bits.

#include <fmt/format.h>

#include <algorithm>

#include "croton/codegen/cuda_lanes.h"
#include "croton/codegen/cuda_phase.h"
#include "croton/codegen/cuda_scalar.h"

namespace croton {

namespace {

// Loops of a thread no longer than this, and of so many operations in all, are written out; of others some
// rounds, fewer where the body has many operations.
constexpr std::int64_t most_unrolled = 32;
constexpr std::int64_t most_operations_unrolled = 512;
constexpr int rounds_together = 4, long_rounds_together = 2;
constexpr std::int64_t long_thread_body = 32;
constexpr int warp = 32;

}  // namespace

void CudaPhaseWriter::barrier() {
  line(s_.group > warp ? "block_barrier();" : "group_barrier(group);");
  since_barrier_ = {};
  written_by_first_.clear();
}

void CudaPhaseWriter::before(const Accesses& accesses, bool is_done) {
  const auto meets = [](const std::set<std::int32_t>& a, const std::set<std::int32_t>& b) {
    return std::ranges::any_of(a, [&](std::int32_t id) { return b.contains(id); });
  };
  if (meets(accesses.read, since_barrier_.written) || meets(accesses.written, since_barrier_.written) ||
      meets(accesses.written, since_barrier_.read)) {
    barrier();
  }
  if (!is_done) return;
  since_barrier_.read.insert(accesses.read.begin(), accesses.read.end());
  since_barrier_.written.insert(accesses.written.begin(), accesses.written.end());
}

void CudaPhaseWriter::accesses_of(const Statement& s, Accesses& accesses) const {
  const auto array_id = [&](std::int32_t id) { return static_cast<std::int32_t>(k_.buffers.size()) + id; };
  const auto is_shared = [&](std::int32_t id) { return array(id).place == CudaArray::Place::shared; };
  switch (s.kind) {
    case Statement::Kind::compute: {
      const Instruction& i = instruction(s.value);
      if (i.kind == Instruction::Kind::load) accesses.read.insert(i.target);
      if (i.kind == Instruction::Kind::load_array && is_shared(i.target))
        accesses.read.insert(array_id(i.target));
      break;
    }
    case Statement::Kind::store:
      accesses.written.insert(s.target);
      break;
    case Statement::Kind::store_array:
      if (is_shared(s.target)) accesses.written.insert(array_id(s.target));
      break;
    case Statement::Kind::transpose:
      accesses.read.insert(s.second);
      accesses.written.insert(s.target);
      break;
    default:
      break;
  }
  accesses_of(s.body, accesses);
  accesses_of(s.other, accesses);
}

void CudaPhaseWriter::accesses_of(std::int32_t block, Accesses& accesses) const {
  if (block < 0) return;
  for (const Statement& s : k_.blocks[static_cast<std::size_t>(block)].statements) accesses_of(s, accesses);
}

std::string CudaPhaseWriter::accumulator(std::int32_t id, int lane) const {
  return lanes_.total() > 1 ? fmt::format("r{}_{}", id, lane) : fmt::format("r{}", id);
}

void CudaPhaseWriter::enter_lanes(const Statement& s, int count) {
  lanes_.variable = s.target;
  lanes_.count = count;
  lanes_.packs = 1;
  mark_varying(k_, s_.arrays, lanes_, s.body);
}

void CudaPhaseWriter::leave_lanes() {
  lanes_.variable = -1;
  lanes_.count = 1;
  lanes_.varies.assign(k_.instructions.size(), false);
  lane_locals_.clear();
}

void CudaPhaseWriter::vector_loop(const Statement& s) {
  const int count = one_lane_ ? 1 : s_.loop_lanes.at(s.body);
  Accesses accesses;
  accesses_of(s.body, accesses);
  before(accesses);
  open("");
  enter_lanes(s, count);
  in_vector_loop_ = true;
  begin_reductions(s, count);
  const std::int64_t trips = cuda_trip_count(k_, s);
  if (trips >= 0 && s.step == 1) {
    constant_trips(s, trips, count);
  } else {
    open_trips(s, count);
  }
  end_reductions(s, count);
  in_vector_loop_ = false;
  leave_lanes();
  close();
}

/// Arrays in registers can only be indexed by constants: loops over them are written out.
bool CudaPhaseWriter::touches_registers(std::int32_t id) const {
  if (id < 0) return false;
  const auto is_register = [&](std::int32_t array_id) {
    return array(array_id).place == CudaArray::Place::registers;
  };
  return std::ranges::any_of(k_.blocks[static_cast<std::size_t>(id)].statements, [&](const Statement& s) {
    if (s.kind == Statement::Kind::store_array && is_register(s.target)) return true;
    if (s.kind == Statement::Kind::compute) {
      const Instruction& i = instruction(s.value);
      if (i.kind == Instruction::Kind::load_array && is_register(i.target)) return true;
    }
    return touches_registers(s.body) || touches_registers(s.other);
  });
}

void CudaPhaseWriter::constant_trips(const Statement& s, std::int64_t trips, int count) {
  const std::string variable = fmt::format("j{}", s.target);
  const std::string step = fmt::format("s{}", s.target);
  const std::int64_t begin = k_.indices[static_cast<std::size_t>(s.begin)].constant;
  const std::int64_t at_once = std::int64_t{s_.group} * count;
  const std::int64_t rounds = (trips + at_once - 1) / at_once;
  const std::int64_t whole = trips / at_once;
  slot_ = step;
  const std::int64_t operations = rounds * count * uses_.blocks[static_cast<std::size_t>(s.body)].operations;
  const bool is_written_out =
      touches_registers(s.body) || (rounds <= most_unrolled && operations <= most_operations_unrolled);
  const std::string_view type =
      begin + trips + at_once > std::numeric_limits<std::int32_t>::max() ? "i64" : "i32";
  const std::string first =
      count == 1 ? fmt::format("t + {}", begin) : fmt::format("t * {} + {}", count, begin);
  const auto round = [&](const std::string& condition) {
    line(fmt::format("const {0} {1} = ({0}){2} * {3} + {4};", type, variable, step, at_once, first));
    declare_thread_arrays();
    if (!condition.empty()) open(fmt::format("if ({})", condition));
    block(s.body);
    if (!condition.empty()) close();
    close();
  };
  const std::string exists = fmt::format("{} < {}", variable, begin + trips);
  // Whole rounds by themselves, so that nothing stands between what some of them wait for.
  const std::int64_t together = is_written_out ? rounds : whole;
  if (together > 1) {
    const bool is_long = operations > rounds * long_thread_body;
    line(is_written_out ? "#pragma unroll"
                        : fmt::format("#pragma unroll {}", is_long ? long_rounds_together : rounds_together));
    open(fmt::format("for (i32 {0} = 0; {0} < {1}; ++{0})", step, together));
    round(whole == rounds || !is_written_out ? std::string()
          : whole == 0                       ? exists
                                             : fmt::format("{} < {} || {}", step, whole, exists));
  } else if (together == 1) {
    open("");
    line(fmt::format("const i32 {} = 0;", step));
    round(whole == 1 ? std::string() : exists);
  }
  if (together < rounds) {
    open("");
    line(fmt::format("const i32 {} = {};", step, together));
    round(exists);
  }
}

void CudaPhaseWriter::open_trips(const Statement& s, int count) {
  const std::string_view type = loop_type(s);
  const std::string variable = fmt::format("j{}", s.target);
  const std::string begin = index(s.begin, 0), end = index(s.end, 0);
  const std::int64_t stride = std::int64_t{s_.group} * count * s.step;
  line("#pragma unroll 4");
  open(count == 1 ? fmt::format("for ({0} {1} = {2} + t * {3}; {1} < {4}; {1} += {5})", type, variable, begin,
                                s.step, end, stride)
                  : fmt::format("for ({0} {1} = {2} + t * {3}; {1} + {6} <= {4}; {1} += {5})", type, variable,
                                begin, count, end, stride, count));
  declare_thread_arrays();
  block(s.body);
  close();
  if (count == 1) return;
  // What is left over, less than a pack a loop.
  enter_lanes(s, 1);
  open(fmt::format(
      "for ({0} {1} = {2} + ({3} > {2} ? ({3} - {2}) / {4} * {4} : 0) + t; {1} < {3}; {1} += {5})", type,
      variable, begin, end, count, s_.group));
  for (const std::int32_t id : accumulating_) line(fmt::format("auto& r{0} = r{0}_0;", id));
  block(s.body);
  close();
  enter_lanes(s, count);
}

void CudaPhaseWriter::begin_reductions(const Statement& s, int count) {
  for (const auto& r : uses_.blocks[static_cast<std::size_t>(s.body)].reductions) {
    const auto declare = [&](std::int32_t id, const std::string& first) {
      const DType dtype = k_.locals[static_cast<std::size_t>(id)].dtype;
      for (int lane = 0; lane < count; ++lane) {
        line(fmt::format("{} {} = {};", cuda_value_type(dtype), accumulator(id, lane), first));
      }
      accumulating_.insert(id);
    };
    const std::string identity =
        r.second >= 0 ? std::string()
                      : cuda_identity(r.op, k_.locals[static_cast<std::size_t>(r.local)].dtype);
    declare(r.local, identity.empty() ? fmt::format("l{}", r.local) : identity);
    if (r.second >= 0) declare(r.second, fmt::format("l{}", r.second));
  }
}

void CudaPhaseWriter::combine_arg(const KernelUses::BlockFacts::Reduction& r, const std::string& extreme,
                                  const std::string& where, const std::string& other,
                                  const std::string& other_where) {
  const char sign = r.op == ScalarOp::max ? '>' : '<';
  open(fmt::format(
      "if ({2} {4} {0} || (holds_nan({2}) && !holds_nan({0})) || (({2} == {0} || (holds_nan({2}) && "
      "holds_nan({0}))) && {3} < {1}))",
      extreme, where, other, other_where, sign));
  line(fmt::format("{} = {};", extreme, other));
  line(fmt::format("{} = {};", where, other_where));
  close();
}

void CudaPhaseWriter::end_reductions(const Statement& s, int count) {
  const auto& reductions = uses_.blocks[static_cast<std::size_t>(s.body)].reductions;
  if (reductions.empty()) return;
  const auto type_of = [&](std::int32_t id) {
    return std::string(cuda_value_type(k_.locals[static_cast<std::size_t>(id)].dtype));
  };
  const auto combine = [&](const KernelUses::BlockFacts::Reduction& r, const std::string& to,
                           const std::string& other, const std::string& where,
                           const std::string& other_where) {
    if (r.second >= 0) return combine_arg(r, to, where, other, other_where);
    line(
        fmt::format("{} = {};", to,
                    cuda_operation(r.op, k_.locals[static_cast<std::size_t>(r.local)].dtype, to, other, {})));
  };
  // Lanes of a thread, threads of a warp, warps.
  for (const auto& r : reductions) {
    for (int lane = 1; lane < count; ++lane) {
      combine(r, accumulator(r.local, 0), accumulator(r.local, lane), accumulator(std::max(r.second, 0), 0),
              accumulator(std::max(r.second, 0), lane));
    }
  }
  const std::string suffix = count > 1 ? "_0" : "";
  const auto butterfly = [&](int widest) {
    line("#pragma unroll");
    open(fmt::format("for (i32 o = {}; o > 0; o /= 2)", widest));
    for (const auto& r : reductions) {
      line(fmt::format("const {0} x{1} = shuffle(r{1}{2}, o, group);", type_of(r.local), r.local, suffix));
      if (r.second >= 0) {
        line(
            fmt::format("const {0} x{1} = shuffle(r{1}{2}, o, group);", type_of(r.second), r.second, suffix));
      }
      combine(r, fmt::format("r{}{}", r.local, suffix), fmt::format("x{}", r.local),
              fmt::format("r{}{}", r.second, suffix), fmt::format("x{}", r.second));
    }
    close();
  };
  butterfly(std::min(s_.group, warp) / 2);
  if (s_.group > warp) {
    const int warps = s_.group / warp;
    const std::string part = fmt::format("@{}", reductions_++ % 2);
    std::int64_t bytes = 0;
    const auto slot = [&](std::int32_t id) {
      line(fmt::format("{0}* const w{1} = ({0}*)(shared_memory + {2} + {3});", type_of(id), id, part, bytes));
      line(fmt::format("if (t % 32 == 0) w{0}[t / 32] = r{0}{1};", id, suffix));
      bytes += warps * 8;
    };
    for (const auto& r : reductions) {
      slot(r.local);
      if (r.second >= 0) slot(r.second);
    }
    reduction_bytes_ = std::max(reduction_bytes_, bytes);
    barrier();
    for (const auto& r : reductions) {
      line(fmt::format("r{0}{1} = w{0}[t % {2}];", r.local, suffix, warps));
      if (r.second >= 0) line(fmt::format("r{0}{1} = w{0}[t % {2}];", r.second, suffix, warps));
    }
    butterfly(warps / 2);
    // The other part of the memory is next; where the same code runs again it may be the same one.
    if (group_depth_ > 0) barrier();
  }
  for (const auto& r : reductions) {
    const DType dtype = k_.locals[static_cast<std::size_t>(r.local)].dtype;
    const std::string total = fmt::format("r{}{}", r.local, suffix), local = fmt::format("l{}", r.local);
    const bool is_counted = r.second >= 0 || cuda_identity(r.op, dtype).empty();
    line(fmt::format("{} = {};", local, is_counted ? total : cuda_operation(r.op, dtype, local, total, {})));
    if (r.second >= 0) line(fmt::format("l{0} = r{0}{1};", r.second, suffix));
  }
  accumulating_.clear();
}

}  // namespace croton
