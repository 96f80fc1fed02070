#include "fake_cuda.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "croton/runtime/cuda_driver.h"

using namespace croton;

namespace {

constexpr int least_priority = 0, greatest_priority = -5;

struct Function {
  long kernel = 0;
  int phase = 0, parameters = 0;
};

struct GraphNode {
  enum class Kind { launch, copy, set, record, library } kind = Kind::launch;
  const Function* function = nullptr;
  std::vector<void*> pointers;
  void* to = nullptr;
  const void* from = nullptr;
  std::size_t bytes = 0;
  int value = 0;
  std::function<void()> work;
  std::vector<CUgraphNode> after;
};

struct Graph {
  std::vector<GraphNode*> nodes;
};

struct Executable {
  std::map<const GraphNode*, GraphNode> nodes;
  std::vector<const GraphNode*> order;
};

struct Module {
  long kernel = 0;
  std::vector<std::unique_ptr<Function>> functions;
};

struct Fake {
  std::recursive_mutex mutex;
  std::map<std::string, long> calls;
  std::map<const std::byte*, std::size_t> devices[2], pinned;
  std::size_t capacity = std::size_t{1} << 30, allocated = 0;
  FakeCudaLaunch launch = nullptr;
  Graph* capturing = nullptr;
  std::vector<CUgraphNode> ends;  // what the next node of the captured stream waits for
};

constexpr int device_count = 2;
thread_local CUcontext current_context = nullptr;

Fake& fake() {
  static auto* state = new Fake;
  return *state;
}

bool lies_in(const std::map<const std::byte*, std::size_t>& blocks, const void* pointer, std::size_t bytes) {
  const auto* address = static_cast<const std::byte*>(pointer);
  auto block = blocks.upper_bound(address);
  if (block == blocks.begin()) return false;
  --block;
  return address + bytes <= block->first + block->second;
}
/// A context is the address of its device's memory.
CUcontext context_of(int device) { return reinterpret_cast<CUcontext>(&fake().devices[device]); }
int device_of(CUcontext context) { return context == context_of(1) ? 1 : 0; }
bool on_device(int device, const void* pointer, std::size_t bytes = 1) {
  return lies_in(fake().devices[device], pointer, bytes);
}
/// On that of the context.
bool on_device(const void* pointer, std::size_t bytes = 1) {
  return current_context != nullptr && on_device(device_of(current_context), pointer, bytes);
}
bool overlaps_device(const void* pointer) { return on_device(0, pointer) || on_device(1, pointer); }
/// A stream and an event know their device.
int device_of(CUstream stream) { return *reinterpret_cast<int*>(stream); }
int device_of(CUevent event) { return *reinterpret_cast<int*>(event); }
bool is_current(CUstream stream) {
  return current_context != nullptr && device_of(stream) == device_of(current_context);
}

void* pointer_of(CUdeviceptr address) {
  return reinterpret_cast<void*>(static_cast<std::uintptr_t>(address));
}

constexpr CUresult invalid_value = 1, invalid_context = 201, illegal_address = 700;

CUresult perform(const GraphNode& node) {
  switch (node.kind) {
    case GraphNode::Kind::launch: {
      std::vector<void*> pointers = node.pointers;
      for (void* pointer : pointers) {
        if (pointer != nullptr && !on_device(pointer) && !lies_in(fake().pinned, pointer, 1)) {
          std::fprintf(stderr, "fake driver: kernel %ld phase %d got %p, which the device does not reach\n",
                       node.function->kernel, node.function->phase, pointer);
          return illegal_address;
        }
      }
      fake().launch(node.function->kernel, node.function->phase, pointers.data());
      return 0;
    }
    case GraphNode::Kind::copy:
      std::memcpy(node.to, node.from, node.bytes);
      return 0;
    case GraphNode::Kind::set:
      std::memset(node.to, node.value, node.bytes);
      return 0;
    case GraphNode::Kind::record:
      return 0;
    case GraphNode::Kind::library:
      node.work();
      return 0;
  }
  return invalid_value;
}

CUresult enqueue(GraphNode node) {
  Fake& f = fake();
  if (f.capturing == nullptr) return perform(node);
  node.after = f.ends;
  f.capturing->nodes.push_back(new GraphNode(std::move(node)));
  f.ends = {reinterpret_cast<CUgraphNode>(f.capturing->nodes.back())};
  return 0;
}

CUresult copy(void* to, const void* from, std::size_t bytes, bool to_device, bool from_device) {
  const bool fits_to = to_device ? on_device(to, bytes) : !overlaps_device(to);
  const bool fits_from = from_device ? on_device(from, bytes) : !overlaps_device(from);
  if (!fits_to || !fits_from) return invalid_value;
  GraphNode node;
  node.kind = GraphNode::Kind::copy;
  node.to = to;
  node.from = from;
  node.bytes = bytes;
  return enqueue(std::move(node));
}

}  // namespace

#define FAKE(name, ...)                                                          \
  extern "C" __attribute__((visibility("default"))) CUresult name(__VA_ARGS__) { \
    const std::lock_guard guard(fake().mutex);                                   \
    ++fake().calls[#name];

extern "C" {
__attribute__((visibility("default"))) void fake_cuda_set_launch(FakeCudaLaunch launch) {
  fake().launch = launch;
}
__attribute__((visibility("default"))) void fake_cuda_set_memory(std::size_t bytes) {
  fake().capacity = bytes;
}
__attribute__((visibility("default"))) long fake_cuda_calls(const char* function) {
  const std::lock_guard guard(fake().mutex);
  return fake().calls[function];
}
__attribute__((visibility("default"))) void fake_cuda_enqueue(const std::function<void()>& work) {
  const std::lock_guard guard(fake().mutex);
  GraphNode node;
  node.kind = GraphNode::Kind::library;
  node.work = work;
  enqueue(std::move(node));
}
__attribute__((visibility("default"))) std::size_t fake_cuda_allocated() { return fake().allocated; }
}

FAKE(cuInit, unsigned) return 0;
}
FAKE(cuDriverGetVersion, int* version) * version = 13000;
return 0;
}
FAKE(cuGetErrorName, CUresult error, const char** name)
*name = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : error == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : "CUDA_ERROR";
return 0;
}
FAKE(cuGetErrorString, CUresult, const char** text) * text = "told by the fake driver";
return 0;
}
FAKE(cuDeviceGetCount, int* count) * count = device_count;
return 0;
}
FAKE(cuDeviceGet, CUdevice* device, int ordinal) * device = ordinal;
return ordinal >= 0 && ordinal < device_count ? 0 : 101;
}
FAKE(cuDeviceGetName, char* name, int length, CUdevice)
std::snprintf(name, static_cast<std::size_t>(length), "Fake GPU");
return 0;
}
FAKE(cuDeviceGetUuid, CUuuid* uuid, CUdevice device)
for (int i = 0; i < 16; ++i) uuid->bytes[i] = static_cast<char>(i + 64 * device);
return 0;
}
FAKE(cuDeviceGetPCIBusId, char* id, int length, CUdevice)
std::snprintf(id, static_cast<std::size_t>(length), "0000:01:00.0");
return 0;
}
FAKE(cuDeviceGetAttribute, int* value, int attribute, CUdevice)
*value = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 132 : 1;
return 0;
}
FAKE(cuDeviceTotalMem_v2, std::size_t* bytes, CUdevice) * bytes = fake().capacity;
return 0;
}
FAKE(cuDevicePrimaryCtxRetain, CUcontext* context, CUdevice device) * context = context_of(device);
return 0;
}
FAKE(cuDevicePrimaryCtxRelease_v2, CUdevice) return 0;
}
FAKE(cuCtxGetCurrent, CUcontext* context) * context = current_context;
return 0;
}
FAKE(cuCtxSetCurrent, CUcontext context) current_context = context;
return 0;
}
FAKE(cuMemGetInfo_v2, std::size_t* free, std::size_t* total)
*free = fake().capacity - fake().allocated;
*total = fake().capacity;
return current_context == nullptr ? 201 : 0;
}
FAKE(cuMemAlloc_v2, CUdeviceptr* address, std::size_t bytes)
Fake& f = fake();
if (current_context == nullptr) return 201;
if (f.allocated + bytes > f.capacity) return 2;
auto* memory = static_cast<std::byte*>(std::aligned_alloc(512, (bytes + 511) / 512 * 512));
std::memset(memory, 0xcd, bytes);  // what nobody wrote
f.devices[device_of(current_context)][memory] = bytes;
f.allocated += bytes;
*address = reinterpret_cast<std::uintptr_t>(memory);
return 0;
}
FAKE(cuMemFree_v2, CUdeviceptr address)
Fake& f = fake();
auto& device = f.devices[on_device(1, pointer_of(address)) ? 1 : 0];
const auto block = device.find(static_cast<std::byte*>(pointer_of(address)));
if (block == device.end()) return invalid_value;
f.allocated -= block->second;
std::free(pointer_of(address));
device.erase(block);
return 0;
}
FAKE(cuMemHostAlloc, void** address, std::size_t bytes, unsigned)
*address = std::malloc(bytes);
fake().pinned[static_cast<std::byte*>(*address)] = bytes;
return current_context == nullptr ? 201 : 0;
}
FAKE(cuMemFreeHost, void* address)
if (fake().pinned.erase(static_cast<std::byte*>(address)) == 0) return invalid_value;
std::free(address);
return 0;
}
FAKE(cuMemcpyHtoDAsync_v2, CUdeviceptr to, const void* from, std::size_t bytes, CUstream stream)
if (!is_current(stream)) return invalid_context;
return copy(pointer_of(to), from, bytes, true, false);
}
FAKE(cuMemcpyDtoHAsync_v2, void* to, CUdeviceptr from, std::size_t bytes, CUstream stream)
if (!is_current(stream)) return invalid_context;
return copy(to, pointer_of(from), bytes, false, true);
}
FAKE(cuMemcpyDtoDAsync_v2, CUdeviceptr to, CUdeviceptr from, std::size_t bytes, CUstream stream)
if (!is_current(stream)) return invalid_context;
return copy(pointer_of(to), pointer_of(from), bytes, true, true);
}
FAKE(cuMemcpyPeerAsync, CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context,
     std::size_t bytes, CUstream)
const bool fits = on_device(device_of(to_context), pointer_of(to), bytes) &&
                  on_device(device_of(from_context), pointer_of(from), bytes);
if (!fits || fake().capturing != nullptr) return invalid_value;
std::memcpy(pointer_of(to), pointer_of(from), bytes);
return 0;
}
FAKE(cuMemsetD8Async, CUdeviceptr to, unsigned char value, std::size_t bytes, CUstream)
if (!on_device(pointer_of(to), bytes)) return invalid_value;
GraphNode node;
node.kind = GraphNode::Kind::set;
node.to = pointer_of(to);
node.value = value;
node.bytes = bytes;
return enqueue(std::move(node));
}
FAKE(cuCtxGetStreamPriorityRange, int* least, int* greatest)
*least = least_priority;
*greatest = greatest_priority;
return current_context == nullptr ? 201 : 0;
}
FAKE(cuStreamCreate, CUstream* stream, unsigned)
*stream = reinterpret_cast<CUstream>(new int(device_of(current_context)));
return current_context == nullptr ? 201 : 0;
}
FAKE(cuStreamSynchronize, CUstream) return fake().capturing == nullptr ? 0 : 900;
}
FAKE(cuStreamWaitEvent, CUstream, CUevent, unsigned) return 0;
}
FAKE(cuStreamBeginCapture_v2, CUstream, int) fake().capturing = new Graph;
fake().ends.clear();
return 0;
}
FAKE(cuStreamEndCapture, CUstream, CUgraph* graph)
*graph = reinterpret_cast<CUgraph>(fake().capturing);
fake().capturing = nullptr;
return 0;
}
FAKE(cuStreamGetCaptureInfo_v2, CUstream, int* status, std::uint64_t*, CUgraph* graph,
     const CUgraphNode** nodes, std::size_t* count)
*status = fake().capturing != nullptr;
*graph = reinterpret_cast<CUgraph>(fake().capturing);
*nodes = fake().ends.data();
*count = fake().ends.size();
return 0;
}
FAKE(cuStreamUpdateCaptureDependencies, CUstream, CUgraphNode* nodes, std::size_t count, unsigned flags)
if (fake().capturing == nullptr || flags != 1) return invalid_value;
fake().ends.assign(nodes, nodes + count);
return 0;
}
FAKE(cuEventCreate, CUevent* event, unsigned)
*event = reinterpret_cast<CUevent>(new int(device_of(current_context)));
return current_context == nullptr ? 201 : 0;
}
FAKE(cuEventDestroy_v2, CUevent event) delete reinterpret_cast<int*>(event);
return 0;
}
FAKE(cuEventRecord, CUevent event, CUstream stream)
if (device_of(event) != device_of(stream)) return invalid_value;
return fake().capturing == nullptr ? 0 : 900;
}
FAKE(cuEventRecordWithFlags, CUevent, CUstream, unsigned flags)
if ((flags == 1) != (fake().capturing != nullptr)) return invalid_value;
GraphNode node;
node.kind = GraphNode::Kind::record;
return enqueue(std::move(node));
}
FAKE(cuEventQuery, CUevent) return 0;
}
FAKE(cuEventSynchronize, CUevent) return fake().capturing == nullptr ? 0 : 900;
}
FAKE(cuEventElapsedTime, float* milliseconds, CUevent, CUevent) * milliseconds = 1;
return 0;
}
FAKE(cuModuleLoadDataEx, CUmodule* module, const void* image, unsigned, int*, void**)
long kernel = 0;
if (std::sscanf(static_cast<const char*>(image), "fake %ld", &kernel) != 1) return 200;
auto* made = new Module;
made->kernel = kernel;
*module = reinterpret_cast<CUmodule>(made);
return 0;
}
FAKE(cuModuleUnload, CUmodule module) delete reinterpret_cast<Module*>(module);
return 0;
}
FAKE(cuModuleGetFunction, CUfunction* function, CUmodule module, const char* name)
auto made = std::make_unique<Function>();
if (std::sscanf(name, "%d %d", &made->phase, &made->parameters) != 2) return 500;
made->kernel = reinterpret_cast<Module*>(module)->kernel;
*function = reinterpret_cast<CUfunction>(made.get());
reinterpret_cast<Module*>(module)->functions.push_back(std::move(made));
return 0;
}
FAKE(cuFuncSetAttribute, CUfunction, int, int) return 0;
}

namespace {
GraphNode launch_node(CUfunction function, void** parameters) {
  GraphNode node;
  node.function = reinterpret_cast<const Function*>(function);
  for (int i = 0; i < node.function->parameters; ++i)
    node.pointers.push_back(*static_cast<void**>(parameters[i]));
  return node;
}
}  // namespace

FAKE(cuLaunchKernel, CUfunction function, unsigned x, unsigned, unsigned, unsigned threads, unsigned,
     unsigned, unsigned, CUstream stream, void** parameters, void**)
if (x == 0 || threads == 0) return invalid_value;
if (!is_current(stream)) return invalid_context;
return enqueue(launch_node(function, parameters));
}
FAKE(cuGraphInstantiateWithFlags, CUgraphExec* executable, CUgraph graph, unsigned long long)
auto* made = new Executable;
// Of the nodes that may run the one recorded last: what waits for too little comes too early.
std::map<const GraphNode*, std::size_t> missing;
std::map<CUgraphNode, std::vector<const GraphNode*>> behind;
std::map<const GraphNode*, std::size_t> recorded;
std::set<std::pair<std::size_t, const GraphNode*>> ready;
for (const GraphNode* node : reinterpret_cast<Graph*>(graph)->nodes) {
  made->nodes.emplace(node, *node);
  recorded[node] = recorded.size();
  missing[node] = node->after.size();
  for (const CUgraphNode before : node->after) behind[before].push_back(node);
  if (node->after.empty()) ready.emplace(recorded[node], node);
}
while (!ready.empty()) {
  const GraphNode* node = ready.rbegin()->second;
  ready.erase(std::prev(ready.end()));
  made->order.push_back(node);
  for (const GraphNode* next : behind[reinterpret_cast<CUgraphNode>(const_cast<GraphNode*>(node))]) {
    if (--missing[next] == 0) ready.emplace(recorded[next], next);
  }
}
*executable = reinterpret_cast<CUgraphExec>(made);
return 0;
}
FAKE(cuGraphLaunch, CUgraphExec executable, CUstream stream)
if (!is_current(stream)) return invalid_context;
const auto* made = reinterpret_cast<const Executable*>(executable);
for (const GraphNode* node : made->order) {
  if (const CUresult result = perform(made->nodes.at(node)); result != 0) return result;
}
return 0;
}
FAKE(cuGraphExecKernelNodeSetParams, CUgraphExec executable, CUgraphNode node,
     const CudaKernelNodeParams* parameters)
auto& nodes = reinterpret_cast<Executable*>(executable)->nodes;
const auto entry = nodes.find(reinterpret_cast<const GraphNode*>(node));
if (entry == nodes.end() || entry->second.kind != GraphNode::Kind::launch) return invalid_value;
entry->second = launch_node(parameters->function, parameters->parameters);
return 0;
}
FAKE(cuGraphExecMemcpyNodeSetParams, CUgraphExec executable, CUgraphNode node, const CudaMemcpy3d* parameters,
     CUcontext)
auto& nodes = reinterpret_cast<Executable*>(executable)->nodes;
const auto entry = nodes.find(reinterpret_cast<const GraphNode*>(node));
if (entry == nodes.end() || entry->second.kind != GraphNode::Kind::copy) return invalid_value;
entry->second.to = pointer_of(parameters->target_device);
entry->second.from = pointer_of(parameters->source_device);
entry->second.bytes = parameters->width;
return 0;
}
FAKE(cuGraphKernelNodeSetAttribute, CUgraphNode node, int attribute, const CudaNodeAttribute* value)
constexpr int priority = 8;
const auto* set = reinterpret_cast<GraphNode*>(node);
if (set->kind != GraphNode::Kind::launch || attribute != priority) return invalid_value;
if (value->priority < greatest_priority || value->priority > least_priority) return invalid_value;
return 0;
}
FAKE(cuGraphExecDestroy, CUgraphExec executable) delete reinterpret_cast<Executable*>(executable);
return 0;
}
FAKE(cuGraphDestroy, CUgraph graph)
for (GraphNode* node : reinterpret_cast<Graph*>(graph)->nodes) delete node;
delete reinterpret_cast<Graph*>(graph);
return 0;
}
