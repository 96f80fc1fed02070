#include "croton/codegen/llvm_object.h"

#include <llvm/ADT/SmallVector.h>
#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>

#include "croton/codegen/llvm_phase.h"
#include "croton/graph/error.h"

namespace croton {

namespace {

/// What one thread keeps for all its compilations.
struct Compiler {
  TargetInfo info;
  bool is_quick = false;
  std::unique_ptr<llvm::TargetMachine> machine;
};

Compiler& compiler_of_thread(const TargetInfo& info, bool is_quick) {
  thread_local Compiler compiler;
  const TargetInfo& old = compiler.info;
  if (compiler.machine == nullptr || old.cpu != info.cpu || old.features != info.features ||
      compiler.is_quick != is_quick) {
    compiler.machine = make_target_machine(info);
    if (is_quick) compiler.machine->setOptLevel(llvm::CodeGenOptLevel::None);
    compiler.info = info;
    compiler.is_quick = is_quick;
  }
  return compiler;
}

/// The emitter writes vector code already; these passes only clear away its scaffolding.
void clean_up(llvm::Module& module, llvm::TargetMachine& machine, bool is_quick) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::PreserveCFG));
  passes.addPass(llvm::EarlyCSEPass());
  if (!is_quick) {
    passes.addPass(llvm::InstCombinePass());
    passes.addPass(llvm::SimplifyCFGPass());
    passes.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(llvm::LICMOptions()), true));
    passes.addPass(llvm::EarlyCSEPass());
  }
  for (llvm::Function& function : module) {
    if (!function.isDeclaration()) passes.run(function, functions);
  }
}

std::string emit_file(llvm::Module& module, llvm::TargetMachine& machine, llvm::CodeGenFileType kind) {
  llvm::SmallVector<char, 0> buffer;
  llvm::raw_svector_ostream stream(buffer);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, kind)) {
    throw InternalError("LLVM cannot write this kind of file");
  }
  passes.run(module);
  return std::string(buffer.data(), buffer.size());
}

}  // namespace

std::string phase_symbol(const std::string& kernel_symbol, std::size_t phase) {
  return kernel_symbol + "_" + std::to_string(phase);
}

std::string compile_to_object(const Kernel& kernel, const std::string& symbol, const TargetInfo& target,
                              bool is_quick, KernelSource* source) {
  Compiler& compiler = compiler_of_thread(target, is_quick);
  llvm::LLVMContext context;
  llvm::Module module(symbol, context);
  module.setTargetTriple(compiler.machine->getTargetTriple().str());
  module.setDataLayout(compiler.machine->createDataLayout());
  const KernelUses uses(kernel);
  PhaseEmitter emitter(kernel, uses, target, module);
  for (std::size_t i = 0; i < kernel.phases.size(); ++i)
    emitter.emit(kernel.phases[i], phase_symbol(symbol, i));
#ifndef NDEBUG
  std::string problem;
  llvm::raw_string_ostream problem_stream(problem);
  if (llvm::verifyModule(module, &problem_stream)) {
    throw InternalError("kernel '" + kernel.name + "' was emitted as invalid LLVM IR: " + problem);
  }
#endif
  clean_up(module, *compiler.machine, is_quick);
  if (source != nullptr) {
    source->loop_ir = to_text(kernel);
    llvm::raw_string_ostream stream(source->llvm_ir);
    module.print(stream, nullptr);
    stream.flush();
    // The code generator changes the module, so the assembly comes from a copy.
    KernelSource none;
    llvm::SmallVector<char, 0> unused;
    source->assembly = emit_file(module, *compiler.machine, llvm::CodeGenFileType::AssemblyFile);
    return {};
  }
  return emit_file(module, *compiler.machine, llvm::CodeGenFileType::ObjectFile);
}

}  // namespace croton
