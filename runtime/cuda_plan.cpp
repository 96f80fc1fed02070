#include "croton/runtime/cuda_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/message.h"
#include "croton/runtime/byte_text.h"
#include "croton/runtime/cuda_memory.h"
#include "croton/runtime/cuda_nvtx.h"

namespace croton {

CudaPlan::CudaPlan(std::vector<CudaDevice*> devices, std::shared_ptr<const std::string> label)
    : devices_(std::move(devices)), label_(std::move(label)), arenas_(devices_.size()) {
  for (const CudaDevice* device : devices_) device_bits_ |= std::uint64_t{1} << device->ordinal();
}

void CudaPlan::synchronize() const {
  for (const CudaDevice* device : devices_) device->synchronize();
}

std::size_t CudaPlan::arena_bytes() const {
  std::size_t bytes = 0;
  for (const Arena& arena : arenas_) bytes += arena.bytes;
  return bytes;
}

void* CudaPlan::add_constant(CudaDevice& device, const Tensor& value) {
  StorageRef storage = device.allocate(value.bytes(), label_);
  device.upload(storage->data(), value.raw_data(), value.bytes());
  constant_bytes_ += value.bytes();
  constants_.push_back(storage);
  return storage->data();
}

void CudaPlan::set_arena(const CudaDevice& device, Arena arena) {
  const auto at = std::ranges::find(devices_, &device) - devices_.begin();
  arenas_[static_cast<std::size_t>(at)] = std::move(arena);
}

void CudaPlan::find_stretches(const std::vector<std::unique_ptr<Step>>& steps, std::size_t slot_count,
                              const std::string& reason) {
  not_replayed_ = reason;
  if (config().gpu_sync()) not_replayed_ = "gpu.sync waits behind every step";
  if (!config().gpu_graphs()) not_replayed_ = "gpu.graphs is off";
  if (!not_replayed_.empty()) return;
  std::vector<Stretch> stretches;
  for (std::size_t i = 0; i < steps.size();) {
    Stretch stretch{.steps = {}, .end_slots = {}, .checks = {}, .first = i};
    for (; i < steps.size(); ++i) {
      const auto* step = dynamic_cast<const CudaStep*>(steps[i].get());
      const bool belongs =
          step != nullptr && (stretch.steps.empty() || &stretch.steps.front()->device() == &step->device());
      if (!belongs) break;
      stretch.steps.push_back(step);
      stretch.end_slots.push_back(i + 1 < steps.size() ? steps[i + 1]->first_slot : slot_count);
    }
    stretch.end = i;
    if (stretch.steps.empty()) {
      ++i;
    } else {
      stretches.push_back(std::move(stretch));
    }
  }
  find_long_stretches(steps, stretches);
  for (Stretch& stretch : stretches) {
    if (stretch.steps.size() >= least_steps_of_a_graph) stretches_.push_back(std::move(stretch));
  }
}

/// Stretches with nothing between them but checks that are left out while what they check is known.
void CudaPlan::find_long_stretches(const std::vector<std::unique_ptr<Step>>& steps,
                                   const std::vector<Stretch>& stretches) {
  for (const Stretch& stretch : stretches) {
    std::vector<const CudaFaultCheck*> checks;
    if (!long_stretches_.empty()) {
      for (std::size_t i = long_stretches_.back().end; i < stretch.first; ++i) {
        const auto* check = dynamic_cast<const CudaFaultCheck*>(steps[i].get());
        if (check != nullptr && check->has_fixed_sources()) checks.push_back(check);
      }
    }
    const bool continues =
        !checks.empty() && long_stretches_.back().end + checks.size() == stretch.first &&
        &long_stretches_.back().steps.front()->device() == &stretch.steps.front()->device();
    if (!continues) {
      long_stretches_.push_back(stretch);
      continue;
    }
    Stretch& whole = long_stretches_.back();
    whole.steps.insert(whole.steps.end(), stretch.steps.begin(), stretch.steps.end());
    whole.end_slots.insert(whole.end_slots.end(), stretch.end_slots.begin(), stretch.end_slots.end());
    whole.checks.insert(whole.checks.end(), checks.begin(), checks.end());
    whole.end = stretch.end;
  }
  std::erase_if(long_stretches_, [](const Stretch& stretch) {
    return stretch.checks.empty() || stretch.steps.size() < least_steps_of_a_graph;
  });
}

std::unique_ptr<CudaReplay> CudaPlan::replay_of(const Stretch& stretch) {
  return std::make_unique<CudaReplay>(stretch.steps.front()->device(), stretch.steps, stretch.end_slots);
}

void CudaPlan::name_ranges(std::vector<std::string> names) {
  ranges_ = std::move(names);
  for (const std::vector<Stretch>* stretches : {&stretches_, &long_stretches_}) {
    for (const Stretch& stretch : *stretches)
      ranges_.push_back(fmt::format("{} … {}", ranges_[stretch.first], ranges_[stretch.end - 1]));
  }
}

void CudaPlan::report_transfers(const std::string& function, const std::string& what) {
  const std::string text =
      fmt::format("function '{}' copies between host and GPU (transfers):{}", function, what);
  if (config().transfers() == Transfers::raise) throw DeviceError(text);
  warn_once(text);
}

void CudaPlan::prepare(Instance& instance, void** slots) const {
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    const Arena& arena = arenas_[i];
    try {
      instance.arenas.push_back(devices_[i]->allocate(arena.bytes, label_));
    } catch (const MemoryError& error) {
      throw MemoryError(fmt::format("{}\n  it was for the intermediate values of {}, the largest of them:{}",
                                    error.what(), *label_, arena.largest));
    }
    auto* first = static_cast<std::byte*>(instance.arenas.back()->data());
    for (const ArenaPointer& pointer : arena.pointers) slots[pointer.slot] = first + pointer.offset;
  }
  for (const Stretch& stretch : stretches_) instance.replays.push_back(replay_of(stretch));
  for (const Stretch& stretch : long_stretches_) instance.long_replays.push_back(replay_of(stretch));
}

void CudaPlan::run(const std::vector<std::unique_ptr<Step>>& steps, Instance& instance, void** slots,
                   std::size_t& at) const {
  const NvtxRange call(ranges_.empty() ? nullptr : label_->c_str());
  if (!not_replayed_.empty()) {
    const bool waits = config().gpu_sync();
    for (; at < steps.size(); ++at) {
      const NvtxRange step(range(at));
      steps[at]->run(slots);
      if (waits) synchronize();
    }
    return;
  }
  const auto replay = [&](const Stretch& stretch, CudaReplay& recorded, std::size_t range_number) {
    const NvtxRange steps_together(range(steps.size() + range_number));
    try {
      recorded.run(slots);
    } catch (const DeviceError& error) {
      throw DeviceError(
          fmt::format("{}\n  in one of steps {} to {}, which may run as one CUDA graph "
                      "(CROTON_FLAGS=gpu.sync=true runs them one by one and names it)",
                      error.what(), stretch.first, stretch.end - 1));
    }
    at = stretch.end;
  };
  std::size_t next = 0, next_long = 0;  // stretches
  while (at < steps.size()) {
    while (next < stretches_.size() && stretches_[next].first < at) ++next;
    while (next_long < long_stretches_.size() && long_stretches_[next_long].first < at) ++next_long;
    if (next_long < long_stretches_.size() && long_stretches_[next_long].first == at) {
      const Stretch& stretch = long_stretches_[next_long];
      const auto is_known = [&](const CudaFaultCheck* check) { return check->is_known_good(slots); };
      if (std::ranges::all_of(stretch.checks, is_known)) {
        for (const CudaFaultCheck* check : stretch.checks) check->note_skipped();
        replay(stretch, *instance.long_replays[next_long], stretches_.size() + next_long);
        continue;
      }
    }
    if (next < stretches_.size() && stretches_[next].first == at) {
      replay(stretches_[next], *instance.replays[next], next);
    } else {
      const NvtxRange step(range(at));
      steps[at]->run(slots);
      ++at;
    }
  }
}

void CudaPlan::run_measured(const std::vector<std::unique_ptr<Step>>& steps, Instance& instance, void** slots,
                            std::size_t& at, StepTimes& times, std::span<const Trace::Label> labels) const {
  using Clock = std::chrono::steady_clock;
  Trace* const trace = labels.empty() ? nullptr : Trace::active();
  instance.events.resize(2 * steps.size());
  const auto event = [&](std::size_t number, const CudaStep& step) -> const CudaEvent& {
    auto& made = instance.events[number];
    if (made == nullptr) made = std::make_unique<CudaEvent>(step.device(), true);
    return *made;
  };
  times.count_measured();
  const NvtxRange call(ranges_.empty() ? nullptr : label_->c_str());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    at = i;
    const auto* step = dynamic_cast<const CudaStep*>(steps[i].get());
    const NvtxRange step_range(range(i));
    if (step == nullptr) {
      if (trace != nullptr) trace->running(labels[i]);
      const Clock::time_point start = Clock::now();
      steps[i]->run(slots);
      const Clock::time_point end = Clock::now();
      times.add(i, end - start);
      if (trace != nullptr) trace->slice(labels[i], start, end);
      continue;
    }
    const Clock::time_point start = Clock::now();
    event(2 * i, *step).record();
    steps[i]->run(slots);
    event(2 * i + 1, *step).record();
    if (trace != nullptr) trace->slice(labels[steps.size() + i], start, Clock::now());
  }
  synchronize();
  // A device's clock is told from the host's by its last event, which has just passed.
  const Clock::time_point now = Clock::now();
  std::vector<std::pair<const CudaDevice*, const CudaEvent*>> last_events;
  for (std::size_t i = steps.size(); i-- > 0;) {
    const auto* step = dynamic_cast<const CudaStep*>(steps[i].get());
    if (step == nullptr) continue;
    const CudaEvent &begin = event(2 * i, *step), &end = event(2 * i + 1, *step);
    auto last_event = std::ranges::find(last_events, &step->device(),
                                        &std::pair<const CudaDevice*, const CudaEvent*>::first);
    if (last_event == last_events.end())
      last_event = last_events.emplace(last_events.end(), &step->device(), &end);
    const CudaEvent* const last = last_event->second;
    const double seconds = CudaEvent::seconds_between(begin, end);
    times.add(i, seconds);
    if (trace == nullptr) continue;
    const auto ago = [&](double before) {
      return now - std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * before));
    };
    const double after = CudaEvent::seconds_between(end, *last);
    trace->device_slice(step->device().ordinal(), labels[i], ago(after + seconds), ago(after));
  }
}

std::string CudaPlan::to_text(const Instance* instance) const {
  std::string text;
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    text +=
        fmt::format("on cuda{}: {} bytes for intermediate values", devices_[i]->ordinal(), arenas_[i].bytes);
    text += i == 0 ? fmt::format(", {} for constants\n", constant_bytes_) : "\n";
  }
  if (!not_replayed_.empty()) return text + fmt::format("not recorded in CUDA graphs: {}\n", not_replayed_);
  const auto add = [&](const std::vector<Stretch>& stretches, auto replays, std::string_view when) {
    for (std::size_t i = 0; i < stretches.size(); ++i) {
      const Stretch& stretch = stretches[i];
      const std::string reason = instance == nullptr ? std::string() : (instance->*replays)[i]->reason();
      text += fmt::format("steps {} to {}: ", stretch.first, stretch.end - 1);
      text += reason.empty() ? fmt::format("one CUDA graph{}\n", when)
                             : fmt::format("no CUDA graph, {}\n", reason);
    }
  };
  add(stretches_, &Instance::replays, "");
  add(long_stretches_, &Instance::long_replays, ", where what the checks look at is known to be good");
  return text;
}

Tensor copy_to_device(CudaDevice& device, const Tensor& value) {
  const Tensor source = value.is_contiguous() ? value : value.copy();
  static const auto label = std::make_shared<const std::string>("a value of a shared variable");
  StorageRef storage = device.allocate(value.bytes(), label);
  if (source.device() == Device::cuda(device.ordinal())) {
    device.copy(storage->data(), source.raw_data(), source.bytes());
  } else if (source.device().is_cuda()) {
    PeerCopy(CudaDevice::get(source.device().ordinal()), device)
        .run(storage->data(), source.raw_data(), source.bytes());
  } else {
    const Tensor host = source.to_host();
    device.upload(storage->data(), host.raw_data(), host.bytes());
  }
  return Tensor(std::move(storage), value.dtype(), value.shape(), contiguous_strides(value.shape()));
}

}  // namespace croton
