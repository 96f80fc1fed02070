#include "croton/runtime/debug_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "croton/graph/flags.h"
#include "croton/graph/op.h"
#include "croton/runtime/compare_values.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/node_text.h"
#include "croton/runtime/plan.h"

namespace croton {

namespace {

bool lists(const std::vector<std::pair<int, int>>& map, std::size_t output, std::size_t input) {
  return std::ranges::find(map, std::pair(static_cast<int>(output), static_cast<int>(input))) != map.end();
}

bool destroys(const Node& node, std::size_t input) {
  if (!node.attributes().contains("inplace")) return false;
  for (const auto& [output, destroyed] : node.op().destroy_map(node)) {
    // An operand may stand there twice.
    if (node.input(static_cast<std::size_t>(destroyed)) == node.input(input)) return true;
  }
  return false;
}

/// Most of the memory stays as it is: it is compared in blocks first.
constexpr std::size_t compared_bytes = 4096;

std::string bytes_text(std::ptrdiff_t bytes) {
  return fmt::format("{} byte{}", bytes, bytes == 1 ? "" : "s");
}

}  // namespace

void StepChecker::begin(const Plan& plan, std::span<const ArenaMemory> arenas) {
  plan_ = &plan;
  arena_ = arenas.front().bytes;
  watched_.clear();
  std::mt19937_64 random(options_.pattern);
  for (const ArenaMemory& arena : arenas) {
    std::vector<std::byte> filled(arena.bytes.size(), std::byte{0xff});
    for (std::size_t i = 0; options_.pattern != 0 && i < filled.size(); i += sizeof(std::uint64_t)) {
      const std::uint64_t word = random();
      std::memcpy(filled.data() + i, &word, std::min(sizeof word, filled.size() - i));
    }
    if (arena.device == nullptr) {
      std::ranges::copy(filled, arena.bytes.begin());
    } else {
      arena.device->upload(arena.bytes.data(), filled.data(), filled.size());
    }
    watched_.push_back({arena, std::move(filled), {}});
  }
  outside_before_.assign(options_.outside.begin(), options_.outside.end());
}

void StepChecker::add(StepFault::Kind kind, const Node* node, std::string text) {
  faults_.push_back({kind, node, position_, std::move(text)});
}

void StepChecker::before(const NodeCall& call) {
  position_ = call.position;
  kind_.clear();
  inputs_.clear();
  for (const Tensor& input : call.inputs) inputs_.push_back(input.copy());
}

void StepChecker::run(const Step& step, void** slots, std::size_t end) {
  if (dynamic_cast<const ProbeStep*>(&step) != nullptr) return step.run(slots);
  if (step.node() != nullptr) kind_ = step.kind();
  for (Watched& watched : watched_) {
    // What lies on a device is as it was found behind the last step.
    if (watched.arena.device == nullptr)
      watched.before.assign(watched.arena.bytes.begin(), watched.arena.bytes.end());
  }
  if (const auto* kernel = dynamic_cast<const KernelStep*>(&step)) {
    run_kernel(*kernel, slots);
  } else {
    step.run(slots);
  }
  look_at_writes(step, slots + step.first_slot, end - step.first_slot);
}

void StepChecker::run_kernel(const KernelStep& step, void** slots) {
  step.start(slots);
  for (std::size_t phase = 0; phase < step.kernel->phases().size(); ++phase) {
    run_phase(step, slots + step.first_slot, phase);
  }
  step.finish(slots);
}

/// Each range of the loop alone on the memory as it was before the loop, then all one after the other, in
/// both directions: whoever depends on another range gives another result.
void StepChecker::run_phase(const KernelStep& step, void* const* buffers, std::size_t number) {
  const CompiledKernel::CompiledPhase& phase = step.kernel->phases()[number];
  const std::int64_t grain = std::max<std::int64_t>(phase.grain, 1);
  const std::int64_t pieces = std::min<std::int64_t>(options_.ranges, (phase.extent + grain - 1) / grain);
  if (phase.extent <= phase.grain || pieces < 2) return phase.function(buffers, 0, phase.extent, 0);
  std::vector<std::int64_t> bounds;
  const std::int64_t grains = (phase.extent + grain - 1) / grain;
  for (std::int64_t i = 0; i <= pieces; ++i) {
    bounds.push_back(std::min(phase.extent, grains * i / pieces * grain));
  }
  const std::vector<std::byte> start(arena_.begin(), arena_.end());
  std::vector<std::byte> merged = start;
  bool clash = false;
  for (std::int64_t i = 0; i < pieces; ++i) {
    std::ranges::copy(start, arena_.begin());
    const auto at = static_cast<std::size_t>(i);
    phase.function(buffers, bounds[at], bounds[at + 1], static_cast<std::int32_t>(i));
    for (std::size_t block = 0; block < start.size(); block += compared_bytes) {
      const std::size_t end = std::min(block + compared_bytes, start.size());
      const std::size_t bytes = end - block;
      if (std::memcmp(arena_.data() + block, start.data() + block, bytes) == 0) continue;
      if (std::memcmp(merged.data() + block, start.data() + block, bytes) == 0) {
        std::memcpy(merged.data() + block, arena_.data() + block, bytes);
        continue;
      }
      for (std::size_t b = block; b < end; ++b) {
        if (arena_[b] == start[b]) continue;
        // What differs from the start was written by an earlier range.
        clash = clash || (merged[b] != start[b] && merged[b] != arena_[b]);
        merged[b] = arena_[b];
      }
    }
  }
  bool depends = false;
  for (const bool forward : {true, false}) {
    std::ranges::copy(start, arena_.begin());
    for (std::int64_t i = 0; i < pieces; ++i) {
      const auto at = static_cast<std::size_t>(forward ? i : pieces - 1 - i);
      phase.function(buffers, bounds[at], bounds[at + 1], static_cast<std::int32_t>(at));
    }
    depends = depends || !std::ranges::equal(merged, arena_);
  }
  if (clash || depends) {
    add(StepFault::Kind::race, step.node(),
        fmt::format(
            "the {} ranges of a parallel loop of {} indices {}: its result depends on the schedule", pieces,
            phase.extent,
            clash ? "write different values to the same place" : "read or add to what another range writes"));
  }
}

/// The bytes as they are now.
std::span<const std::byte> StepChecker::contents(Watched& watched) const {
  const ArenaMemory& arena = watched.arena;
  if (arena.device == nullptr) return arena.bytes;
  watched.now.resize(arena.bytes.size());
  arena.device->download(watched.now.data(), arena.bytes.data(), arena.bytes.size());
  return watched.now;
}

/// Whether the step wrote where it must not in one arena.
bool StepChecker::look_at_arena(const Step& step, void* const* pointers, std::size_t count,
                                Watched& watched) {
  const std::span<std::byte> arena = watched.arena.bytes;
  const std::span<const std::byte> now = contents(watched);
  const Device where =
      watched.arena.device == nullptr ? Device() : Device::cuda(watched.arena.device->ordinal());
  std::vector<Plan::Buffer> buffers, own;
  std::ranges::copy_if(plan_->buffers(), std::back_inserter(buffers),
                       [&](const Plan::Buffer& buffer) { return buffer.device == where; });
  for (std::size_t i = 0; i < count; ++i) {
    const auto* pointer = static_cast<const std::byte*>(pointers[i]);
    if (pointer < arena.data() || pointer >= arena.data() + arena.size()) continue;
    const auto offset = static_cast<std::size_t>(pointer - arena.data());
    auto buffer = std::ranges::upper_bound(buffers, offset, {}, &Plan::Buffer::offset);
    if (buffer != buffers.begin()) own.push_back(*--buffer);
  }
  std::ranges::sort(own, {}, &Plan::Buffer::offset);
  std::size_t from = 0;
  const auto compare_up_to = [&](std::size_t end) {
    if (from >= end || std::memcmp(now.data() + from, watched.before.data() + from, end - from) == 0)
      return false;
    std::size_t at = from;
    while (now[at] == watched.before[at]) ++at;
    std::string text = "it writes outside of its buffers";
    for (const Plan::Buffer& buffer : own) {
      const auto behind =
          static_cast<std::ptrdiff_t>(at) - static_cast<std::ptrdiff_t>(buffer.offset + buffer.bytes);
      if (behind >= 0 && behind < 4096) {
        text = fmt::format("it writes {} behind the end of a buffer of {}", bytes_text(behind + 1),
                           bytes_text(static_cast<std::ptrdiff_t>(buffer.bytes)));
      }
      const auto before = static_cast<std::ptrdiff_t>(buffer.offset) - static_cast<std::ptrdiff_t>(at);
      if (before > 0 && before < 4096 && behind < 0) {
        text = fmt::format("it writes {} before the beginning of a buffer of {}", bytes_text(before),
                           bytes_text(static_cast<std::ptrdiff_t>(buffer.bytes)));
        break;
      }
    }
    add(StepFault::Kind::stray_write, step.node(), std::move(text));
    return true;
  };
  bool found = false;
  for (const Plan::Buffer& buffer : own) {
    found = found || compare_up_to(buffer.offset);
    from = std::max(from, buffer.offset + buffer.bytes);
  }
  found = found || compare_up_to(arena.size());
  if (watched.arena.device != nullptr) watched.before.swap(watched.now);
  return found;
}

void StepChecker::look_at_writes(const Step& step, void* const* pointers, std::size_t count) {
  bool found = false;
  for (Watched& watched : watched_) found = look_at_arena(step, pointers, count, watched) || found;
  if (!found && !options_.outside.empty() &&
      std::memcmp(options_.outside.data(), outside_before_.data(), outside_before_.size()) != 0) {
    add(StepFault::Kind::stray_write, step.node(),
        "it writes to the memory of arguments or shared variables");
    std::ranges::copy(outside_before_, options_.outside.begin());
  }
}

void StepChecker::after(const NodeCall& call) {
  const Node& node = call.node;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    if (destroys(node, i) || same_bits(call.inputs[i], inputs_[i])) continue;
    add(StepFault::Kind::destroyed_input, &node,
        fmt::format("it writes over input {}, {}, which its destroy map does not list", i,
                    describe(node.input(i))));
  }
  const ReferenceValue reference = reference_value(node, inputs_);
  const auto views = node.op().view_map(node);
  const auto destroyed = node.op().destroy_map(node);
  for (std::size_t i = 0; i < reference.outputs.size(); ++i) {
    for (std::size_t j = 0; j < inputs_.size(); ++j) {
      if (reference.outputs[i].storage() != inputs_[j].storage() || inputs_[j].bytes() == 0 ||
          lists(views, i, j) || lists(destroyed, i, j)) {
        continue;
      }
      add(StepFault::Kind::hidden_alias, &node,
          fmt::format("output {} is the memory of input {}, which its view map does not list", i, j));
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (reference.outputs[i].storage() == reference.outputs[j].storage() &&
          reference.outputs[i].bytes() > 0) {
        add(StepFault::Kind::hidden_alias, &node, fmt::format("outputs {} and {} share their memory", j, i));
      }
    }
  }
  Result& result = results_[call.position];
  result.node = &node;
  result.kind = kind_;
  for (std::size_t i = 0; i < call.outputs.size(); ++i) {
    result.outputs.push_back(call.outputs[i].copy());
    Tolerance tolerance = tolerance_of(call.outputs[i].dtype());
    tolerance.magnitude = reference.magnitude;
    const auto difference = compare_values(reference.outputs[i], call.outputs[i], tolerance);
    if (!difference) {
      if (config().debug_check_finite() && !is_all_finite(call.outputs[i]) &&
          std::ranges::all_of(inputs_, is_all_finite)) {
        add(StepFault::Kind::not_finite, &node,
            fmt::format("output {} is not finite, though its inputs are (the flag DebugMode.check_finite)",
                        i));
      }
      continue;
    }
    std::string text =
        fmt::format("output {} differs from the reference evaluator: {}", i, difference->text());
    for (std::size_t j = 0; j < inputs_.size(); ++j) {
      text += fmt::format("\n  input {}: {}", j, operand_text(node.input(j), inputs_[j]));
    }
    add(StepFault::Kind::wrong_value, &node, std::move(text));
  }
}

}  // namespace croton
