#include "croton/codegen/cuda_emit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "croton/codegen/cuda_contraction.h"
#include "croton/codegen/cuda_phase.h"
#include "croton/codegen/cuda_prelude.h"
#include "croton/codegen/cuda_scalar.h"

namespace croton {

namespace {

std::string identifier(const std::string& name) {
  std::string result = "croton_";
  for (const char c : name) result += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return result;
}

// Threads of a block that runs short phases only.
constexpr int threads_of_lone_block = 1024;
// Blocks up to which it is cheap to find the one that ends last.
constexpr std::uint32_t most_blocks_before_tail = 16384;

/// Phases that are one launch: the first is spread over the GPU; those behind it are run by the block that
/// ends last. Where the first is short, too, there is one block only.
struct Launch {
  std::vector<const Phase*> phases;
  bool is_lone_block = false;
  int threads = 0;
};

std::uint32_t blocks_of(const Phase& phase, const CudaSchedule& s) {
  const std::int64_t indices = s.one_after_other ? phase.extent
                               : s.mode == CudaSchedule::Mode::flat
                                   ? std::int64_t{s.block} * s.lanes * s.packs
                               : s.mode == CudaSchedule::Mode::group ? s.groups_per_block()
                                                                     : s.block;
  return static_cast<std::uint32_t>((phase.extent + indices - 1) / indices);
}

std::vector<Launch> launches_of(const Kernel& kernel, int multiprocessors) {
  std::vector<Launch> launches;
  for (const Phase& phase : kernel.phases) {
    if (phase.extent == 0) continue;
    if (!launches.empty() && launches.back().threads > 0 &&
        is_short_in_block(kernel, phase, launches.back().threads)) {
      launches.back().phases.push_back(&phase);
      continue;
    }
    Launch& launch = launches.emplace_back();
    launch.phases.push_back(&phase);
    launch.is_lone_block = is_short_in_block(kernel, phase, threads_of_lone_block);
    if (launch.is_lone_block) {
      launch.threads = threads_of_lone_block;
      continue;
    }
    const CudaSchedule schedule = cuda_schedule(kernel, phase, multiprocessors);
    const bool has_warps = schedule.block % 32 == 0 && (schedule.block & (schedule.block - 1)) == 0;
    if (has_warps && blocks_of(phase, schedule) <= most_blocks_before_tail) launch.threads = schedule.block;
  }
  return launches;
}

std::string parameter(const Kernel& kernel, std::int32_t id) {
  const BufferInfo& b = kernel.buffers[static_cast<std::size_t>(id)];
  return fmt::format("{}{}* b{}", b.role == BufferInfo::Role::in ? "const " : "", cuda_memory_type(b.dtype),
                     id);
}

/// Several phases as one function: between them the block's threads wait for each other.
class LaunchWriter {
 public:
  LaunchWriter(const Kernel& kernel, const KernelUses& uses, const Launch& launch, int multiprocessors,
               std::string function)
      : k_(kernel), uses_(uses), launch_(launch), multiprocessors_(multiprocessors) {
    result.function = std::move(function);
  }

  std::string write() {
    for (const Phase* phase : launch_.phases) add(*phase);
    std::string parameters;
    for (const std::int32_t id : buffers_) {
      parameters += (parameters.empty() ? "" : ", ") + parameter(k_, id);
      result.buffers.push_back(id);
    }
    result.block = static_cast<std::uint32_t>(launch_.threads);
    const std::string counter =
        result.grid > 1 ? fmt::format("__device__ u32 {}_arrived;\n", result.function) : std::string();
    return functions_ + counter +
           fmt::format("extern \"C\" __global__ void __launch_bounds__({}) {}({}) {{\n{}}}\n",
                       launch_.threads, result.function, parameters, body_);
  }

  CudaKernel::Phase result;

 private:
  void add(const Phase& phase) {
    const bool is_first = &phase == launch_.phases.front();
    const bool is_spread = is_first && !launch_.is_lone_block;
    const std::string function = fmt::format("{}_{}", result.function, number_++);
    CudaPhaseWriter writer(k_, uses_, phase,
                           is_spread ? cuda_schedule(k_, phase, multiprocessors_)
                                     : cuda_schedule_in_block(k_, phase, launch_.threads),
                           function, true);
    functions_ += writer.write();
    buffers_.insert(writer.buffers().begin(), writer.buffers().end());
    result.shared_bytes = std::max(result.shared_bytes, writer.shared_bytes());
    std::string arguments;
    for (const std::int32_t id : writer.buffers()) arguments += fmt::format(", b{}", id);
    const auto call = [&](std::string_view part) {
      return fmt::format("{}({}{});", function, part, arguments);
    };
    if (is_spread) {
      result.grid = writer.grid();
      body_ += "  " + call("(i32)blockIdx.x") + "\n";
      if (result.grid > 1)
        body_ += fmt::format("  if (!is_last_block(&{}_arrived)) return;\n", result.function);
      return;
    }
    const bool has_waited = number_ == 2 && result.grid > 1;  // in is_last_block
    if (!is_first && !has_waited) body_ += "  block_barrier();\n";
    // Memory that a part shares between threads is that of the next part.
    if (writer.grid() == 1) {
      body_ += "  " + call("0") + "\n";
    } else {
      body_ += fmt::format("  for (i32 part = 0; part < {}; ++part) {{\n    {}\n{}  }}\n", writer.grid(),
                           call("part"), writer.shared_bytes() > 0 ? "    block_barrier();\n" : "");
    }
  }

  const Kernel& k_;
  const KernelUses& uses_;
  const Launch& launch_;
  int multiprocessors_;
  int number_ = 0;
  std::set<std::int32_t> buffers_;
  std::string functions_, body_;
};

}  // namespace

CudaSource emit_cuda(const Kernel& kernel, int multiprocessors) {
  if (kernel.contraction != nullptr) return emit_contraction(*kernel.contraction, kernel.name);
  const KernelUses uses(kernel);
  CudaSource source;
  for (const Launch& launch : launches_of(kernel, multiprocessors)) {
    const Phase& first = *launch.phases.front();
    const std::string function = fmt::format("{}_{}", identifier(kernel.name), &first - kernel.phases.data());
    if (launch.phases.size() > 1) {
      LaunchWriter writer(kernel, uses, launch, multiprocessors, function);
      source.text += writer.write();
      source.phases.push_back(std::move(writer.result));
      continue;
    }
    CudaPhaseWriter writer(kernel, uses, first, cuda_schedule(kernel, first, multiprocessors), function);
    source.text += writer.write();
    source.phases.push_back({.function = function,
                             .grid = writer.grid(),
                             .block = static_cast<std::uint32_t>(writer.schedule().block),
                             .shared_bytes = writer.shared_bytes(),
                             .buffers = writer.buffers()});
  }
  return source;
}

bool joins_last_launch(const Kernel& kernel, const Kernel& next, int multiprocessors) {
  if (kernel.contraction != nullptr || next.contraction != nullptr) return false;
  const std::vector<Launch> launches = launches_of(kernel, multiprocessors);
  if (launches.empty() || launches.back().threads == 0) return false;
  return std::ranges::all_of(next.phases, [&](const Phase& phase) {
    return phase.extent == 0 || is_short_in_block(next, phase, launches.back().threads);
  });
}

const std::string& cuda_prelude_of(const Kernel& kernel) {
  static const std::string plain = std::string(cuda_device_prelude()) + std::string(cuda_prelude());
  static const std::string of_contractions =
      plain + std::string(contraction_device_prelude()) + std::string(contraction_prelude());
  return kernel.contraction != nullptr ? of_contractions : plain;
}

std::string cuda_source(const Kernel& kernel, const CudaTarget& target) {
  return cuda_prelude_of(kernel) + emit_cuda(kernel, target.multiprocessors).text;
}

}  // namespace croton
