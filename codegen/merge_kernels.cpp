#include "croton/codegen/merge_kernels.h"

#include <utility>

namespace croton {

namespace {

/// Where a kernel's things begin among those of the merged one.
struct Offsets {
  std::int32_t buffers, blocks, instructions, indices, variables, locals, arrays;
};

std::int32_t shifted(std::int32_t id, std::int32_t by) { return id < 0 ? id : id + by; }

IndexNode shifted(IndexNode n, const Offsets& o) {
  for (auto& [atom, coefficient] : n.terms) atom += o.indices;
  switch (n.op) {
    case IndexOp::affine:
    case IndexOp::worker:
      break;
    case IndexOp::variable:
      n.operands[0] += o.variables;
      break;
    case IndexOp::value:
      n.operands[0] += o.instructions;
      break;
    case IndexOp::select:
      n.operands[0] += o.instructions;
      n.operands[1] += o.indices;
      n.operands[2] += o.indices;
      break;
    default:
      n.operands[0] += o.indices;
      n.operands[1] += o.indices;
  }
  return n;
}

Instruction shifted(Instruction i, const Offsets& o) {
  const std::int32_t operands = i.kind == Instruction::Kind::compare_index ? o.indices : o.instructions;
  for (std::int32_t& id : i.operands) id = shifted(id, operands);
  const std::int32_t target = i.kind == Instruction::Kind::load         ? o.buffers
                              : i.kind == Instruction::Kind::load_array ? o.arrays
                                                                        : o.locals;
  i.target = shifted(i.target, target);
  i.index = shifted(i.index, o.indices);
  i.mask = shifted(i.mask, o.instructions);
  return i;
}

Statement shifted(Statement s, const Offsets& o) {
  using Kind = Statement::Kind;
  switch (s.kind) {
    case Kind::store_array:
      s.target = shifted(s.target, o.arrays);
      break;
    case Kind::loop:
      s.target = shifted(s.target, o.variables);
      break;
    case Kind::declare:
    case Kind::set:
    case Kind::reduce:
    case Kind::reduce_arg:
      s.target = shifted(s.target, o.locals);
      break;
    default:
      s.target = shifted(s.target, o.buffers);
  }
  s.second = shifted(s.second, s.kind == Kind::transpose ? o.buffers : o.locals);
  s.value = shifted(s.value, o.instructions);
  s.index_value = shifted(s.index_value, o.instructions);
  s.index = shifted(s.index, o.indices);
  s.second_index = shifted(s.second_index, o.indices);
  s.mask = shifted(s.mask, o.instructions);
  s.begin = shifted(s.begin, o.indices);
  s.end = shifted(s.end, o.indices);
  s.body = shifted(s.body, o.blocks);
  s.other = shifted(s.other, o.blocks);
  return s;
}

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

Kernel merge_kernels(std::span<const Kernel> kernels, std::string name) {
  Kernel merged;
  merged.name = std::move(name);
  const auto size = [](const auto& list) { return static_cast<std::int32_t>(list.size()); };
  for (const Kernel& k : kernels) {
    const Offsets o = {size(merged.buffers), size(merged.blocks),    size(merged.instructions),
                       size(merged.indices), size(merged.variables), size(merged.locals),
                       size(merged.arrays)};
    append(merged.buffers, k.buffers);
    append(merged.variables, k.variables);
    append(merged.locals, k.locals);
    append(merged.arrays, k.arrays);
    for (const IndexNode& n : k.indices) merged.indices.push_back(shifted(n, o));
    for (const Instruction& i : k.instructions) merged.instructions.push_back(shifted(i, o));
    for (const Block& b : k.blocks) {
      Block& block = merged.blocks.emplace_back();
      for (const Statement& s : b.statements) block.statements.push_back(shifted(s, o));
    }
    for (Phase p : k.phases) {
      p.variable = shifted(p.variable, o.variables);
      p.body = shifted(p.body, o.blocks);
      merged.phases.push_back(p);
    }
  }
  return merged;
}

}  // namespace croton
