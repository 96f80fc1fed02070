#include <llvm/IR/Module.h>

#include "croton/codegen/llvm_scalar.h"
#include "croton/codegen/loop_ir.h"

namespace croton {

llvm::Value* emit_math(const ScalarContext& c, ScalarOp op, llvm::ArrayRef<llvm::Value*> operands) {
  llvm::Type* const element = operands[0]->getType()->getScalarType();
  const std::string name =
      "croton_" + std::string(name_of(op)) + (element->isFloatTy() ? "_float32" : "_float64");
  if (operands.size() == 1) {
    const auto f = c.module.getOrInsertFunction(name, llvm::FunctionType::get(element, {element}, false));
    return call_by_lane(c.b, f, {operands[0]});
  }
  const auto f =
      c.module.getOrInsertFunction(name, llvm::FunctionType::get(element, {element, element}, false));
  return call_by_lane(c.b, f, {operands[0], operands[1]});
}

}  // namespace croton
