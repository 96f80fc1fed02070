#include "croton/codegen/kernel_builder.h"

#include <fmt/core.h>

#include <algorithm>

namespace croton {

KernelBuilder::KernelBuilder(std::string name) { kernel_.name = std::move(name); }

std::string KernelBuilder::unique(std::string_view name) {
  const std::string base = name.empty() ? "t" : std::string(name);
  const int uses = names_[base]++;
  if (uses == 0) return base;
  return unique(fmt::format("{}_{}", base, uses));
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

Kernel KernelBuilder::build() {
  if (!scopes_.empty()) misuse("a phase or loop was not ended");
  kernel_.indices = std::move(table_).take();
  return std::move(kernel_);
}

}  // namespace croton
