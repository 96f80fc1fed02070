#include "croton/codegen/llvm_phase.h"

#include "croton/graph/error.h"

namespace croton {

PhaseEmitter::PhaseEmitter(const Kernel& kernel, const KernelUses& uses, const TargetInfo& target,
                           llvm::Module& module)
    : k_(kernel), uses_(uses), target_(target), module_(module), b_(module.getContext()) {
  llvm::MDBuilder metadata(module.getContext());
  llvm::MDNode* const domain = metadata.createAnonymousAliasScopeDomain();
  const std::size_t count = k_.buffers.size();
  std::vector<llvm::Metadata*> alone(count, nullptr);
  scopes_.assign(count, nullptr);
  others_.assign(count, nullptr);
  for (std::size_t i = 0; i < count; ++i) {
    if (!k_.buffers[i].may_alias) alone[i] = metadata.createAnonymousAliasScope(domain);
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (alone[i] == nullptr) continue;
    scopes_[i] = llvm::MDNode::get(module.getContext(), {alone[i]});
    llvm::SmallVector<llvm::Metadata*, 8> rest;
    for (std::size_t j = 0; j < count; ++j) {
      if (j != i && alone[j] != nullptr) rest.push_back(alone[j]);
    }
    if (!rest.empty()) others_[i] = llvm::MDNode::get(module.getContext(), rest);
  }
}

void PhaseEmitter::emit(const Phase& phase, const std::string& name) {
  llvm::LLVMContext& context = module_.getContext();
  llvm::Type* const pointer = llvm::PointerType::getUnqual(context);
  llvm::Type* const word = b_.getInt64Ty();
  auto* const type = llvm::FunctionType::get(b_.getVoidTy(), {pointer, word, word, b_.getInt32Ty()}, false);
  function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module_);
  function_->addFnAttr(llvm::Attribute::NoUnwind);
  function_->addFnAttr("target-cpu", target_.cpu);
  function_->addFnAttr("target-features", target_.features);
  function_->addFnAttr("no-trapping-math", "true");
  // Some cpus prefer half vectors by default; the loops say what they want.
  function_->addFnAttr("prefer-vector-width", std::to_string(8 * target_.vector_bytes));
  function_->addFnAttr("min-legal-vector-width", std::to_string(8 * target_.vector_bytes));
  function_->addParamAttr(0, llvm::Attribute::NoAlias);
  function_->addParamAttr(0, llvm::Attribute::ReadOnly);
  function_->addParamAttr(0, llvm::Attribute::NoCapture);
  worker_ = function_->getArg(3);

  entry_ = llvm::BasicBlock::Create(context, "entry", function_);
  llvm::BasicBlock* const start = llvm::BasicBlock::Create(context, "start", function_);
  b_.SetInsertPoint(entry_);
  b_.SetInsertPoint(b_.CreateBr(start));
  const auto stack = [&](llvm::Type* element, std::int64_t count) {
    llvm::AllocaInst* const memory =
        b_.CreateAlloca(llvm::ArrayType::get(element, static_cast<std::uint64_t>(count)));
    memory->setAlignment(llvm::Align(64));
    return memory;
  };
  nowhere_ = stack(b_.getInt8Ty(), 8);
  arrays_.clear();
  for (const ArrayInfo& array : k_.arrays)
    arrays_.push_back(stack(memory_type(context, array.dtype), array.count));
  buffers_.clear();
  for (std::size_t i = 0; i < k_.buffers.size(); ++i) {
    llvm::LoadInst* const load =
        b_.CreateLoad(pointer, b_.CreateConstGEP1_64(pointer, function_->getArg(0), i));
    load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context, {}));
    buffers_.push_back(load);
  }
  values_.assign(k_.instructions.size(), nullptr);
  variables_.assign(k_.variables.size(), nullptr);
  locals_.assign(k_.locals.size(), {});
  is_accumulator_.assign(k_.locals.size(), false);
  lanes_ = {};
  mask_ = nullptr;

  b_.SetInsertPoint(start);
  llvm::Value* const begin = function_->getArg(1);
  llvm::Value* const end = function_->getArg(2);
  const auto variable = static_cast<std::size_t>(phase.variable);
  if (phase.extent == 1) {
    variables_[variable] = i64(0);
    block(phase.body);
  } else if (phase.mark.kind == LoopKind::vectorize) {
    vector_loop(phase.variable, phase.body, begin, end, 1, phase.mark);
  } else {
    counted(begin, end, 1, [&](llvm::Value* i) {
      variables_[variable] = i;
      block(phase.body);
    });
  }
  b_.CreateRetVoid();
}

void PhaseEmitter::block(std::int32_t id) {
  for (const Statement& s : k_.blocks[static_cast<std::size_t>(id)].statements) statement(s);
}

PhaseEmitter::Place PhaseEmitter::place(std::int32_t buffer, std::int32_t index_id) {
  const auto at = static_cast<std::size_t>(buffer);
  return {buffers_[at], k_.buffers[at].dtype, buffer, index(index_id)};
}

PhaseEmitter::Place PhaseEmitter::array_place(std::int32_t array, std::int32_t index_id) {
  const auto at = static_cast<std::size_t>(array);
  return {arrays_[at], k_.arrays[at].dtype, -1, index(index_id)};
}

void PhaseEmitter::statement(const Statement& s) {
  switch (s.kind) {
    case Statement::Kind::compute:
      if (!uses_.is_fused[static_cast<std::size_t>(s.value)]) compute(s.value);
      return;
    case Statement::Kind::declare: {
      const auto local = static_cast<std::size_t>(s.target);
      locals_[local] = make_slot(k_.locals[local].dtype, lanes_.width);
      b_.CreateStore(splat(b_, operand(s.value), lanes_.width), locals_[local].memory);
      return;
    }
    case Statement::Kind::set:
      assign(s.target, operand(s.value));
      return;
    case Statement::Kind::reduce:
      reduce(s);
      return;
    case Statement::Kind::reduce_arg:
      reduce_arg(s);
      return;
    case Statement::Kind::store:
      store(place(s.target, s.index), operand(s.value), s.mask < 0 ? nullptr : operand(s.mask));
      return;
    case Statement::Kind::store_array:
      store(array_place(s.target, s.index), operand(s.value), nullptr);
      return;
    case Statement::Kind::loop:
      loop(s);
      return;
    case Statement::Kind::branch:
      branch(s);
      return;
    case Statement::Kind::transpose:
      transpose(s);
      return;
    case Statement::Kind::prefetch:
      prefetch(s);
      return;
  }
}

PhaseEmitter::Slot PhaseEmitter::make_slot(DType dtype, unsigned lanes) {
  Builder at_entry(entry_, entry_->begin());
  llvm::Type* const type = with_lanes(register_type(module_.getContext(), dtype), lanes);
  return {at_entry.CreateAlloca(type), type};
}

/// A local under a condition keeps its value in the other lanes.
void PhaseEmitter::assign(std::int32_t local, llvm::Value* value) {
  const Slot& slot = locals_[static_cast<std::size_t>(local)];
  llvm::Value* const fresh = splat(b_, value, lanes_of(slot.type));
  const bool is_partial =
      is_accumulator_[static_cast<std::size_t>(local)] ? mask_ != nullptr : mask_ != lanes_.active;
  b_.CreateStore(is_partial ? b_.CreateSelect(splat(b_, mask_, lanes_of(fresh)), fresh, get(slot)) : fresh,
                 slot.memory);
}

llvm::Constant* PhaseEmitter::constant(const Instruction& i) const {
  llvm::Type* const type = register_type(module_.getContext(), i.dtype);
  if (is_floating(i.dtype)) return llvm::ConstantFP::get(type, i.number);
  return llvm::ConstantInt::get(type, static_cast<std::uint64_t>(i.integer), is_signed_integer(i.dtype));
}

llvm::Value* PhaseEmitter::operand(std::int32_t id) {
  const Instruction& i = k_.instructions[static_cast<std::size_t>(id)];
  if (i.kind == Instruction::Kind::constant) return constant(i);
  llvm::Value* const value = values_[static_cast<std::size_t>(id)];
  if (value == nullptr)
    throw InternalError("kernel '" + k_.name + "': a value is used before it is computed");
  return value;
}

/// product + addend, or addend - product, rounded once.
llvm::Value* PhaseEmitter::fused(std::int32_t product, llvm::Value* addend, bool negate_product) {
  const Instruction& i = k_.instructions[static_cast<std::size_t>(product)];
  llvm::Value *x = operand(i.operands[0]), *y = operand(i.operands[1]);
  const unsigned lanes = std::max({lanes_of(x), lanes_of(y), lanes_of(addend)});
  if (negate_product) x = b_.CreateFNeg(x);
  return emit_fma(scalar(), splat(b_, x, lanes), splat(b_, y, lanes), splat(b_, addend, lanes));
}

llvm::Value* PhaseEmitter::op(const Instruction& i) {
  if ((i.op == ScalarOp::add || i.op == ScalarOp::sub) && is_floating(i.dtype)) {
    const bool is_sub = i.op == ScalarOp::sub;
    if (uses_.is_fused[static_cast<std::size_t>(i.operands[0])]) {
      llvm::Value* const addend = operand(i.operands[1]);
      return fused(i.operands[0], is_sub ? b_.CreateFNeg(addend) : addend, false);
    }
    if (uses_.is_fused[static_cast<std::size_t>(i.operands[1])]) {
      return fused(i.operands[1], operand(i.operands[0]), is_sub);
    }
  }
  llvm::SmallVector<llvm::Value*, 3> operands;
  for (int o = 0; o < arity_of(i.op); ++o) operands.push_back(operand(i.operands[o]));
  const std::int32_t last = i.operands[arity_of(i.op) - 1];
  return emit_scalar(scalar(), i.op, k_.instructions[static_cast<std::size_t>(last)].dtype, operands);
}

void PhaseEmitter::compute(std::int32_t id) {
  const Instruction& i = k_.instructions[static_cast<std::size_t>(id)];
  llvm::Value*& result = values_[static_cast<std::size_t>(id)];
  switch (i.kind) {
    case Instruction::Kind::constant:
      return;
    case Instruction::Kind::op:
      result = op(i);
      return;
    case Instruction::Kind::cast: {
      const DType from = k_.instructions[static_cast<std::size_t>(i.operands[0])].dtype;
      result = emit_cast(scalar(), operand(i.operands[0]), from, i.rounded);
      return;
    }
    case Instruction::Kind::load:
      result = load(place(i.target, i.index), i.mask < 0 ? nullptr : operand(i.mask),
                    i.mask < 0 ? nullptr : operand(i.operands[0]));
      return;
    case Instruction::Kind::load_array:
      result = load(array_place(i.target, i.index), nullptr, nullptr);
      return;
    case Instruction::Kind::get:
      result = get(locals_[static_cast<std::size_t>(i.target)]);
      return;
    case Instruction::Kind::index:
      result = index_as_value(i.index);
      return;
    case Instruction::Kind::compare_index:
      result = compare_index(i);
      return;
  }
}

void PhaseEmitter::branch(const Statement& s) {
  llvm::Value* const condition = operand(s.value);
  if (is_vector(condition)) {
    llvm::Value* const outside = mask_;
    mask_ = both(outside, condition);
    block(s.body);
    if (s.other >= 0) {
      mask_ = both(outside, b_.CreateNot(condition));
      block(s.other);
    }
    mask_ = outside;
    return;
  }
  llvm::LLVMContext& context = module_.getContext();
  llvm::BasicBlock* const then = llvm::BasicBlock::Create(context, "then", function_);
  llvm::BasicBlock* const after = llvm::BasicBlock::Create(context, "after", function_);
  llvm::BasicBlock* const other =
      s.other < 0 ? after : llvm::BasicBlock::Create(context, "else", function_, after);
  b_.CreateCondBr(condition, then, other);
  b_.SetInsertPoint(then);
  block(s.body);
  b_.CreateBr(after);
  if (s.other >= 0) {
    b_.SetInsertPoint(other);
    block(s.other);
    b_.CreateBr(after);
  }
  b_.SetInsertPoint(after);
}

}  // namespace croton
