#include "croton/runtime/cuda_plan.h"

#include <fmt/format.h>

#include <chrono>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/message.h"
#include "croton/runtime/byte_text.h"
#include "croton/runtime/cuda_memory.h"

namespace croton {

namespace {

// Fewer are enqueued faster one by one.
constexpr std::size_t least_steps_of_a_graph = 3;

}  // namespace

void* CudaPlan::add_constant(const Tensor& value) {
  StorageRef storage = device_.allocate(value.bytes(), label_);
  device_.upload(storage->data(), value.raw_data(), value.bytes());
  constant_bytes_ += value.bytes();
  constants_.push_back(storage);
  return storage->data();
}

void CudaPlan::set_arena(std::size_t bytes, std::vector<ArenaPointer> pointers, std::string largest) {
  arena_bytes_ = bytes;
  arena_pointers_ = std::move(pointers);
  largest_ = std::move(largest);
}

void CudaPlan::find_stretches(const std::vector<std::unique_ptr<Step>>& steps, std::size_t slot_count,
                              bool is_profiled) {
  if (is_profiled) not_replayed_ = "the function is profiled";
  if (config().gpu_sync()) not_replayed_ = "gpu.sync waits behind every step";
  if (!config().gpu_graphs()) not_replayed_ = "gpu.graphs is off";
  if (!not_replayed_.empty()) return;
  for (std::size_t i = 0; i < steps.size();) {
    Stretch stretch{.steps = {}, .first = i, .end_slot = slot_count};
    for (; i < steps.size(); ++i) {
      const auto* step = dynamic_cast<const CudaStep*>(steps[i].get());
      if (step == nullptr) break;
      stretch.steps.push_back(step);
    }
    if (i < steps.size()) stretch.end_slot = steps[i]->first_slot;
    if (stretch.steps.size() >= least_steps_of_a_graph) stretches_.push_back(std::move(stretch));
    if (i < steps.size()) ++i;
  }
}

void CudaPlan::report_transfers(const std::string& function, const std::string& what) {
  const std::string text =
      fmt::format("function '{}' copies between host and GPU (transfers):{}", function, what);
  if (config().transfers() == Transfers::raise) throw DeviceError(text);
  warn_once(text);
}

void CudaPlan::prepare(Instance& instance, void** slots) const {
  try {
    instance.arena = device_.allocate(arena_bytes_, label_);
  } catch (const MemoryError& error) {
    throw MemoryError(fmt::format(
        "{}\n  for the intermediate values of {}, the largest of them:{}\n  in use by others:{}\n  smaller "
        "batches need less; functions that are not needed any more keep their memory until they are "
        "destroyed",
        error.what(), *label_, largest_, device_.memory().largest_in_use()));
  }
  auto* arena = static_cast<std::byte*>(instance.arena->data());
  for (const ArenaPointer& pointer : arena_pointers_) slots[pointer.slot] = arena + pointer.offset;
  for (const Stretch& stretch : stretches_) {
    instance.replays.push_back(std::make_unique<CudaReplay>(device_, stretch.steps, stretch.end_slot));
  }
}

void CudaPlan::run(const std::vector<std::unique_ptr<Step>>& steps, Instance& instance, void** slots,
                   std::size_t& at) const {
  if (!not_replayed_.empty()) {
    const bool waits = config().gpu_sync();
    for (; at < steps.size(); ++at) {
      steps[at]->run(slots);
      if (waits) device_.synchronize();
    }
    return;
  }
  std::size_t stretch = 0;
  while (at < steps.size()) {
    if (stretch < stretches_.size() && stretches_[stretch].first == at) {
      instance.replays[stretch]->run(slots);
      at += stretches_[stretch].steps.size();
      ++stretch;
    } else {
      steps[at]->run(slots);
      ++at;
    }
  }
}

void CudaPlan::run_measured(const std::vector<std::unique_ptr<Step>>& steps, Instance& instance, void** slots,
                            std::size_t& at, StepTimes& times, std::span<const Trace::Label> labels) const {
  using Clock = std::chrono::steady_clock;
  Trace* const trace = labels.empty() ? nullptr : Trace::active();
  while (instance.events.size() < 2 * steps.size())
    instance.events.push_back(std::make_unique<CudaEvent>(device_, true));
  times.count_measured();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    at = i;
    if (dynamic_cast<const CudaStep*>(steps[i].get()) == nullptr) {
      if (trace != nullptr) trace->running(labels[i]);
      const Clock::time_point start = Clock::now();
      steps[i]->run(slots);
      const Clock::time_point end = Clock::now();
      times.add(i, end - start);
      if (trace != nullptr) trace->slice(labels[i], start, end);
      continue;
    }
    instance.events[2 * i]->record();
    steps[i]->run(slots);
    instance.events[2 * i + 1]->record();
  }
  device_.synchronize();
  // The device's clock is told from the host's by the last event, which has just passed.
  const Clock::time_point now = Clock::now();
  const CudaEvent* last = nullptr;
  for (std::size_t i = steps.size(); i-- > 0;) {
    if (dynamic_cast<const CudaStep*>(steps[i].get()) == nullptr) continue;
    const CudaEvent &begin = *instance.events[2 * i], &end = *instance.events[2 * i + 1];
    if (last == nullptr) last = &end;
    const double seconds = CudaEvent::seconds_between(begin, end);
    times.add(i, seconds);
    if (trace == nullptr) continue;
    const auto ago = [&](double before) {
      return now - std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * before));
    };
    const double after = CudaEvent::seconds_between(end, *last);
    trace->device_slice(device_.ordinal(), labels[i], ago(after + seconds), ago(after));
  }
}

std::string CudaPlan::to_text(const Instance* instance) const {
  std::string text = fmt::format("on cuda{}: {} bytes for intermediate values, {} for constants\n",
                                 device_.ordinal(), arena_bytes_, constant_bytes_);
  if (!not_replayed_.empty()) return text + fmt::format("not recorded in CUDA graphs: {}\n", not_replayed_);
  for (std::size_t i = 0; i < stretches_.size(); ++i) {
    const Stretch& stretch = stretches_[i];
    const std::string reason = instance == nullptr ? std::string() : instance->replays[i]->reason();
    text += fmt::format("steps {} to {}: ", stretch.first, stretch.first + stretch.steps.size() - 1);
    text += reason.empty() ? std::string("one CUDA graph\n") : fmt::format("no CUDA graph, {}\n", reason);
  }
  return text;
}

Tensor copy_to_device(CudaDevice& device, const Tensor& value) {
  const Tensor source = value.is_contiguous() ? value : value.copy();
  static const auto label = std::make_shared<const std::string>("a value of a shared variable");
  StorageRef storage = device.allocate(value.bytes(), label);
  if (source.device() == Device::cuda(device.ordinal())) {
    device.copy(storage->data(), source.raw_data(), source.bytes());
  } else {
    const Tensor host = source.to_host();
    device.upload(storage->data(), host.raw_data(), host.bytes());
  }
  return Tensor(std::move(storage), value.dtype(), value.shape(), contiguous_strides(value.shape()));
}

}  // namespace croton
