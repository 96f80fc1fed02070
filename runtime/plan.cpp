#include "croton/runtime/plan.h"

#include <mutex>

#include "croton/graph/op.h"
#include "croton/runtime/cuda_storage.h"
#include "croton/runtime/node_observer.h"
#include "croton/runtime/run_error.h"

namespace croton {

/// An instance that goes back to its plan, with what the call put into it let go.
class Plan::Lease {
 public:
  explicit Lease(Plan& plan) : plan_(plan), instance_(plan.take_instance()) {}
  ~Lease() {
    for (StorageRef& block : instance_->blocks) block = StorageRef();
    instance_->copies.clear();
    plan_.put_back(instance_);
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Instance& operator*() const { return *instance_; }

 private:
  Plan& plan_;
  Instance* instance_;
};

Plan::~Plan() {
  while (free_ != nullptr) {
    Instance* instance = free_;
    free_ = instance->next;
    delete instance;
  }
}

Plan::Instance* Plan::take_instance() {
  {
    const std::lock_guard guard(lock_);
    if (free_ != nullptr) {
      Instance* instance = free_;
      free_ = instance->next;
      return instance;
    }
  }
  auto instance = std::make_unique<Instance>();
  instance->arena = make_host_storage(arena_bytes_);
  instance->slots = fixed_slots_;
  auto* arena = static_cast<std::byte*>(instance->arena->data());
  for (const ArenaPointer& pointer : arena_pointers_) instance->slots[pointer.slot] = arena + pointer.offset;
  instance->blocks.resize(results_.size());
  if (cuda_ != nullptr) cuda_->prepare(instance->cuda, instance->slots.data());
  return instance.release();
}

void Plan::put_back(Instance* instance) noexcept {
  const std::lock_guard guard(lock_);
  instance->next = free_;
  free_ = instance;
}

std::size_t Plan::result_bytes() const {
  std::size_t bytes = 0;
  for (const Result& result : results_) bytes += result.pool->bytes();
  return bytes;
}

namespace {

bool lies_on(const Tensor& value, const CudaDevice* device) {
  return value.device() == (device == nullptr ? Device() : Device::cuda(device->ordinal()));
}

}  // namespace

bool Plan::shared_on_devices(SharedCell* const* shared) const {
  for (std::size_t i = 0; i < shared_devices_.size(); ++i) {
    if (!lies_on(shared[i]->value(), shared_devices_[i])) return false;
  }
  return true;
}

void Plan::place_shared(SharedCell* const* shared, const std::string& function_name) const {
  for (std::size_t i = 0; i < shared_devices_.size(); ++i) {
    Tensor& value = shared[i]->value();
    CudaDevice* const device = shared_devices_[i];
    if (lies_on(value, device)) continue;
    if (config().transfers() != Transfers::allow) {
      CudaPlan::report_transfers(function_name, "\n  the value of " + describe(graph_->shared()[i]));
    }
    value = device != nullptr ? copy_to_device(*device, value) : value.to_host();
  }
}

void* Plan::address_on_device(Instance& instance, std::size_t i, Tensor& value) const {
  CudaDevice& device = *shared_devices_[i];
  const bool fits = lies_on(value, &device) && value.is_contiguous();
  if (shared_written_[i]) {
    // As on the host: what somebody else holds stays theirs.
    if (!fits || !value.storage()->is_unique()) value = copy_to_device(device, value);
  } else if (!fits) {
    instance.copies.push_back(copy_to_device(device, value));
    return instance.copies.back().raw_data();
  }
  return value.raw_data();
}

void Plan::point(Instance& instance, const Call& call) const {
  void** slots = instance.slots.data();
  const auto set = [slots](const std::vector<Step::Patch>& patches, void* memory) {
    auto* first = static_cast<std::byte*>(memory);
    for (const Step::Patch& patch : patches) slots[patch.slot] = first + patch.offset;
  };
  for (std::size_t i = 0; i < input_patches_.size(); ++i) set(input_patches_[i], call.inputs[i]->raw_data());
  for (std::size_t i = 0; i < shared_patches_.size(); ++i) {
    Tensor& value = call.shared[i]->value();
    if (shared_devices_[i] != nullptr) {
      set(shared_patches_[i], address_on_device(instance, i, value));
      continue;
    }
    if (shared_written_[i]) {
      // Somebody may hold the storage (get_value with borrow): the old value stays theirs.
      if (!value.storage()->is_unique() || !value.is_contiguous() || !value.on_host()) value = value.copy();
    } else if (!value.is_contiguous() || !value.on_host()) {
      instance.copies.push_back(value.copy());
      set(shared_patches_[i], instance.copies.back().raw_data());
      continue;
    }
    set(shared_patches_[i], value.raw_data());
  }
  for (std::size_t i = 0; i < results_.size(); ++i) {
    instance.blocks[i] = results_[i].pool->take();
    set(results_[i].patches, instance.blocks[i]->data());
  }
}

void Plan::run_observed(Instance& instance, std::size_t& at) {
  void** slots = instance.slots.data();
  std::vector<ArenaMemory> arenas{{nullptr, {static_cast<std::byte*>(instance.arena->data()), arena_bytes_}}};
  if (cuda_ != nullptr) {
    for (std::size_t i = 0; i < cuda_->devices().size(); ++i) {
      arenas.push_back({cuda_->devices()[i],
                        {static_cast<std::byte*>(instance.cuda.arenas[i]->data()), cuda_->arena_bytes(i)}});
    }
  }
  observer_->begin(*this, arenas);
  for (; at < steps_.size(); ++at) {
    const std::size_t end = at + 1 < steps_.size() ? steps_[at + 1]->first_slot : instance.slots.size();
    observer_->run(*steps_[at], slots, end);
  }
}

/// As run does, looking at the clock after every step.
void Plan::run_measured(void** slots, std::size_t& at) {
  Trace* const trace = trace_labels_.empty() ? nullptr : Trace::active();
  auto start = std::chrono::steady_clock::now();
  for (; at < steps_.size(); ++at) {
    if (trace != nullptr) trace->running(trace_labels_[at]);
    steps_[at]->run(slots);
    const auto end = std::chrono::steady_clock::now();
    times_->add(at, end - start);
    if (trace != nullptr) trace->slice(trace_labels_[at], start, end);
    start = end;
  }
  times_->count_measured();
}

/// Of the plan, and those on which shared variables lie that it copies.
std::uint64_t Plan::devices_of_call(const Call& call) const {
  std::uint64_t bits = cuda_->device_bits();
  for (std::size_t i = 0; i < shared_devices_.size(); ++i) {
    const Device device = call.shared[i]->value().device();
    if (device.is_cuda()) bits |= std::uint64_t{1} << device.ordinal();
  }
  return bits;
}

void Plan::run(const Call& call) {
  const DeviceLocks device_locks(cuda_ == nullptr ? 0 : devices_of_call(call));
  if (cuda_ != nullptr) {
    cuda_->devices().front()->make_current();
    cuda_->check_transfers(*call.function_name);
  }
  const Lease lease(*this);
  Instance& instance = *lease;
  point(instance, call);
  void** slots = instance.slots.data();
  std::size_t at = 0;
  try {
    if (times_ != nullptr && call.is_counted) times_->count_call();
    if (observer_ != nullptr) {
      run_observed(instance, at);
    } else if (cuda_ != nullptr && call.is_measured) {
      cuda_->run_measured(steps_, instance.cuda, slots, at, *times_, trace_labels_);
    } else if (cuda_ != nullptr) {
      cuda_->run(steps_, instance.cuda, slots, at);
    } else if (call.is_measured) {
      run_measured(slots, at);
    } else {
      for (; at < steps_.size(); ++at) steps_[at]->run(slots);
    }
  } catch (const Error&) {
    // Nothing is stored yet, and what is computed over shared variables comes after everything that throws.
    rethrow_from_step(*steps_[at], *this, slots, *call.function_name);
  }
  for (std::size_t i = 0; i < results_.size(); ++i) {
    if (results_[i].is_fetched) FetchedResultPool::mark_pending(*instance.blocks[i]);
  }
  const auto tensor = [&](std::size_t i) {
    const TensorType& type = results_[i].type;
    return Tensor(std::move(instance.blocks[i]), type.dtype, type.shape, contiguous_strides(type.shape));
  };
  for (std::size_t i = 0; i < output_count_; ++i) call.outputs->tensors()[i] = tensor(i);
  for (const UpdateTarget& target : updates_) {
    if (target.result) call.updated[target.update]->value() = tensor(*target.result);
  }
}

}  // namespace croton
