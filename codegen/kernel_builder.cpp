#include "croton/codegen/kernel_builder.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "croton/graph/error.h"

namespace croton {

namespace {

// float16 and bfloat16 are formats of memory only.
DType computed(DType dtype) {
  return dtype == DType::float16 || dtype == DType::bfloat16 ? DType::float32 : dtype;
}

double rounded_to(double value, DType dtype) {
  switch (dtype) {
    case DType::float16:
      return static_cast<float>(float16(static_cast<float>(value)));
    case DType::bfloat16:
      return static_cast<float>(bfloat16(static_cast<float>(value)));
    case DType::float32:
      return static_cast<float>(value);
    default:
      return value;
  }
}

std::int64_t wrapped_to(std::int64_t value, DType dtype) {
  switch (dtype) {
    case DType::bool_:
      return value != 0;
    case DType::int8:
      return static_cast<std::int8_t>(value);
    case DType::int16:
      return static_cast<std::int16_t>(value);
    case DType::int32:
      return static_cast<std::int32_t>(value);
    case DType::uint8:
      return static_cast<std::uint8_t>(value);
    case DType::uint16:
      return static_cast<std::uint16_t>(value);
    case DType::uint32:
      return static_cast<std::uint32_t>(value);
    default:
      return value;
  }
}

}  // namespace

KernelBuilder::KernelBuilder(std::string name) { kernel_.name = std::move(name); }

void KernelBuilder::misuse(const std::string& what) const {
  throw InternalError(
      fmt::format("kernel '{}', statement {}: {}", kernel_.name, kernel_.instructions.size(), what));
}

std::string KernelBuilder::unique(std::string_view name) {
  const std::string base = name.empty() ? "t" : std::string(name);
  const int uses = names_[base]++;
  if (uses == 0) return base;
  return unique(fmt::format("{}_{}", base, uses));
}

Buffer KernelBuilder::declare(std::string_view name, DType dtype, std::int64_t count, BufferInfo::Role role) {
  if (is_complex(dtype)) misuse("a buffer of complex numbers");
  if (role == BufferInfo::Role::scratch && count < 0) misuse("a scratch buffer needs a number of elements");
  kernel_.buffers.push_back({unique(name), dtype, count, role, false});
  return {static_cast<std::int32_t>(kernel_.buffers.size()) - 1, dtype};
}

Buffer KernelBuilder::input(std::string_view name, DType dtype, std::int64_t count) {
  return declare(name, dtype, count, BufferInfo::Role::in);
}
Buffer KernelBuilder::output(std::string_view name, DType dtype, std::int64_t count) {
  return declare(name, dtype, count, BufferInfo::Role::out);
}
Buffer KernelBuilder::inout(std::string_view name, DType dtype, std::int64_t count) {
  return declare(name, dtype, count, BufferInfo::Role::inout);
}
Buffer KernelBuilder::scratch(std::string_view name, DType dtype, std::int64_t count) {
  return declare(name, dtype, count, BufferInfo::Role::scratch);
}

void KernelBuilder::set_may_alias(Buffer buffer) {
  check(buffer);
  kernel_.buffers[static_cast<std::size_t>(buffer.id)].may_alias = true;
}

std::int32_t KernelBuilder::node(Index index) {
  if (index.table() == nullptr) return table_.constant(index.constant());
  if (index.table() != &table_) misuse("an index expression of another kernel");
  return index.id();
}

std::int32_t KernelBuilder::open(int vector_depth) {
  Scope scope;
  scope.block = static_cast<std::int32_t>(kernel_.blocks.size());
  scope.vector_depth = vector_depth;
  kernel_.blocks.emplace_back();
  scopes_.push_back(std::move(scope));
  return scopes_.back().block;
}

void KernelBuilder::close() {
  for (const std::int32_t id : scopes_.back().instructions)
    instruction_visible_[static_cast<std::size_t>(id)] = false;
  for (const std::int32_t id : scopes_.back().locals) local_visible_[static_cast<std::size_t>(id)] = false;
  for (const std::int32_t id : scopes_.back().arrays) array_visible_[static_cast<std::size_t>(id)] = false;
  scopes_.pop_back();
}

void KernelBuilder::append(const Statement& statement) {
  if (scopes_.empty()) misuse("a statement outside every phase");
  kernel_.blocks[static_cast<std::size_t>(scopes_.back().block)].statements.push_back(statement);
}

Index KernelBuilder::begin_parallel(std::string_view variable, std::int64_t extent, LoopMark mark,
                                    std::int64_t grain) {
  if (!scopes_.empty()) misuse("a phase inside another phase");
  if (mark.kind == LoopKind::unroll) misuse("a phase cannot be unrolled");
  Phase phase;
  phase.variable = static_cast<std::int32_t>(kernel_.variables.size());
  phase.extent = std::max<std::int64_t>(extent, 0);
  phase.grain = grain;
  phase.mark = mark;
  kernel_.variables.push_back(unique(variable));
  phase.body = open(mark.kind == LoopKind::vectorize ? 1 : 0);
  scopes_.back().is_phase = true;
  kernel_.phases.push_back(phase);
  return Index(&table_, table_.variable(phase.variable, 0, std::max<std::int64_t>(extent - 1, 0)));
}

void KernelBuilder::parallel(std::string_view variable, std::int64_t extent, const Body& body, LoopMark mark,
                             std::int64_t grain) {
  const Index index = begin_parallel(variable, extent, mark, grain);
  body(index);
  end();
}

void KernelBuilder::once(const std::function<void()>& body) {
  begin_parallel("once", 1);
  kernel_.phases.back().is_parallel = false;
  body();
  end();
}

Index KernelBuilder::begin_loop(std::string_view variable, Index begin, Index end, LoopMark mark,
                                std::int64_t step) {
  if (step <= 0) misuse("the step of a loop must be positive");
  if (mark.kind == LoopKind::unroll && !(begin.is_constant() && end.is_constant())) {
    misuse("an unrolled loop needs constant bounds");
  }
  if (scopes_.empty()) misuse("a loop outside every phase");
  const int outer = scopes_.back().vector_depth;
  if (mark.kind == LoopKind::vectorize && outer > 0) mark = serial;
  Statement loop;
  loop.kind = Statement::Kind::loop;
  loop.mark = mark;
  loop.target = static_cast<std::int32_t>(kernel_.variables.size());
  loop.begin = node(begin);
  loop.end = node(end);
  loop.step = step;
  loop.body = static_cast<std::int32_t>(kernel_.blocks.size());
  kernel_.variables.push_back(unique(variable));
  append(loop);
  open(outer + (mark.kind == LoopKind::vectorize ? 1 : 0));
  std::int64_t last = end.high();
  if (last != std::numeric_limits<std::int64_t>::max()) last -= 1;
  if (begin.is_constant() && end.is_constant() && last >= begin.low()) last -= (last - begin.low()) % step;
  return Index(&table_, table_.variable(loop.target, begin.low(), std::max(begin.low(), last)));
}

void KernelBuilder::end() {
  if (scopes_.empty()) misuse("end without a loop or phase");
  close();
}

void KernelBuilder::loop(std::string_view variable, Index begin, Index end_index, LoopMark mark,
                         const Body& body, std::int64_t step) {
  const Index index = begin_loop(variable, begin, end_index, mark, step);
  body(index);
  end();
}

void KernelBuilder::branch(ScalarValue condition, const std::function<void()>& then,
                           const std::function<void()>& otherwise) {
  check(condition, "branch");
  if (condition.dtype != DType::bool_) misuse("the condition of a branch must be bool");
  Statement branch;
  branch.kind = Statement::Kind::branch;
  branch.value = condition.id;
  if (scopes_.empty()) misuse("a branch outside every phase");
  const std::size_t block = static_cast<std::size_t>(scopes_.back().block);
  const std::size_t position = kernel_.blocks[block].statements.size();
  append(branch);
  const int depth = scopes_.back().vector_depth;
  const std::int32_t body = open(depth);
  then();
  close();
  std::int32_t other = -1;
  if (otherwise) {
    other = open(depth);
    otherwise();
    close();
  }
  kernel_.blocks[block].statements[position].body = body;
  kernel_.blocks[block].statements[position].other = other;
}

void KernelBuilder::check(ScalarValue value, std::string_view where) const {
  if (value.id < 0 || static_cast<std::size_t>(value.id) >= instruction_visible_.size() ||
      !instruction_visible_[static_cast<std::size_t>(value.id)]) {
    misuse(fmt::format("{} uses a value that was made in a block which has ended", where));
  }
}

void KernelBuilder::check(Local local, std::string_view where) const {
  if (local.id < 0 || static_cast<std::size_t>(local.id) >= local_visible_.size() ||
      !local_visible_[static_cast<std::size_t>(local.id)]) {
    misuse(fmt::format("{} of a local whose block has ended", where));
  }
}

void KernelBuilder::check(LocalArray array) const {
  if (array.id < 0 || static_cast<std::size_t>(array.id) >= array_visible_.size() ||
      !array_visible_[static_cast<std::size_t>(array.id)]) {
    misuse("an array whose block has ended");
  }
}

void KernelBuilder::check(Buffer buffer) const {
  if (buffer.id < 0 || static_cast<std::size_t>(buffer.id) >= kernel_.buffers.size())
    misuse("an unknown buffer");
}

/// The scope of the vector loop around the current block, if there is one.
KernelBuilder::Scope* KernelBuilder::vector_scope() {
  if (scopes_.empty() || scopes_.back().vector_depth == 0) return nullptr;
  std::size_t i = scopes_.size() - 1;
  while (i > 0 && scopes_[i - 1].vector_depth > 0) --i;
  return &scopes_[i];
}

Local KernelBuilder::local(std::string_view name, ScalarValue first) {
  check(first, "the first value of a local");
  const Local local{static_cast<std::int32_t>(kernel_.locals.size()), first.dtype};
  kernel_.locals.push_back({unique(name), first.dtype});
  Statement declare;
  declare.kind = Statement::Kind::declare;
  declare.target = local.id;
  declare.value = first.id;
  append(declare);
  local_depth_.push_back(scopes_.back().vector_depth);
  local_visible_.push_back(true);
  scopes_.back().locals.push_back(local.id);
  return local;
}

ScalarValue KernelBuilder::get(Local local) {
  check(local, "get");
  if (Scope* scope = vector_scope();
      scope != nullptr && local_depth_[static_cast<std::size_t>(local.id)] == 0) {
    if (std::find(scope->reduced.begin(), scope->reduced.end(), local.id) != scope->reduced.end()) {
      misuse("a local is read in the vector loop that reduces into it");
    }
    scope->read.push_back(local.id);
  }
  Instruction get;
  get.kind = Instruction::Kind::get;
  get.dtype = local.dtype;
  get.target = local.id;
  return define(get, false);
}

void KernelBuilder::set(Local local, ScalarValue value) {
  check(local, "set");
  check(value, "set");
  if (value.dtype != local.dtype) misuse("set: the value's dtype is not the local's");
  if (local_depth_[static_cast<std::size_t>(local.id)] != scopes_.back().vector_depth) {
    misuse("a local of outside is set in a vector loop (use reduce)");
  }
  Statement set;
  set.kind = Statement::Kind::set;
  set.target = local.id;
  set.value = value.id;
  append(set);
}

void KernelBuilder::reduce(ScalarOp op, Local local, ScalarValue value) {
  check(local, "reduce");
  check(value, "reduce");
  if (value.dtype != local.dtype) misuse("reduce: the value's dtype is not the local's");
  switch (op) {
    case ScalarOp::add:
    case ScalarOp::mul:
    case ScalarOp::min:
    case ScalarOp::max:
      break;
    case ScalarOp::bit_and:
    case ScalarOp::bit_or:
    case ScalarOp::bit_xor:
      if (is_discrete(local.dtype)) break;
      [[fallthrough]];
    default:
      misuse(fmt::format("reduce by {} on {}", name_of(op), name_of(local.dtype)));
  }
  if (Scope* scope = vector_scope();
      scope != nullptr && local_depth_[static_cast<std::size_t>(local.id)] == 0) {
    if (std::find(scope->read.begin(), scope->read.end(), local.id) != scope->read.end()) {
      misuse("a local is read in the vector loop that reduces into it");
    }
    scope->reduced.push_back(local.id);
  }
  Statement reduce;
  reduce.kind = Statement::Kind::reduce;
  reduce.op = op;
  reduce.target = local.id;
  reduce.value = value.id;
  append(reduce);
}

void KernelBuilder::reduce_arg(ScalarOp op, Local extreme, Local where, ScalarValue value,
                               ScalarValue index) {
  check(extreme, "reduce_arg");
  check(where, "reduce_arg");
  check(value, "reduce_arg");
  check(index, "reduce_arg");
  if (op != ScalarOp::min && op != ScalarOp::max) misuse("reduce_arg takes min or max");
  if (value.dtype != extreme.dtype || index.dtype != where.dtype || !is_integer(index.dtype)) {
    misuse("reduce_arg: dtypes differ");
  }
  if (local_depth_[static_cast<std::size_t>(extreme.id)] !=
      local_depth_[static_cast<std::size_t>(where.id)]) {
    misuse("reduce_arg: both locals must be declared in the same place");
  }
  if (Scope* scope = vector_scope();
      scope != nullptr && local_depth_[static_cast<std::size_t>(where.id)] == 0) {
    scope->reduced.push_back(extreme.id);
    scope->reduced.push_back(where.id);
  }
  Statement reduce;
  reduce.kind = Statement::Kind::reduce_arg;
  reduce.op = op;
  reduce.target = extreme.id;
  reduce.second = where.id;
  reduce.value = value.id;
  reduce.index_value = index.id;
  append(reduce);
}

LocalArray KernelBuilder::array(std::string_view name, DType dtype, std::int64_t count) {
  if (scopes_.empty() || scopes_.back().vector_depth > 0) misuse("arrays are declared outside vector loops");
  if (count <= 0 || is_complex(dtype)) misuse("an array needs elements");
  std::size_t bytes = static_cast<std::size_t>(count) * size_of(dtype);
  for (const ArrayInfo& other : kernel_.arrays)
    bytes += static_cast<std::size_t>(other.count) * size_of(other.dtype);
  if (bytes > 256 * 1024) misuse("more than 256 KiB of arrays on the stack: use a scratch buffer");
  const LocalArray array{static_cast<std::int32_t>(kernel_.arrays.size()), dtype};
  kernel_.arrays.push_back({unique(name), dtype, count});
  array_visible_.push_back(true);
  scopes_.back().arrays.push_back(array.id);
  return array;
}

ScalarValue KernelBuilder::load(LocalArray array, Index index) {
  check(array);
  Instruction load;
  load.kind = Instruction::Kind::load_array;
  load.dtype = computed(array.dtype);
  load.target = array.id;
  load.index = node(index);
  return define(load, false);
}

void KernelBuilder::store(LocalArray array, Index index, ScalarValue value) {
  check(array);
  Statement store;
  store.kind = Statement::Kind::store_array;
  store.target = array.id;
  store.value = cast(value, computed(array.dtype)).id;
  store.index = node(index);
  append(store);
}

ScalarValue KernelBuilder::load(Buffer buffer, Index index) {
  check(buffer);
  Instruction load;
  load.kind = Instruction::Kind::load;
  load.dtype = computed(buffer.dtype);
  load.target = buffer.id;
  load.index = node(index);
  return define(load, false);
}

ScalarValue KernelBuilder::load(Buffer buffer, Index index, ScalarValue mask, ScalarValue otherwise) {
  check(buffer);
  check(mask, "load");
  if (mask.dtype != DType::bool_) misuse("the mask of a load must be bool");
  Instruction load;
  load.kind = Instruction::Kind::load;
  load.dtype = computed(buffer.dtype);
  load.target = buffer.id;
  load.index = node(index);
  load.mask = mask.id;
  load.operands[0] = cast(otherwise, load.dtype).id;
  return define(load, false);
}

void KernelBuilder::store(Buffer buffer, Index index, ScalarValue value) {
  check(buffer);
  Statement store;
  store.kind = Statement::Kind::store;
  store.target = buffer.id;
  store.value = cast(value, computed(buffer.dtype)).id;
  store.index = node(index);
  append(store);
}

void KernelBuilder::store(Buffer buffer, Index index, ScalarValue value, ScalarValue mask) {
  check(buffer);
  check(mask, "store");
  if (mask.dtype != DType::bool_) misuse("the mask of a store must be bool");
  Statement store;
  store.kind = Statement::Kind::store;
  store.target = buffer.id;
  store.value = cast(value, computed(buffer.dtype)).id;
  store.index = node(index);
  store.mask = mask.id;
  append(store);
}

void KernelBuilder::transpose_tile(Buffer to, Index to_begin, std::int64_t to_stride, Buffer from,
                                   Index from_begin, std::int64_t from_stride, std::int64_t rows,
                                   std::int64_t columns) {
  check(to);
  check(from);
  if (to.dtype != from.dtype) misuse("transpose_tile: dtypes differ");
  if (rows < 1 || rows > 16 || columns < 1 || columns > 16)
    misuse("transpose_tile takes 1 to 16 rows and columns");
  if (scopes_.empty() || scopes_.back().vector_depth > 0) misuse("transpose_tile inside a vector loop");
  Statement transpose;
  transpose.kind = Statement::Kind::transpose;
  transpose.target = to.id;
  transpose.index = node(to_begin);
  transpose.strides[0] = to_stride;
  transpose.second = from.id;
  transpose.second_index = node(from_begin);
  transpose.strides[1] = from_stride;
  transpose.tile[0] = rows;
  transpose.tile[1] = columns;
  append(transpose);
}

void KernelBuilder::prefetch(Buffer buffer, Index index) {
  check(buffer);
  if (is_for_gpu_) return;
  Statement prefetch;
  prefetch.kind = Statement::Kind::prefetch;
  prefetch.target = buffer.id;
  prefetch.index = node(index);
  append(prefetch);
}

ScalarValue KernelBuilder::value_of(Index index, DType dtype) {
  Instruction value;
  value.kind = Instruction::Kind::index;
  value.dtype = DType::int64;
  value.index = node(index);
  return cast(index.is_constant() ? integer_constant(index.constant(), DType::int64) : define(value, true),
              dtype);
}

Index KernelBuilder::index_of(ScalarValue value) {
  check(value, "index_of");
  if (!is_discrete(value.dtype)) misuse("index_of takes an integer");
  const Instruction& instruction = kernel_.instructions[static_cast<std::size_t>(value.id)];
  if (instruction.kind == Instruction::Kind::constant) return Index(instruction.integer);
  if (instruction.kind == Instruction::Kind::index) return Index(&table_, instruction.index);
  return Index(&table_, table_.value(value.id));
}

ScalarValue KernelBuilder::compare(ScalarOp op, Index a, Index b) {
  if (op < ScalarOp::lt || op > ScalarOp::ne) misuse("compare takes lt, le, gt, ge, eq or ne");
  if ((op == ScalarOp::lt && a.high() < b.low()) || (op == ScalarOp::ge && a.low() >= b.high()) ||
      (op == ScalarOp::le && a.high() <= b.low()) || (op == ScalarOp::gt && a.low() > b.high())) {
    return integer_constant(1, DType::bool_);
  }
  Instruction compare;
  compare.kind = Instruction::Kind::compare_index;
  compare.op = op;
  compare.dtype = DType::bool_;
  compare.operands[0] = node(a);
  compare.operands[1] = node(b);
  return define(compare, true);
}

Index KernelBuilder::select(ScalarValue condition, Index a, Index b) {
  check(condition, "select");
  if (condition.dtype != DType::bool_) misuse("the condition of select must be bool");
  const std::int32_t x = node(a), y = node(b);
  return Index(&table_, table_.select(condition.id, x, y));
}

Index KernelBuilder::worker() { return Index(&table_, table_.worker()); }

ScalarValue KernelBuilder::define(const Instruction& instruction, bool is_pure) {
  if (scopes_.empty()) misuse("a value outside every phase");
  std::vector<std::int64_t> key;
  if (is_pure) {
    key = {static_cast<std::int64_t>(instruction.kind),
           static_cast<std::int64_t>(instruction.op),
           static_cast<std::int64_t>(instruction.dtype),
           static_cast<std::int64_t>(instruction.rounded),
           instruction.operands[0],
           instruction.operands[1],
           instruction.operands[2],
           instruction.index};
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto found = scope->known.find(key); found != scope->known.end()) {
        return {found->second, instruction.dtype};
      }
    }
  }
  const auto id = static_cast<std::int32_t>(kernel_.instructions.size());
  kernel_.instructions.push_back(instruction);
  instruction_visible_.push_back(true);
  scopes_.back().instructions.push_back(id);
  if (is_pure) scopes_.back().known.emplace(std::move(key), id);
  Statement compute;
  compute.value = id;
  append(compute);
  return {id, instruction.dtype};
}

void KernelBuilder::check_op(ScalarOp op, const ScalarValue* operands, int count) const {
  const auto refuse = [&] {
    misuse(fmt::format("{} does not take {}", name_of(op), name_of(operands[count - 1].dtype)));
  };
  if (arity_of(op) != count)
    misuse(fmt::format("{} takes {} operands, got {}", name_of(op), arity_of(op), count));
  for (int i = 0; i < count; ++i) check(operands[i], name_of(op));
  for (int i = op == ScalarOp::select ? 2 : 1; i < count; ++i) {
    if (operands[i].dtype != operands[i - 1].dtype) {
      misuse(fmt::format("{} of {} and {}", name_of(op), name_of(operands[i - 1].dtype),
                         name_of(operands[i].dtype)));
    }
  }
  const DType dtype = operands[count - 1].dtype;
  if (op == ScalarOp::select && operands[0].dtype != DType::bool_)
    misuse("the condition of select must be bool");
  if ((op >= ScalarOp::exp && op <= ScalarOp::softplus) || op == ScalarOp::sqrt || op == ScalarOp::atan2 ||
      op == ScalarOp::div) {
    if (!is_floating(dtype)) refuse();
  }
  if (op == ScalarOp::bit_not || (op >= ScalarOp::bit_and && op <= ScalarOp::shift_right)) {
    if (!is_discrete(dtype)) refuse();
  }
  if ((op == ScalarOp::shift_left || op == ScalarOp::shift_right) && is_bool(dtype)) refuse();
}

ScalarValue KernelBuilder::emit_op(ScalarOp op, const ScalarValue* operands, int count) {
  check_op(op, operands, count);
  const DType dtype = operands[count - 1].dtype;
  Instruction instruction;
  instruction.kind = Instruction::Kind::op;
  instruction.op = op;
  instruction.dtype = is_predicate(op) ? DType::bool_ : dtype;
  for (int i = 0; i < count; ++i) instruction.operands[i] = operands[i].id;
  return define(instruction, true);
}

ScalarValue KernelBuilder::emit(ScalarOp op, ScalarValue a) { return emit_op(op, &a, 1); }
ScalarValue KernelBuilder::emit(ScalarOp op, ScalarValue a, ScalarValue b) {
  const ScalarValue operands[] = {a, b};
  return emit_op(op, operands, 2);
}
ScalarValue KernelBuilder::emit(ScalarOp op, ScalarValue a, ScalarValue b, ScalarValue c) {
  const ScalarValue operands[] = {a, b, c};
  return emit_op(op, operands, 3);
}

ScalarValue KernelBuilder::constant(double value, DType dtype) {
  if (is_discrete(dtype)) {
    if (is_bool(dtype)) return integer_constant(value != 0, dtype);
    const bool is_large = value >= 0x1p63 && dtype == DType::uint64;
    const double clamped = std::isnan(value) ? 0 : std::clamp(value, -0x1p63, 0x1.fffffffffffffp62);
    return integer_constant(is_large ? static_cast<std::int64_t>(static_cast<std::uint64_t>(value))
                                     : static_cast<std::int64_t>(clamped),
                            dtype);
  }
  Instruction instruction;
  instruction.number = rounded_to(value, dtype);
  instruction.dtype = computed(dtype);
  const auto [found, is_new] = constants_.try_emplace(
      {static_cast<std::int64_t>(instruction.dtype), std::bit_cast<std::int64_t>(instruction.number)},
      static_cast<std::int32_t>(kernel_.instructions.size()));
  if (is_new) {
    kernel_.instructions.push_back(instruction);
    instruction_visible_.push_back(true);
  }
  return {found->second, instruction.dtype};
}

ScalarValue KernelBuilder::integer_constant(std::int64_t value, DType dtype) {
  if (is_floating(dtype)) return constant(static_cast<double>(value), dtype);
  if (!is_discrete(dtype)) misuse("a constant that is complex");
  Instruction instruction;
  instruction.dtype = dtype;
  instruction.integer = wrapped_to(value, dtype);
  const auto [found, is_new] = constants_.try_emplace({static_cast<std::int64_t>(dtype), instruction.integer},
                                                      static_cast<std::int32_t>(kernel_.instructions.size()));
  if (is_new) {
    kernel_.instructions.push_back(instruction);
    instruction_visible_.push_back(true);
  }
  return {found->second, dtype};
}

ScalarValue KernelBuilder::cast(ScalarValue value, DType dtype) {
  check(value, "cast");
  if (is_complex(dtype)) misuse("cast to complex");
  if (value.dtype == dtype) return value;
  Instruction instruction;
  instruction.kind = Instruction::Kind::cast;
  instruction.dtype = computed(dtype);
  instruction.rounded = dtype;
  instruction.operands[0] = value.id;
  return define(instruction, true);
}

Kernel KernelBuilder::build() {
  if (!scopes_.empty()) misuse("a phase or loop was not ended");
  kernel_.indices = std::move(table_).take();
  return std::move(kernel_);
}

}  // namespace croton
