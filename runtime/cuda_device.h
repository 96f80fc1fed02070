#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "croton/graph/export.h"
#include "croton/graph/tensor_storage.h"
#include "croton/runtime/cuda_driver.h"

namespace croton {

class CudaMemory;
class PinnedBuffers;

/// What a CUDA device is, as the driver tells it without a context.
struct CudaDeviceInfo {
  int ordinal = 0;  ///< among the visible devices: cuda0 is 0
  std::string name;
  std::string uuid;          ///< "GPU-xxxxxxxx-xxxx-…", as nvidia-smi and CUDA_VISIBLE_DEVICES spell it
  std::string pci_id;        ///< "0000:65:00.0"
  int major = 0, minor = 0;  ///< compute capability
  std::size_t total_bytes = 0;
  int multiprocessors = 0;
  int threads_per_multiprocessor = 0;

  int architecture() const { return 10 * major + minor; }
};

/// How many devices the driver shows; CUDA_VISIBLE_DEVICES is obeyed by the driver. Throws DeviceError.
CROTON_API int cuda_device_count();
CROTON_API CudaDeviceInfo cuda_device_info(int ordinal);

/// A device in use: its primary context (so that libraries and other code of the process share it), a stream
/// on which everything runs in order, its memory. One object a device and process, never destroyed.
class CROTON_API CudaDevice {
 public:
  /// Throws DeviceError: no driver, no such device, the context cannot be made.
  static CudaDevice& get(int ordinal);
  /// Where a process was forked after a device was used, the child cannot use it: DeviceError.
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  int ordinal() const { return info_.ordinal; }
  const CudaDeviceInfo& info() const { return info_; }
  CUcontext context() const { return context_; }
  /// Everything that functions do on the device is ordered by this stream.
  CUstream stream() const { return stream_; }
  CudaMemory& memory() { return *memory_; }
  PinnedBuffers& pinned() { return *pinned_; }

  /// Held by who enqueues: functions for a whole call, copies for themselves. So what a call enqueues stays
  /// together, and nothing gets into what is being captured.
  std::recursive_mutex& mutex() const { return mutex_; }

  /// Makes the context the calling thread's. Needed before any call of the driver or of a library.
  void make_current() const;
  /// Waits for all work. Throws DeviceError for what failed since the last time.
  void synchronize() const;
  /// Free bytes of the device, as the driver tells them.
  std::size_t free_bytes() const;

  /// Copies in the order of the stream. upload() returns when `from` may be reused (it goes through pinned
  /// memory), download() when the bytes have arrived.
  void upload(void* to, const void* from, std::size_t bytes);
  void download(void* to, const void* from, std::size_t bytes) const;
  void copy(void* to, const void* from, std::size_t bytes) const;
  void clear(void* to, std::size_t bytes) const { fill(to, 0, bytes); }
  void fill(void* to, unsigned char value, std::size_t bytes) const;

  /// Uninitialised memory of the device in a storage that goes back to the pool; `label` (may be null) is
  /// what a report of the memory in use calls it. Throws MemoryError.
  StorageRef allocate(std::size_t bytes, std::shared_ptr<const std::string> label = nullptr);

 private:
  explicit CudaDevice(int ordinal);
  ~CudaDevice() = delete;

  mutable std::recursive_mutex mutex_;
  CudaDeviceInfo info_;
  CUcontext context_ = nullptr;
  CUstream stream_ = nullptr;
  CudaMemory* memory_ = nullptr;
  PinnedBuffers* pinned_ = nullptr;
  int process_ = 0;
};

/// Holds the mutexes of devices, taken in the order of their ordinals.
class DeviceLocks {
 public:
  /// A bit for each device, by ordinal.
  explicit DeviceLocks(std::uint64_t devices) : devices_(devices) {
    for_each([](CudaDevice& device) { device.mutex().lock(); });
  }
  ~DeviceLocks() {
    for_each([](CudaDevice& device) { device.mutex().unlock(); });
  }
  DeviceLocks(const DeviceLocks&) = delete;
  DeviceLocks& operator=(const DeviceLocks&) = delete;

 private:
  template <class Use>
  void for_each(const Use& use) const {
    for (std::uint64_t left = devices_; left != 0; left &= left - 1)
      use(CudaDevice::get(std::countr_zero(left)));
  }
  std::uint64_t devices_;
};

/// The address of device memory as the driver spells it.
inline CUdeviceptr device_address(const void* pointer) {
  return static_cast<CUdeviceptr>(reinterpret_cast<std::uintptr_t>(pointer));
}

/// Machine code loaded on a device, unloaded with the last handle.
class CROTON_API CudaModule {
 public:
  /// `image`: a cubin (or PTX, zero-terminated). Throws DeviceError, with the driver's log.
  CudaModule(CudaDevice& device, std::span<const char> image, std::string_view name);
  ~CudaModule();
  CudaModule(const CudaModule&) = delete;
  CudaModule& operator=(const CudaModule&) = delete;

  /// Throws DeviceError when there is none of that name. `shared_bytes`: dynamic shared memory that it will
  /// be launched with (opted in to where it is over 48 KiB).
  CUfunction function(const std::string& name, std::size_t shared_bytes = 0) const;

 private:
  CudaDevice& device_;
  CUmodule module_ = nullptr;
  std::string name_;
};

/// An event, to wait for on the host or another device, or to time with.
class CROTON_API CudaEvent {
 public:
  explicit CudaEvent(const CudaDevice& device, bool is_timed = false);
  ~CudaEvent();
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;

  /// `in_capture`: while the stream is captured; the graph then records the event whenever it runs.
  void record(bool in_capture = false) const;
  /// What stood before the last record() is done.
  bool is_done() const;
  void wait() const;
  /// What is enqueued on that device from now on waits for it.
  void block(const CudaDevice& other) const;
  /// Seconds between two timed events that have passed.
  static double seconds_between(const CudaEvent& start, const CudaEvent& end);

 private:
  const CudaDevice& device_;
  CUevent event_ = nullptr;
};

/// Copies from one device to another, in the order of both streams: behind what made the bytes, before what
/// reads them there or writes over them here.
class CROTON_API PeerCopy {
 public:
  PeerCopy(CudaDevice& from, CudaDevice& to);
  /// Both devices' mutexes are taken.
  void run(void* to, const void* from, std::size_t bytes) const;

 private:
  CudaDevice &from_, &to_;
  CudaEvent is_ready_, is_done_;
};

}  // namespace croton
