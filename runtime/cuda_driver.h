#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "croton/graph/export.h"

/// The CUDA driver (libcuda.so.1), opened at run time. The declarations are our own: those of the driver's
/// stable binary interface, under its names.
namespace croton {

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st*;
using CUmodule = struct CUmod_st*;
using CUfunction = struct CUfunc_st*;
using CUstream = struct CUstream_st*;
using CUevent = struct CUevent_st*;
using CUgraph = struct CUgraph_st*;
using CUgraphNode = struct CUgraphNode_st*;
using CUgraphExec = struct CUgraphExec_st*;
struct CUuuid {
  char bytes[16];
};

/// CUDA_KERNEL_NODE_PARAMS in its first version.
struct CudaKernelNodeParams {
  CUfunction function;
  unsigned grid_x, grid_y, grid_z;
  unsigned block_x, block_y, block_z;
  unsigned shared_bytes;
  void** parameters;
  void** extra;
};

/// CUDA_MEMCPY3D.
struct CudaMemcpy3d {
  std::size_t source_x, source_y, source_z, source_lod;
  int source_kind;  // 1 host, 2 device
  const void* source_host;
  CUdeviceptr source_device;
  void* source_array;
  void* reserved0;
  std::size_t source_pitch, source_height;
  std::size_t target_x, target_y, target_z, target_lod;
  int target_kind;
  void* target_host;
  CUdeviceptr target_device;
  void* target_array;
  void* reserved1;
  std::size_t target_pitch, target_height;
  std::size_t width, height, depth;
};

/// CUkernelNodeAttrValue.
union CudaNodeAttribute {
  char bytes[64];
  int priority;
};

/// A row each: C(function, symbol in the library, parameters).
#define CROTON_CUDA_FUNCTIONS(C)                                                                            \
  C(cuInit, "cuInit", (unsigned flags))                                                                     \
  C(cuDriverGetVersion, "cuDriverGetVersion", (int* version))                                               \
  C(cuGetErrorName, "cuGetErrorName", (CUresult error, const char** name))                                  \
  C(cuGetErrorString, "cuGetErrorString", (CUresult error, const char** text))                              \
  C(cuDeviceGetCount, "cuDeviceGetCount", (int* count))                                                     \
  C(cuDeviceGet, "cuDeviceGet", (CUdevice * device, int ordinal))                                           \
  C(cuDeviceGetName, "cuDeviceGetName", (char* name, int length, CUdevice device))                          \
  C(cuDeviceGetUuid, "cuDeviceGetUuid", (CUuuid * uuid, CUdevice device))                                   \
  C(cuDeviceGetPCIBusId, "cuDeviceGetPCIBusId", (char* id, int length, CUdevice device))                    \
  C(cuDeviceGetAttribute, "cuDeviceGetAttribute", (int* value, int attribute, CUdevice device))             \
  C(cuDeviceTotalMem, "cuDeviceTotalMem_v2", (std::size_t* bytes, CUdevice device))                         \
  C(cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", (CUcontext * context, CUdevice device))           \
  C(cuDevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", (CUdevice device))                           \
  C(cuCtxGetCurrent, "cuCtxGetCurrent", (CUcontext * context))                                              \
  C(cuCtxSetCurrent, "cuCtxSetCurrent", (CUcontext context))                                                \
  C(cuMemGetInfo, "cuMemGetInfo_v2", (std::size_t* free, std::size_t* total))                               \
  C(cuMemAlloc, "cuMemAlloc_v2", (CUdeviceptr * address, std::size_t bytes))                                \
  C(cuMemFree, "cuMemFree_v2", (CUdeviceptr address))                                                       \
  C(cuMemHostAlloc, "cuMemHostAlloc", (void** address, std::size_t bytes, unsigned flags))                  \
  C(cuMemFreeHost, "cuMemFreeHost", (void* address))                                                        \
  C(cuMemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2",                                                              \
    (CUdeviceptr to, const void* from, std::size_t bytes, CUstream stream))                                 \
  C(cuMemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2",                                                              \
    (void* to, CUdeviceptr from, std::size_t bytes, CUstream stream))                                       \
  C(cuMemcpyDtoDAsync, "cuMemcpyDtoDAsync_v2",                                                              \
    (CUdeviceptr to, CUdeviceptr from, std::size_t bytes, CUstream stream))                                 \
  C(cuMemcpyPeerAsync, "cuMemcpyPeerAsync",                                                                 \
    (CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, std::size_t bytes,     \
     CUstream stream))                                                                                      \
  C(cuMemsetD8Async, "cuMemsetD8Async",                                                                     \
    (CUdeviceptr to, unsigned char value, std::size_t bytes, CUstream stream))                              \
  C(cuCtxGetStreamPriorityRange, "cuCtxGetStreamPriorityRange", (int* least, int* greatest))                \
  C(cuStreamCreate, "cuStreamCreate", (CUstream * stream, unsigned flags))                                  \
  C(cuStreamSynchronize, "cuStreamSynchronize", (CUstream stream))                                          \
  C(cuStreamWaitEvent, "cuStreamWaitEvent", (CUstream stream, CUevent event, unsigned flags))               \
  C(cuStreamBeginCapture, "cuStreamBeginCapture_v2", (CUstream stream, int mode))                           \
  C(cuStreamEndCapture, "cuStreamEndCapture", (CUstream stream, CUgraph * graph))                           \
  C(cuStreamGetCaptureInfo, "cuStreamGetCaptureInfo_v2",                                                    \
    (CUstream stream, int* status, std::uint64_t* id, CUgraph* graph, const CUgraphNode** nodes,            \
     std::size_t* count))                                                                                   \
  C(cuStreamUpdateCaptureDependencies, "cuStreamUpdateCaptureDependencies",                                 \
    (CUstream stream, CUgraphNode * nodes, std::size_t count, unsigned flags))                              \
  C(cuEventCreate, "cuEventCreate", (CUevent * event, unsigned flags))                                      \
  C(cuEventDestroy, "cuEventDestroy_v2", (CUevent event))                                                   \
  C(cuEventRecord, "cuEventRecord", (CUevent event, CUstream stream))                                       \
  C(cuEventRecordWithFlags, "cuEventRecordWithFlags", (CUevent event, CUstream stream, unsigned flags))     \
  C(cuEventQuery, "cuEventQuery", (CUevent event))                                                          \
  C(cuEventSynchronize, "cuEventSynchronize", (CUevent event))                                              \
  C(cuEventElapsedTime, "cuEventElapsedTime", (float* milliseconds, CUevent start, CUevent end))            \
  C(cuModuleLoadDataEx, "cuModuleLoadDataEx",                                                               \
    (CUmodule * module, const void* image, unsigned options, int* names, void** values))                    \
  C(cuModuleUnload, "cuModuleUnload", (CUmodule module))                                                    \
  C(cuModuleGetFunction, "cuModuleGetFunction", (CUfunction * function, CUmodule module, const char* name)) \
  C(cuFuncSetAttribute, "cuFuncSetAttribute", (CUfunction function, int attribute, int value))              \
  C(cuLaunchKernel, "cuLaunchKernel",                                                                       \
    (CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,              \
     unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void** parameters,         \
     void** extra))                                                                                         \
  C(cuGraphInstantiate, "cuGraphInstantiateWithFlags",                                                      \
    (CUgraphExec * executable, CUgraph graph, unsigned long long flags))                                    \
  C(cuGraphLaunch, "cuGraphLaunch", (CUgraphExec executable, CUstream stream))                              \
  C(cuGraphExecKernelNodeSetParams, "cuGraphExecKernelNodeSetParams",                                       \
    (CUgraphExec executable, CUgraphNode node, const CudaKernelNodeParams* parameters))                     \
  C(cuGraphExecMemcpyNodeSetParams, "cuGraphExecMemcpyNodeSetParams",                                       \
    (CUgraphExec executable, CUgraphNode node, const CudaMemcpy3d* parameters, CUcontext context))          \
  C(cuGraphKernelNodeSetAttribute, "cuGraphKernelNodeSetAttribute",                                         \
    (CUgraphNode node, int attribute, const CudaNodeAttribute* value))                                      \
  C(cuGraphExecDestroy, "cuGraphExecDestroy", (CUgraphExec executable))                                     \
  C(cuGraphDestroy, "cuGraphDestroy", (CUgraph graph))

/// The driver's functions. All are there: a driver that lacks one is too old and is refused.
struct CROTON_API CudaDriver {
#define CROTON_CUDA_POINTER(function, symbol, parameters) CUresult(*function) parameters = nullptr;
  CROTON_CUDA_FUNCTIONS(CROTON_CUDA_POINTER)
#undef CROTON_CUDA_POINTER
  /// The newest CUDA version that the driver knows: 13020 is 13.2.
  int version = 0;
  std::string path;  ///< the file
};

/// The driver, initialised. Throws DeviceError (always the same) where there is none that can be used: the
/// text says which part is missing and how to get it.
CROTON_API const CudaDriver& cuda_driver();
/// Empty when there is a driver, else what cuda_driver() throws.
CROTON_API const std::string& cuda_driver_problem();

/// Throws DeviceError for a result that is not CUDA_SUCCESS, MemoryError where the driver is out of memory.
/// `call` is the driver's function, `what` what it was called for.
[[noreturn]] CROTON_API void throw_cuda_error(CUresult result, const char* call,
                                              const std::string& what = "");
inline void check_cuda(CUresult result, const char* call) {
  if (result != 0) [[unlikely]]
    throw_cuda_error(result, call);
}
/// Calls a function of the driver and checks: CROTON_CUDA(cuMemFree, (address)).
#define CROTON_CUDA(function, arguments) \
  ::croton::check_cuda(::croton::cuda_driver().function arguments, #function)

inline constexpr CUresult cuda_out_of_memory = 2;
inline constexpr CUresult cuda_not_ready = 600;

/// CUdevice_attribute, as far as it is asked for.
enum CudaDeviceAttribute : int {
  cuda_multiprocessor_count = 16,
  cuda_most_threads_per_multiprocessor = 39,
  cuda_capability_major = 75,
  cuda_capability_minor = 76,
};

/// "13.2" of 13020.
CROTON_API std::string cuda_version_text(int version);

}  // namespace croton
