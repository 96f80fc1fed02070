#include "croton/runtime/cuda_library_start.h"

#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "croton/graph/error.h"
#include "croton/graph/node.h"
#include "croton/graph/op.h"
#include "croton/ops/blas.h"
#include "croton/ops/conv_shapes.h"
#include "croton/runtime/cuda_blas.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_dnn.h"
#include "croton/runtime/trace.h"

namespace croton {

namespace {

class LibraryStarts {
 public:
  ~LibraryStarts() { join(); }
  /// On one thread: the loader opens one library at a time.
  void open(bool products, bool convolutions) {
    const std::lock_guard guard(mutex_);
    const bool blas = products && !has_blas_, dnn = convolutions && !has_dnn_;
    if (!blas && !dnn) return;
    wait_before_exit();
    has_blas_ = has_blas_ || products;
    has_dnn_ = has_dnn_ || convolutions;
    threads_.emplace_back([blas, dnn] {
      // What is asked for first, whether cuDNN is there, takes a millisecond.
      if (dnn) timed("open cuDNN", [] { (void)cudnn::library(); });
      if (blas) timed("open cuBLASLt", [] { (void)cublaslt::library(); });
      if (dnn) timed("open cuDNN's engines", [] { cudnn::open_engines(); });
    });
  }
  void warm_up(bool products, CudaDevice& device) {
    const std::lock_guard guard(mutex_);
    if (!products || !warm_.insert(device.ordinal()).second) return;
    wait_before_exit();
    threads_.emplace_back([&device] {
      timed("warm up cuBLASLt", [&] {
        try {
          device.make_current();
          cublaslt::warm_up();
        } catch (const Error&) {
          // Told when a product is wanted.
        }
      });
    });
  }
  void wait() {
    const std::lock_guard guard(mutex_);
    join();
  }
  static LibraryStarts& instance() {
    static LibraryStarts starts;
    return starts;
  }

 private:
  /// What a library has made is destroyed when the process ends, before this object, which is older. The
  /// objects of the thread that ends the process go first of all: so nothing is torn down while it opens.
  static void wait_before_exit() {
    struct Waiter {
      ~Waiter() { instance().wait(); }
    };
    thread_local const Waiter waiter;
    static_cast<void>(waiter);
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  template <class Open>
  static void timed(const char* what, const Open& open) {
    const auto begin = Trace::Time::clock::now();
    open();
    if (Trace* trace = Trace::active()) trace->slice(trace->label(what), begin, Trace::Time::clock::now());
  }

  std::mutex mutex_;
  std::vector<std::thread> threads_;
  bool has_blas_ = false, has_dnn_ = false;
  std::set<int> warm_;
};

}  // namespace

void start_cuda_libraries(const FunctionGraph& graph, Device device) {
  bool has_products = false, has_convolutions = false;
  for (const Ref<Node>& node : graph.nodes()) {
    if (!node->is_apply()) continue;
    has_products = has_products || &node->op() == &dot_op();
    has_convolutions = has_convolutions || conv_direction(node->op()).has_value();
  }
  LibraryStarts& starts = LibraryStarts::instance();
  starts.open(has_products, has_convolutions);
  if (device.is_cuda()) starts.warm_up(has_products, CudaDevice::get(device.ordinal()));
}

void open_cuda_libraries(Device device) {
  LibraryStarts& starts = LibraryStarts::instance();
  starts.open(true, true);
  if (device.is_cuda()) starts.warm_up(true, CudaDevice::get(device.ordinal()));
  starts.wait();
}

}  // namespace croton
