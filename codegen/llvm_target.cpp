#include "croton/codegen/llvm_target.h"

#include <fmt/format.h>
#include <llvm/ADT/StringMap.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/SubtargetFeature.h>

#include <algorithm>
#include <mutex>

#include "croton/graph/error.h"

namespace croton {

namespace {

struct Host {
  std::string triple, cpu, features;
  const llvm::Target* target = nullptr;
};

const Host& host() {
  static const Host host = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    Host h;
    h.triple = llvm::sys::getProcessTriple();
    h.cpu = llvm::sys::getHostCPUName().str();
    llvm::SubtargetFeatures features;
#if LLVM_VERSION_MAJOR >= 19
    const llvm::StringMap<bool> found = llvm::sys::getHostCPUFeatures();
#else
    llvm::StringMap<bool> found;
    llvm::sys::getHostCPUFeatures(found);
#endif
    std::vector<std::string> names;
    for (const auto& feature : found) names.push_back((feature.second ? "+" : "-") + feature.first().str());
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) features.AddFeature(name);
    h.features = features.getString();
    std::string error;
    h.target = llvm::TargetRegistry::lookupTarget(h.triple, error);
    if (h.target == nullptr) throw DeviceError("LLVM cannot make code for this machine: " + error);
    return h;
  }();
  return host;
}

/// LLVM only prints a complaint about names that it does not know.
void check_names(const llvm::MCSubtargetInfo& any, const Target& target) {
  if (!target.cpu.empty() && !any.isCPUStringValid(target.cpu)) {
    throw ValueError(fmt::format("unknown cpu '{}' for code generation on {}", target.cpu, host().triple));
  }
  const llvm::SubtargetFeatures features(target.features);
  for (const std::string& name : features.getFeatures()) {
    const auto is_it = [&](const auto& known) {
      return name.size() > 1 && name.compare(1, std::string::npos, known.Key) == 0;
    };
    const auto all = any.getAllProcessorFeatures();
    if (std::none_of(all.begin(), all.end(), is_it)) {
      throw ValueError(fmt::format("unknown cpu feature '{}'; features are given as '+avx2,-avx512f'", name));
    }
  }
}

}  // namespace

TargetInfo resolve(const Target& target) {
  const Host& h = host();
  const auto subtarget_of = [&](const std::string& cpu, const std::string& features) {
    return std::unique_ptr<llvm::MCSubtargetInfo>(h.target->createMCSubtargetInfo(h.triple, cpu, features));
  };
  if (!target.cpu.empty() || !target.features.empty()) check_names(*subtarget_of("", ""), target);
  TargetInfo info;
  info.cpu = target.cpu.empty() ? h.cpu : target.cpu;
  info.features = target.cpu.empty() ? h.features : "";
  if (!target.features.empty()) info.features += (info.features.empty() ? "" : ",") + target.features;
  const std::unique_ptr<llvm::MCSubtargetInfo> subtarget = subtarget_of(info.cpu, info.features);
  const auto has = [&](const char* feature) { return subtarget->checkFeatures(feature); };
  info.has_avx2 = has("+avx2");
  info.has_avx512 = has("+avx512f") && has("+avx512bw") && has("+avx512dq") && has("+avx512vl");
  info.has_fma = has("+fma");
  info.has_f16c = has("+f16c");
  const int widest = info.has_avx512 ? 64 : has("+avx") ? 32 : 16;
  info.vector_bytes = target.vector_bytes == 0 ? widest : std::clamp(target.vector_bytes, 16, widest);
  return info;
}

std::unique_ptr<llvm::TargetMachine> make_target_machine(const TargetInfo& info) {
  const Host& h = host();
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;  // the emitter says what is fused
  options.EnableFastISel = false;
  return std::unique_ptr<llvm::TargetMachine>(
      h.target->createTargetMachine(h.triple, info.cpu, info.features, options, llvm::Reloc::PIC_,
                                    llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default, true));
}

std::string describe_target(const Target& target) {
  const TargetInfo info = resolve(target);
  return fmt::format("LLVM {}, {}, {}-byte vectors", LLVM_VERSION_STRING, info.cpu, info.vector_bytes);
}

}  // namespace croton
