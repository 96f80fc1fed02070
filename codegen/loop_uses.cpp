#include "croton/codegen/loop_uses.h"

#include <algorithm>

namespace croton {

namespace {

bool is_function(ScalarOp op) {
  return (op >= ScalarOp::exp && op <= ScalarOp::softplus) || op == ScalarOp::pow || op == ScalarOp::atan2;
}

void find_fused(const Kernel& k, std::vector<bool>& is_fused) {
  const auto at = [&](std::int32_t id) -> const Instruction& {
    return k.instructions[static_cast<std::size_t>(id)];
  };
  const auto is_product = [&](std::int32_t id) {
    const Instruction& i = at(id);
    return i.kind == Instruction::Kind::op && i.op == ScalarOp::mul && is_floating(i.dtype);
  };
  std::vector<int> uses(k.instructions.size(), 0);
  const auto use = [&](std::int32_t id) {
    if (id >= 0) ++uses[static_cast<std::size_t>(id)];
  };
  for (const Instruction& i : k.instructions) {
    if (i.kind == Instruction::Kind::compare_index) continue;
    for (const std::int32_t operand : i.operands) use(operand);
    use(i.mask);
  }
  for (const IndexNode& node : k.indices) {
    if (node.op == IndexOp::value || node.op == IndexOp::select) use(node.operands[0]);
  }
  for (const Block& block : k.blocks) {
    for (const Statement& s : block.statements) {
      if (s.kind != Statement::Kind::compute) use(s.value);
      use(s.index_value);
      use(s.mask);
    }
  }
  is_fused.assign(k.instructions.size(), false);
  const auto fuse = [&](std::int32_t id) {
    if (!is_product(id) || uses[static_cast<std::size_t>(id)] != 1) return false;
    is_fused[static_cast<std::size_t>(id)] = true;
    return true;
  };
  for (const Block& block : k.blocks) {
    for (const Statement& s : block.statements) {
      if (s.kind == Statement::Kind::reduce && s.op == ScalarOp::add) fuse(s.value);
      if (s.kind != Statement::Kind::compute) continue;
      const Instruction& i = at(s.value);
      if (i.kind != Instruction::Kind::op || (i.op != ScalarOp::add && i.op != ScalarOp::sub)) continue;
      if (!fuse(i.operands[0])) fuse(i.operands[1]);  // one of them: an fma takes one product
    }
  }
}

void look_at(const Kernel& k, KernelUses& uses, std::int32_t id) {
  KernelUses::BlockFacts facts;
  const auto computes = [&](DType dtype) {
    if (dtype == DType::bool_) return;
    const int bytes = static_cast<int>(size_of(dtype));
    facts.widest = std::max(facts.widest, bytes);
    if (is_floating(dtype)) facts.widest_float = std::max(facts.widest_float, bytes);
  };
  const auto accesses = [&](DType dtype) {
    const int bytes = static_cast<int>(size_of(dtype));
    facts.narrowest_access = std::min(facts.narrowest_access, bytes);
    facts.widest = std::max(facts.widest, bytes);
  };
  const auto absorb = [&](std::int32_t inner) {
    if (inner < 0) return;
    const KernelUses::BlockFacts& other = uses.blocks[static_cast<std::size_t>(inner)];
    facts.locals_declared.insert(facts.locals_declared.end(), other.locals_declared.begin(),
                                 other.locals_declared.end());
    for (const auto& reduction : other.reductions) facts.reductions.push_back(reduction);
    facts.widest_float = std::max(facts.widest_float, other.widest_float);
    facts.widest = std::max(facts.widest, other.widest);
    facts.narrowest_access = std::min(facts.narrowest_access, other.narrowest_access);
    facts.operations += other.operations;
    facts.functions += other.functions;
    facts.has_inner_loop = facts.has_inner_loop || other.has_inner_loop;
  };
  for (const Statement& s : k.blocks[static_cast<std::size_t>(id)].statements) {
    switch (s.kind) {
      case Statement::Kind::compute: {
        const Instruction& i = k.instructions[static_cast<std::size_t>(s.value)];
        ++facts.operations;
        if (i.kind == Instruction::Kind::op && is_function(i.op)) ++facts.functions;
        if (i.kind == Instruction::Kind::load) accesses(k.buffers[static_cast<std::size_t>(i.target)].dtype);
        if (i.kind == Instruction::Kind::load_array)
          accesses(k.arrays[static_cast<std::size_t>(i.target)].dtype);
        if (i.kind != Instruction::Kind::index) computes(i.dtype);
        break;
      }
      case Statement::Kind::declare:
        facts.locals_declared.push_back(s.target);
        break;
      case Statement::Kind::reduce:
      case Statement::Kind::reduce_arg:
        ++facts.operations;
        facts.reductions.push_back({s.target, s.second, s.op});
        break;
      case Statement::Kind::store:
        ++facts.operations;
        accesses(k.buffers[static_cast<std::size_t>(s.target)].dtype);
        break;
      case Statement::Kind::store_array:
        ++facts.operations;
        accesses(k.arrays[static_cast<std::size_t>(s.target)].dtype);
        break;
      case Statement::Kind::loop:
        absorb(s.body);
        facts.has_inner_loop = true;
        break;
      case Statement::Kind::branch:
        absorb(s.body);
        absorb(s.other);
        break;
      case Statement::Kind::set:
      case Statement::Kind::transpose:
      case Statement::Kind::prefetch:
        break;
    }
  }
  std::vector<KernelUses::BlockFacts::Reduction> distinct;
  for (const auto& r : facts.reductions) {
    const auto& own = facts.locals_declared;
    if (std::find(own.begin(), own.end(), r.local) != own.end()) continue;
    const auto same = [&](const auto& other) {
      return other.local == r.local && other.second == r.second && other.op == r.op;
    };
    if (std::none_of(distinct.begin(), distinct.end(), same)) distinct.push_back(r);
  }
  facts.reductions = std::move(distinct);
  uses.blocks[static_cast<std::size_t>(id)] = std::move(facts);
}

}  // namespace

KernelUses::KernelUses(const Kernel& kernel) {
  find_fused(kernel, is_fused);
  blocks.resize(kernel.blocks.size());
  // A block is made after the block around it.
  for (std::size_t i = kernel.blocks.size(); i-- > 0;) look_at(kernel, *this, static_cast<std::int32_t>(i));
}

}  // namespace croton
