#include "croton/runtime/cuda_device.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <mutex>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/message.h"
#include "croton/runtime/cuda_memory.h"
#include "croton/runtime/cuda_storage.h"

namespace croton {

namespace {

int attribute(CudaDeviceAttribute which, CUdevice device) {
  int value = 0;
  CROTON_CUDA(cuDeviceGetAttribute, (&value, which, device));
  return value;
}

std::string uuid_text(const CUuuid& uuid) {
  std::string text = "GPU-";
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

constexpr std::size_t most_devices = 64;

struct Devices {
  std::mutex mutex;
  std::array<std::atomic<CudaDevice*>, most_devices> list{};
};

Devices& devices() {
  static auto* all = new Devices;  // used by destructors of static objects
  return *all;
}

}  // namespace

int cuda_device_count() {
  int count = 0;
  const CUresult result = cuda_driver().cuDeviceGetCount(&count);
  if (result == 100) return 0;
  check_cuda(result, "cuDeviceGetCount");
  return count;
}

CudaDeviceInfo cuda_device_info(int ordinal) {
  CUdevice device = 0;
  if (const int count = cuda_device_count(); ordinal < 0 || ordinal >= count) {
    throw DeviceError(fmt::format(
        "there is no device cuda{}: the driver shows {}; look at nvidia-smi and CUDA_VISIBLE_DEVICES",
        ordinal, count == 0 ? std::string("no GPU") : fmt::format("{} (cuda0 … cuda{})", count, count - 1)));
  }
  CROTON_CUDA(cuDeviceGet, (&device, ordinal));
  CudaDeviceInfo info;
  info.ordinal = ordinal;
  char text[256] = {};
  CROTON_CUDA(cuDeviceGetName, (text, sizeof text - 1, device));
  info.name = text;
  CUuuid uuid{};
  CROTON_CUDA(cuDeviceGetUuid, (&uuid, device));
  info.uuid = uuid_text(uuid);
  CROTON_CUDA(cuDeviceGetPCIBusId, (text, sizeof text - 1, device));
  info.pci_id = text;
  CROTON_CUDA(cuDeviceTotalMem, (&info.total_bytes, device));
  info.multiprocessors = attribute(cuda_multiprocessor_count, device);
  info.threads_per_multiprocessor = attribute(cuda_most_threads_per_multiprocessor, device);
  info.major = attribute(cuda_capability_major, device);
  info.minor = attribute(cuda_capability_minor, device);
  return info;
}

CudaDevice& CudaDevice::get(int ordinal) {
  Devices& all = devices();
  const auto index = static_cast<std::size_t>(ordinal);
  CudaDevice* device =
      ordinal >= 0 && index < most_devices ? all.list[index].load(std::memory_order_acquire) : nullptr;
  if (device == nullptr) {
    const std::lock_guard guard(all.mutex);
    if (ordinal >= 0 && index < most_devices) device = all.list[index].load(std::memory_order_acquire);
    if (device == nullptr) {
      device = new CudaDevice(ordinal);
      all.list[index].store(device, std::memory_order_release);
    }
  }
  return *device;
}

CudaDevice::CudaDevice(int ordinal) : info_(cuda_device_info(ordinal)), process_(getpid()) {
  CUdevice device = 0;
  CROTON_CUDA(cuDeviceGet, (&device, ordinal));
  if (const CUresult result = cuda_driver().cuDevicePrimaryCtxRetain(&context_, device); result != 0) {
    throw_cuda_error(result, "cuDevicePrimaryCtxRetain", fmt::format("cuda{} ({})", ordinal, info_.name));
  }
  make_current();
  constexpr unsigned non_blocking = 1;  // does not wait for the default stream
  CROTON_CUDA(cuStreamCreate, (&stream_, non_blocking));
  memory_ = new CudaMemory(*this);
  pinned_ = new PinnedBuffers(*this);
  if (config().print_active_device()) {
    send_message(Severity::info, fmt::format("cuda{} is in use: {} of compute capability {}.{} at {}",
                                             ordinal, info_.name, info_.major, info_.minor, info_.pci_id));
  }
}

void CudaDevice::make_current() const {
  // Other code of the process may change it behind our back; the driver answers from memory of the thread.
  CUcontext now = nullptr;
  if (cuda_driver().cuCtxGetCurrent(&now) == 0 && now == context_) return;
  if (getpid() != process_) {
    throw DeviceError(
        fmt::format("cuda{} was used before this process was forked; a child cannot use it: fork before the "
                    "first use of the device, or start a new program",
                    ordinal()));
  }
  CROTON_CUDA(cuCtxSetCurrent, (context_));
}

void CudaDevice::synchronize() const {
  make_current();
  CROTON_CUDA(cuStreamSynchronize, (stream_));
}

std::size_t CudaDevice::free_bytes() const {
  make_current();
  std::size_t free = 0, total = 0;
  CROTON_CUDA(cuMemGetInfo, (&free, &total));
  return free;
}

void CudaDevice::upload(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  const std::lock_guard guard(mutex_);
  make_current();
  pinned_->upload(to, from, bytes);
}

void CudaDevice::download(void* to, const void* from, std::size_t bytes) const {
  if (bytes == 0) return;
  const std::lock_guard guard(mutex_);
  make_current();
  CROTON_CUDA(cuMemcpyDtoHAsync, (to, device_address(from), bytes, stream_));
  CROTON_CUDA(cuStreamSynchronize, (stream_));
}

void CudaDevice::copy(void* to, const void* from, std::size_t bytes) const {
  if (bytes == 0) return;
  const std::lock_guard guard(mutex_);
  make_current();
  CROTON_CUDA(cuMemcpyDtoDAsync, (device_address(to), device_address(from), bytes, stream_));
}

void CudaDevice::fill(void* to, unsigned char value, std::size_t bytes) const {
  if (bytes == 0) return;
  const std::lock_guard guard(mutex_);
  make_current();
  CROTON_CUDA(cuMemsetD8Async, (device_address(to), value, bytes, stream_));
}

CudaModule::CudaModule(CudaDevice& device, std::span<const char> image, std::string_view name)
    : device_(device), name_(name) {
  device.make_current();
  std::array<char, 4096> log{};
  constexpr int error_log = 5, error_log_bytes = 6;
  int options[] = {error_log, error_log_bytes};
  void* values[] = {log.data(), reinterpret_cast<void*>(static_cast<std::uintptr_t>(log.size()))};
  const CUresult result = cuda_driver().cuModuleLoadDataEx(&module_, image.data(), 2, options, values);
  if (result != 0) {
    log.back() = '\0';
    throw_cuda_error(result, "cuModuleLoadDataEx",
                     fmt::format("the code of {}{}{}", name_, log[0] == '\0' ? "" : ", log: ", log.data()));
  }
}

CudaModule::~CudaModule() { (void)cuda_driver().cuModuleUnload(module_); }

CUfunction CudaModule::function(const std::string& name, std::size_t shared_bytes) const {
  device_.make_current();
  CUfunction function = nullptr;
  if (const CUresult result = cuda_driver().cuModuleGetFunction(&function, module_, name.c_str());
      result != 0) {
    throw_cuda_error(result, "cuModuleGetFunction", fmt::format("{} in the code of {}", name, name_));
  }
  constexpr std::size_t always_allowed = std::size_t{48} << 10;
  if (shared_bytes > always_allowed) {
    constexpr int dynamic_shared_bytes = 8;
    CROTON_CUDA(cuFuncSetAttribute, (function, dynamic_shared_bytes, static_cast<int>(shared_bytes)));
  }
  return function;
}

CudaEvent::CudaEvent(const CudaDevice& device, bool is_timed) : device_(device) {
  device.make_current();
  constexpr unsigned no_timing = 2;
  CROTON_CUDA(cuEventCreate, (&event_, is_timed ? 0 : no_timing));
}

CudaEvent::~CudaEvent() { (void)cuda_driver().cuEventDestroy(event_); }

void CudaEvent::record(bool in_capture) const {
  constexpr unsigned external = 1;
  if (in_capture) {
    CROTON_CUDA(cuEventRecordWithFlags, (event_, device_.stream(), external));
  } else {
    CROTON_CUDA(cuEventRecord, (event_, device_.stream()));
  }
}

bool CudaEvent::is_done() const {
  const CUresult result = cuda_driver().cuEventQuery(event_);
  if (result == cuda_not_ready) return false;
  check_cuda(result, "cuEventQuery");
  return true;
}

void CudaEvent::block(const CudaDevice& other) const {
  other.make_current();
  CROTON_CUDA(cuStreamWaitEvent, (other.stream(), event_, 0));
}

void CudaEvent::wait() const { CROTON_CUDA(cuEventSynchronize, (event_)); }

double CudaEvent::seconds_between(const CudaEvent& start, const CudaEvent& end) {
  float milliseconds = 0;
  CROTON_CUDA(cuEventElapsedTime, (&milliseconds, start.event_, end.event_));
  return 1e-3 * milliseconds;
}

PeerCopy::PeerCopy(CudaDevice& from, CudaDevice& to) : from_(from), to_(to), is_ready_(from), is_done_(to) {}

void PeerCopy::run(void* to, const void* from, std::size_t bytes) const {
  if (bytes == 0) return;
  const std::scoped_lock guard(from_.mutex(), to_.mutex());
  from_.make_current();
  is_ready_.record();
  is_ready_.block(to_);
  CROTON_CUDA(cuMemcpyPeerAsync, (device_address(to), to_.context(), device_address(from), from_.context(),
                                  bytes, to_.stream()));
  is_done_.record();
  is_done_.block(from_);
}

}  // namespace croton
