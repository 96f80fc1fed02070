#include "croton/codegen/llvm_jit.h"

#include <llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/Core.h>
#include <llvm/ExecutionEngine/Orc/ExecutorProcessControl.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/Process.h>

#include <atomic>

#include "croton/codegen/kernel_functions.h"
#include "croton/codegen/llvm_object.h"
#include "croton/graph/error.h"

namespace croton {

namespace {

template <class T>
T must(llvm::Expected<T> value, const char* what) {
  if (!value) throw InternalError(std::string(what) + ": " + llvm::toString(value.takeError()));
  return std::move(*value);
}

void must(llvm::Error error, const char* what) {
  if (error) throw InternalError(std::string(what) + ": " + llvm::toString(std::move(error)));
}

struct Jit {
  llvm::orc::ExecutionSession session;
  llvm::orc::ObjectLinkingLayer layer;
  llvm::orc::JITDylib& library;
  std::atomic<std::uint64_t> objects{0};

  Jit()
      : session(must(llvm::orc::SelfExecutorProcessControl::Create(), "starting the linker")),
        layer(session, must(llvm::jitlink::InProcessMemoryManager::Create(), "starting the linker")),
        library(session.createBareJITDylib("croton")) {
    session.setErrorReporter([](llvm::Error error) { llvm::consumeError(std::move(error)); });
    llvm::orc::SymbolMap symbols;
    for (const KernelFunction& function : kernel_functions()) {
      symbols[session.intern(function.name)] = {
          llvm::orc::ExecutorAddr::fromPtr(function.address),
          llvm::JITSymbolFlags::Exported | llvm::JITSymbolFlags::Callable};
    }
    must(library.define(llvm::orc::absoluteSymbols(std::move(symbols))), "naming the functions of kernels");
  }

  /// Never destroyed: kernels may live in static variables of the program.
  static Jit& instance() {
    static Jit* const jit = new Jit;
    return *jit;
  }
};

}  // namespace

LoadedObject load_object(const std::string& object, const std::string& symbol, std::size_t phases) {
  Jit& jit = Jit::instance();
  // The same kernel may be loaded twice (its first owner is just going away): every object gets a library of
  // its own name space.
  llvm::orc::JITDylib& library =
      jit.session.createBareJITDylib(symbol + "." + std::to_string(jit.objects.fetch_add(1)));
  library.addToLinkOrder(jit.library);
  std::shared_ptr<const void> code(
      &library, [&jit](llvm::orc::JITDylib* dead) { llvm::consumeError(jit.session.removeJITDylib(*dead)); });
  must(jit.layer.add(library, llvm::MemoryBuffer::getMemBufferCopy(object, symbol)),
       "reading a kernel's object");
  llvm::orc::SymbolLookupSet wanted;
  for (std::size_t i = 0; i < phases; ++i) wanted.add(jit.session.intern(phase_symbol(symbol, i)));
  const llvm::orc::SymbolMap found =
      must(jit.session.lookup(llvm::orc::makeJITDylibSearchOrder(&library), std::move(wanted)),
           "linking a kernel");
  LoadedObject result;
  for (std::size_t i = 0; i < phases; ++i) {
    result.functions.push_back(
        found.find(jit.session.intern(phase_symbol(symbol, i)))->second.getAddress().toPtr<void*>());
  }
  result.code = std::move(code);
  return result;
}

}  // namespace croton
